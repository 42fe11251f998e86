//! What `docker/` has for those who run Stanchion: files that are whole, and names that a real runner knows.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use stanchion_tests::{Server, binary};

use crate::job_host::{PLAIN, Setup, push, runner, stopped, wait_for};
use crate::runner_status::{ask, pages};
use crate::server_status::watched;

const SCHEDULED: Setup<'static> = Setup {
    settings: "http = \"127.0.0.1:0\"",
    dispatcher: "[schedules.yearly]\ncron = \"@yearly\"\nqueue = \"q\"\npayload = \"x\"\nmissed = \"once\"",
    ..PLAIN
};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("docker/{name}: {error}"))
}

/// A YAML file as JSON.
fn yaml(name: &str) -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let mut python = Command::new("python3");
    python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("python3 starts");
    python.stdin.take().expect("it is piped").write_all(read(name).as_bytes()).expect("python3 reads");
    let output = python.wait_with_output().expect("python3 ends");
    assert!(
        output.status.success(),
        "docker/{name} is no YAML, or `cargo xtask tools` has yet to install python3-yaml"
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Every string in a document.
fn strings<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        _ => {}
    }
}

/// Names of metrics in an expression.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| ["stanchion_", "process_"].iter().any(|prefix| word.starts_with(prefix)))
}

/// The pages of a runner and of its server, once there was something of each kind.
fn pages_of_both() -> [String; 2] {
    let server = watched().start();
    server.check("> QWORKER BEAT w version 1.0 => ok\n> NOTHING => -ERR *");
    let id = push(&server, &["q", "x"]);
    let mut runner = runner(&server, &SCHEDULED, "exit 0");
    wait_for(&runner, &["job ended", &id]);
    wait_for(&runner, &["schedule pushed"]);
    let [(_, of_runner), (_, of_server)] =
        [pages(&runner), pages(&server)].map(|address| ask(address, "GET /metrics"));
    runner.terminate();
    stopped(&mut runner);
    [of_runner, of_server]
}

#[test]
fn alerts_and_dashboards_name_metrics_that_there_are() {
    let text = pages_of_both().concat();
    let known: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap_or_default())
        .collect();

    let rules = yaml("prometheus/alerts.yml");
    let mut used = 0;
    for rule in rules["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array())
        .flatten()
    {
        let (name, expression) = (&rule["alert"], rule["expr"].as_str().expect("an expression"));
        for key in ["summary", "description"] {
            assert!(rule["annotations"][key].is_string(), "{name} has no {key}");
        }
        assert!(rule["labels"]["severity"].is_string(), "{name} has no severity");
        for metric in metrics(expression) {
            assert!(known.contains(metric), "{name}: no {metric} in\n{text}");
            used += 1;
        }
    }
    for dashboard in ["server", "runners"] {
        let dashboard = read(&format!("grafana/dashboards/{dashboard}.json"));
        let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().expect("targets") {
                for metric in metrics(target["expr"].as_str().expect("an expression")) {
                    assert!(known.contains(metric), "{}: no {metric} in\n{text}", panel["title"]);
                    used += 1;
                }
            }
        }
    }
    assert!(used > 60, "the names were not found: {used}");
}

/// Runs promtool with this input; what it said.
#[track_caller]
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut promtool = Command::new("promtool");
    promtool.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool =
        promtool.spawn().expect("promtool starts, which `cargo xtask tools` installs with prometheus");
    let mut pipe = promtool.stdin.take().expect("it is piped");
    pipe.write_all(input.as_bytes()).expect("promtool reads");
    drop(pipe);
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

#[test]
fn prometheus_takes_the_pages() {
    for page in pages_of_both() {
        assert_eq!(promtool(&["check", "metrics"], &page), "", "{page}");
    }
}

#[test]
fn prometheus_takes_the_alerts_and_they_fire_when_they_should() {
    let rules = directory().join("prometheus/alerts.yml");
    let said = promtool(&["check", "rules", rules.to_str().expect("a path in UTF-8")], "");
    assert!(said.contains("rules found"), "{said}");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts.yml");
    let said = promtool(&["test", "rules", tests.to_str().expect("a path in UTF-8")], "");
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn the_compose_file_names_what_is_there() {
    let compose = yaml("compose.yaml");
    let dockerfile = read("Dockerfile");
    for (name, service) in compose["services"].as_object().expect("services") {
        if let Some(target) = service["build"]["target"].as_str() {
            let stage = dockerfile.split("\nFROM ").find(|stage| {
                stage.lines().next().is_some_and(|line| line.ends_with(&format!(" AS {target}")))
            });
            let stage = stage.unwrap_or_else(|| panic!("{name}: there is no stage {target}"));
            assert!(stage.contains("\nUSER 65532:65532"), "{target} runs as root");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().and_then(|volume| volume.split(':').next()).expect("a source");
            let is_there = match source.strip_prefix("./") {
                Some(path) => directory().join(path).exists(),
                None => compose["volumes"].as_object().is_some_and(|volumes| volumes.contains_key(source)),
            };
            assert!(is_there, "{name}: there is no {source}");
        }
        for other in service["depends_on"].as_array().into_iter().flatten() {
            assert!(compose["services"][other.as_str().expect("a name")].is_object(), "{name} needs {other}");
        }
    }
    let prometheus = yaml("prometheus/prometheus.yml");
    let mut named = Vec::new();
    strings(&prometheus["scrape_configs"], &mut named);
    assert!(named.contains(&"runner") && compose["services"]["runner"].is_object());
    // Where the server shows its pages is where Prometheus looks.
    let mut words = Vec::new();
    strings(&compose["services"]["server"]["command"], &mut words);
    assert!(words.contains(&"--http=0.0.0.0:7380") && named.contains(&"server:7380"), "{words:?} {named:?}");
    for file in
        ["grafana/provisioning/datasources/prometheus.yaml", "grafana/provisioning/dashboards/stanchion.yaml"]
    {
        assert_eq!(yaml(file)["apiVersion"], 1, "{file}");
    }
}

#[test]
fn the_runner_of_the_compose_file_passes_its_check_and_works() {
    let server = Server::start();
    let text = read("runner.toml");
    let text = text.replace("redis://:PASSWORD@server:7379", &format!("redis://{}", server.address()));
    let text = text.replace("0.0.0.0:7381", "127.0.0.1:0");
    let file = server.directory().join("runner.toml");
    std::fs::write(&file, text).expect("written");
    let output =
        Command::new(binary("stanchion-runner")).arg("check").arg(&file).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let id = push(&server, &["q", "x"]);
    let mut runner =
        stanchion_tests::Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(&file));
    wait_for(&runner, &["job ended", &id, "status=\"done\""]);
    runner.terminate();
    stopped(&mut runner);
}

#[test]
fn systemd_takes_the_units() {
    // It looks for the programs, too, so they are named where they were built.
    let place = tempfile::tempdir().expect("a temporary directory");
    for (unit, program) in
        [("stanchion.service", "stanchion"), ("stanchion-runner.service", "stanchion-runner")]
    {
        let text = read(&format!("systemd/{unit}"));
        let installed = format!("/usr/local/bin/{program} ");
        assert!(text.contains(&installed), "{unit} does not start {installed}");
        let path = place.path().join(unit);
        let built = format!("{} ", binary(program).display());
        std::fs::write(&path, text.replace(&installed, &built)).expect("written");
    }
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return; // a machine without systemd can't say more
    }
    for unit in ["stanchion.service", "stanchion-runner.service"] {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(place.path().join(unit))
            .output()
            .expect("systemd-analyze starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains(unit), "{unit}: {said}");
    }
}
