//! CONFIG REWRITE: what was changed while the server ran is there after a restart.

use stanchion_tests::{Options, Server};

#[test]
fn changes_go_into_the_file_and_nothing_else_does() {
    let options = Options::new()
        .configuration("# by hand\nclients-max = 100 # few\n\n[limits]\nclaim-jobs-max = 50 # fewer\n");
    let server = options.start();
    server.check(
        r#"
        > CONFIG REWRITE => +OK
        > CONFIG SET maxclients 200 timeout 90 slowlog-max-len 7 maxmemory 1gb => +OK
        > CONFIG REWRITE => +OK
        "#,
    );
    let path = server.directory().join("stanchion.toml");
    let text = std::fs::read_to_string(&path).expect("the file is there");
    assert_eq!(
        text,
        "# by hand\nclients-max = 200 # few\nmaxmemory = 1073741824\nslowlog-max-len = 7\nidle-timeout = \"90s\"\n\n[limits]\nclaim-jobs-max = 50 # fewer\n"
    );
    drop(server);
    options.start().check(
        r#"
        > CONFIG GET maxclients maxmemory timeout slowlog-max-len => {maxclients: "200", maxmemory: "1073741824", timeout: "90", slowlog-max-len: "7"}
        > CONFIG SET requirepass sesame
        > CONFIG REWRITE => +OK
        "#,
    );
    options
        .start()
        .check("> PING => -NOAUTH*\n> AUTH sesame => +OK\n> CONFIG GET maxclients => {maxclients: \"200\"}");
}

#[test]
fn without_a_file_or_with_a_broken_one_it_says_so() {
    Server::start().check("> CONFIG REWRITE => -ERR The server is running without a config file");
    let options = Options::new().configuration("clients-max = 100\n");
    let server = options.start();
    let path = options.file("stanchion.toml", "clients-max = \n");
    server.check("> CONFIG SET maxclients 300\n> CONFIG REWRITE => -ERR Rewriting config file: *");
    assert_eq!(std::fs::read_to_string(&path).expect("the file is there"), "clients-max = \n");
    std::fs::remove_file(&path).expect("it was there");
    server.check("> CONFIG REWRITE => -ERR Rewriting config file: *No such file*");
}
