//! The runner over TLS: whom it trusts, what it shows, and what becomes of a certificate that is renewed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stanchion_tests::{Authority, Certificate, Process, Secured, binary};

use crate::job_host::{push, stat, stopped, wait_for};

/// The keys that trust an authority and show a certificate.
fn files(trusts: &Authority, shows: Option<&Certificate>) -> String {
    let ca = format!("ca-file = {:?}\n", trusts.certificate());
    match shows {
        Some(Certificate { cert, key, .. }) => format!("{ca}cert-file = {cert:?}\nkey-file = {key:?}\n"),
        None => ca,
    }
}

/// Writes the configuration of a runner whose jobs are all done at once.
fn configure(secured: &Secured, files: &str) -> PathBuf {
    let toml = format!(
        "[server]\nurl = \"rediss://{}\"\n{files}[groups.all]\nslots = 1\ninclude = [\"*\"]\ndispatcher = \"d\"\n\
         [dispatchers.d]\nkind = \"exec\"\ncommand = [\"true\"]\n",
        secured.address()
    );
    let file = secured.server().directory().join("runner.toml");
    std::fs::write(&file, toml).expect("the configuration is written");
    file
}

fn run(file: &Path) -> Process {
    Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(file))
}

fn check(file: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Command::new(binary("stanchion-runner")).arg("check").arg(file).output().expect("it starts");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[track_caller]
fn assert_refused(file: &Path, what: &str, remedy: &str) {
    let (code, said) = check(file);
    let at = format!("{}:2: no TLS with the server at 127.0.0.1:", file.display());
    assert_eq!((code, said.starts_with(&at)), (Some(2), true), "{said}");
    assert!(said.contains(what) && said.contains(remedy), "no {what} or {remedy} in: {said}");
}

#[track_caller]
fn assert_works(secured: &Secured, files: &str) {
    let file = configure(secured, files);
    let (code, said) = check(&file);
    assert_eq!(code, Some(0), "{said}");
    let id = push(secured.server(), &["q", "in secret"]);
    let mut runner = run(&file);
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!(stat(secured.server(), "q", "acked"), 1);
}

#[test]
fn jobs_are_done_over_tls() {
    let secured = Secured::start("no");
    assert_works(&secured, &files(secured.authority(), None));
}

#[test]
fn a_client_certificate_is_shown() {
    let secured = Secured::start("yes");
    let own = secured.authority().sign("worker");
    assert_works(&secured, &files(secured.authority(), Some(&own)));
}

#[test]
fn no_agreement_is_told_with_its_remedy() {
    let secured = Secured::start("yes");
    let (trusted, stranger) = (secured.authority(), Authority::new());
    let own = trusted.sign("worker");
    let cases = [
        (files(&stranger, Some(&own)), "UnknownIssuer", "name the authority's certificate as ca-file"),
        (String::new(), "UnknownIssuer", "name the authority's certificate as ca-file"),
        (files(trusted, None), "CertificateRequired", "name one as cert-file"),
        (files(trusted, Some(&trusted.sign_expired("old"))), "CertificateExpired", "as cert-file"),
    ];
    for (files, what, remedy) in cases {
        assert_refused(&configure(&secured, &files), what, remedy);
    }
    let plain = configure(&secured, &files(trusted, Some(&own)));
    let text = std::fs::read_to_string(&plain).expect("it was written");
    let (tls_port, port) = (secured.address().to_string(), secured.server().address().to_string());
    std::fs::write(&plain, text.replace(&tls_port, &port)).expect("written");
    assert_refused(&plain, "something else than TLS", "write the server's tls-port");
}

#[test]
fn a_server_of_another_authority_gets_no_word_from_the_runner() {
    let secured = Secured::start("no");
    push(secured.server(), &["q", "x"]);
    let stranger = Authority::new();
    let mut runner = run(&configure(&secured, &files(&stranger, None)));
    wait_for(&runner, &["the server is away", "UnknownIssuer", "ca-file"]);
    runner.terminate();
    stopped(&mut runner);
    assert_eq!((stat(secured.server(), "q", "claims"), stat(secured.server(), "q", "ready")), (0, 1));
}

#[test]
fn a_renewed_certificate_serves_from_the_next_connection_on() {
    let secured = Secured::start("yes");
    let own = secured.authority().sign_expired("worker");
    let id = push(secured.server(), &["q", "x"]);
    let mut runner = run(&configure(&secured, &files(secured.authority(), Some(&own))));
    wait_for(&runner, &["the server is away", "CertificateExpired"]);
    let next = secured.authority().sign("next");
    // The certificate first: until the key is there too the files don't belong together, which has to pass.
    std::fs::copy(&next.cert, &own.cert).expect("a new certificate");
    std::fs::copy(&next.key, &own.key).expect("a new key");
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
}

#[test]
fn files_that_can_not_be_used_refuse_the_start() {
    let secured = Secured::start("no");
    let mut mixed = secured.authority().sign("worker");
    mixed.key = secured.authority().sign("other").key;
    let file = configure(&secured, &files(secured.authority(), Some(&mixed)));
    let mut runner = run(&file);
    assert_eq!(runner.wait().code(), Some(2));
    let expected = format!(
        "{}:5: \"key-file\" {}: it is not the key of the certificate in cert-file; name the one that is",
        file.display(),
        mixed.key.display()
    );
    assert!(runner.output().contains(&expected), "{}", runner.output());
}
