//! Users: who they are, what they may do, and what becomes of their connections.

use std::io;

use stanchion_tests::{Connection, Options, Server};

/// The connection ends, without an answer to anything.
#[track_caller]
fn assert_closed(connection: &mut Connection) {
    let rest = connection.receive_to_end().expect("the server closes the connection");
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}

#[test]
fn users_are_made_shown_and_deleted() {
    Server::start().check(
        r#"
        > ACL WHOAMI => default
        > ACL LIST => ["user default on nopass ~* &* +@all"]
        > ACL SETUSER ann on >pw ~mail* %R~news &c* +@push (+qlen ~b) => +OK
        > ACL USERS => [ann, default]
        > ACL LIST => ["user ann on #30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4 ~mail* %R~news resetchannels &c* -@all +@push (~b resetchannels -@all +qlen)", *]
        > ACL GETUSER ann => {flags: [on], passwords: [30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4], commands: "-@all +@push", keys: "~mail* %R~news", channels: "&c*", selectors: [[commands, "-@all +qlen", keys, "~b", channels, ""]]}
        > ACL GETUSER nobody => nil
        > ACL SETUSER ann +nonsense off => -ERR Error in ACL SETUSER modifier '+nonsense': Unknown command or category name in ACL
        > ACL GETUSER ann => {flags: [on], ...}
        > ACL SETUSER "a b" => -ERR Usernames can't contain spaces or null characters
        > ACL SETUSER "" => -ERR Usernames have 1 to 255 bytes
        > ACL SETUSER bob (+qlen => -ERR Unmatched parenthesis in acl selector starting at '(+qlen'.
        > ACL SETUSER bob => +OK
        > ACL LIST => [*, "user bob off resetchannels -@all", *]
        > ACL DELUSER default => -ERR The 'default' user cannot be removed
        > ACL DELUSER ann default => -ERR The 'default' user cannot be removed
        > ACL DELUSER ann bob nobody => 2
        > ACL USERS => [default]
        > ACL CAT => [keyspace, read, write, set, sortedset, list, hash, string, bitmap, hyperloglog, geo, stream, pubsub, admin, fast, slow, blocking, dangerous, connection, transaction, scripting, queue, push, claim, operate]
        > ACL CAT push => (qpush, qmpush, qroot)
        > ACL CAT hyperloglog => []
        > ACL CAT nonsense => -ERR Unknown category 'nonsense'
        > ACL CAT a b => -ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.
        > ACL GENPASS 5 => $two
        > ACL GENPASS 4097 => -ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096
        > ACL GENPASS x => -ERR value is not an integer or out of range
        > ACL nonsense => -ERR unknown subcommand 'nonsense'. Try ACL HELP.
        "#,
    );
    let server = Server::start();
    let mut connection = server.connect();
    let passwords: Vec<String> = (0..2).map(|_| connection.call(&["ACL", "GENPASS"]).text()).collect();
    assert!(passwords.iter().all(|password| password.len() == 64) && passwords[0] != passwords[1]);
}

#[test]
fn a_user_may_do_what_its_rules_say() {
    Server::start().check(
        r#"
        > ACL SETUSER worker on >pw ~mail* &news +@claim +qlen +qlist +qready +multi +exec +client +publish => +OK
        > QPUSH mail a
        > QPUSH mail b
        > QPUSH other c
        w> AUTH worker wrong => -WRONGPASS invalid username-password pair or user is disabled.
        w> AUTH worker pw => +OK
        w> ACL WHOAMI => -NOPERM this user has no permissions to run the 'acl|whoami' command
        w> CLIENT INFO => `*user=worker *`
        w> QLEN mail => 2
        w> QLEN other => -NOPERM this user has no permissions to access one of the keys used as arguments
        w> QPUSH mail c => -NOPERM this user has no permissions to run the 'qpush' command
        w> QCLAIM mail => [[mail, $r, a, 1]]
        w> QACK mail $r => 1
        w> QMCLAIM MATCH 1 * => -NOPERM this user has no permissions to claim from all queues that match '*'; MATCH takes the user's own readable and writable key patterns, word for word
        w> QMCLAIM MATCH 1 mail* => [[mail, *, b, 1]]
        w> QMCLAIM QUEUES 2 mail other => -NOPERM*
        w> QLIST => [{queue: mail, ...}]
        w> QREADY 0 COUNT 100 => ["0", []]
        w> PUBLISH news x => 0
        w> PUBLISH olds x => -NOPERM this user has no permissions to access one of the channels used as arguments
        > QREADY 0 COUNT 100 => ["0", [[other, *, 1, *]]]
        # Rules change under a connection.
        > ACL SETUSER worker -qlen => +OK
        w> QLEN mail => -NOPERM this user has no permissions to run the 'qlen' command
        > ACL SETUSER worker +qlen off => +OK
        w> QLEN mail => 0
        x> AUTH worker pw => -WRONGPASS*
        w> RESET => +RESET
        w> ACL WHOAMI => default
        > INFO stats => `*acl_access_denied_auth:2*acl_access_denied_cmd:3*acl_access_denied_key:3*acl_access_denied_channel:1*`
        "#,
    );
}

#[test]
fn transactions_are_checked_twice() {
    Server::start().check(
        r#"
        > ACL SETUSER u on nopass ~q* +@all => +OK
        > AUTH u anything => +OK
        > MULTI
        > QPUSH q a => +QUEUED
        > QPUSH other b => -NOPERM*
        > EXEC => -EXECABORT*
        > MULTI
        > QPUSH q a => +QUEUED
        > QLEN q => +QUEUED
        a> ACL SETUSER u resetkeys ~none -qlen => +OK
        > EXEC => [-"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to touch the specified keys", -"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to execute the command"]
        a> QLEN q => 0
        a> ACL LOG => [{reason: command, context: multi, object: qlen, username: u, ...}, {reason: key, context: multi, object: q, ...}, {reason: key, context: multi, object: other, count: 1, ...}]
        "#,
    );
}

#[test]
fn connections_end_with_their_user() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > ACL SETUSER ann on nopass ~* &* +@all => +OK
        > ACL SETUSER bob on nopass ~* &* +@all => +OK
        idle> AUTH ann x => +OK
        blocked> AUTH ann x => +OK
        blocked! QCLAIM q BLOCK 0
        ~ 1 blocked
        bob> AUTH bob x => +OK
        > ACL DELUSER ann => 1
        "#,
    );
    assert_closed(session.connection("idle"));
    assert_closed(session.connection("blocked"));
    // A later user of that name is another one; others go on; who deletes itself gets its answer.
    session.check(
        r#"
        ~ 0 blocked
        > QPUSH q job
        > QLEN q => 1
        bob> PING => +PONG
        bob> ACL DELUSER bob => 1
        "#,
    );
    assert_closed(session.connection("bob"));
}

#[test]
fn subscribers_end_with_their_channels() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > ACL SETUSER ann on nopass +@all &news &olds* => +OK
        a> AUTH ann x => +OK
        a> SUBSCRIBE news
        b> AUTH ann x => +OK
        b> PSUBSCRIBE olds*
        c> AUTH ann x => +OK
        > ACL SETUSER ann resetchannels &news => +OK
        > PUBLISH news x => 1
        a< => [message, news, x]
        c> PING => +PONG
        "#,
    );
    assert_closed(session.connection("b"));
}

#[test]
fn the_default_user_is_who_has_not_said_another() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > AUTH x => -ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
        > AUTH default x => +OK
        > CONFIG SET requirepass secret => +OK
        > ACL LIST => ["user default on #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~* &* +@all"]
        > PING => +PONG
        b> PING => -NOAUTH Authentication required.
        b> AUTH secret => +OK
        b> PING => +PONG
        c> HELLO 2 AUTH default wrong => -WRONGPASS*
        c> PING => -NOAUTH Authentication required.
        > CONFIG SET requirepass "" => +OK
        c> PING => +PONG
        > ACL SETUSER default off => +OK
        d> PING => -NOAUTH Authentication required.
        d> AUTH default x => -WRONGPASS*
        c> PING => +PONG
        > CONFIG SET requirepass a requirepass b => -ERR*
        > CONFIG SET requirepass new timeout x => -ERR*
        > CONFIG GET requirepass => [requirepass, ""]
        "#,
    );
}

#[test]
fn refused_logins_and_commands_are_logged() {
    let server = Options::new().environment("STANCHION_REQUIREPASS", "open").start();
    server.check(
        r#"
        > AUTH guess-1 => -WRONGPASS*
        > AUTH guess-2 => -WRONGPASS*
        > HELLO 3 AUTH somebody guess-3 => -WRONGPASS*
        > HELLO 3 AUTH default open => {proto: 3, ...}
        > ACL LOG => [{count: 1, reason: auth, context: toplevel, object: HELLO, username: somebody, age-seconds: *, client-info: `id=*`, entry-id: 1, timestamp-created: *, timestamp-last-updated: *}, {count: 2, reason: auth, object: AUTH, username: default, entry-id: 0, ...}]
        > ACL LOG 1 => [{object: HELLO, ...}]
        > ACL LOG -1 => []
        > ACL LOG x => -ERR value is not an integer or out of range
        > ACL LOG RESET => +OK
        > ACL LOG => []
        "#,
    );
}

#[test]
fn a_dry_run_says_what_would_be_refused() {
    Server::start().check(
        r#"
        > ACL SETUSER u on ~mail +@all -config|set &c => +OK
        > ACL DRYRUN u QPUSH mail x => +OK
        > ACL DRYRUN u QPUSH other x => "This user has no permissions to access the 'other' key"
        > ACL DRYRUN u CONFIG SET a b => "This user has no permissions to run the 'config|set' command"
        > ACL DRYRUN u PUBLISH d x => "This user has no permissions to access the 'd' channel"
        > ACL DRYRUN u QPUSH => -ERR wrong number of arguments for 'qpush' command
        > ACL DRYRUN u CONFIG => -ERR wrong number of arguments for 'config' command
        > ACL DRYRUN u config nonsense => -ERR Command 'config' not found
        > ACL DRYRUN u nonsense => -ERR Command 'nonsense' not found
        > ACL DRYRUN nobody PING => -ERR User 'nobody' not found
        > QLEN mail => 0
        "#,
    );
}

#[test]
fn who_is_not_authenticated_says_little_even_after_reset() {
    let server = Options::new().environment("STANCHION_REQUIREPASS", "open").start();
    let mut connection = server.connect();
    assert_eq!(connection.call(&["AUTH", "open"]).to_string(), "+OK");
    connection.call(&["RESET"]);
    let large = vec![b'x'; 64 << 10];
    let refused = connection.try_call(&[b"AUTH".as_slice(), &large]);
    // The announced length is refused before the word is read, and the rest of it may meet a closed socket.
    match refused {
        Ok(reply) => assert!(reply.is_error("ERR"), "{reply}"),
        Err(error) => assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
    }
}

#[test]
fn users_live_in_a_file() {
    let options = Options::new();
    let file =
        options.file("users.acl", "user default on nopass ~* &* +@all\nuser ann on >pw ~mail* +@push\n");
    let options = options.environment("STANCHION_ACLFILE", file.to_str().expect("UTF-8"));
    let server = options.start();
    let mut session = server.session();
    session.check(
        r#"
        ann> AUTH ann pw => +OK
        ann> QPUSH mail x
        bob> AUTH bob x => -WRONGPASS*
        > ACL SETUSER bob on >word ~b +@claim => +OK
        bob> AUTH bob word => +OK
        > CONFIG GET aclfile => [aclfile, *]
        > ACL SAVE => +OK
        "#,
    );
    let saved = std::fs::read_to_string(&file).expect("the file is there");
    assert!(!saved.contains("pw") && !saved.contains("word"), "{saved}");
    assert_eq!(saved.lines().count(), 3);
    // What is not saved is gone after LOAD; who is gone loses its connections; who has changed follows its new rules.
    std::fs::write(&file, "user ann on nopass ~other +@push\n").expect("the file can be written");
    session.check(
        r#"
        > ACL SETUSER carl on => +OK
        > ACL LOAD => +OK
        > ACL USERS => [ann, default]
        ann> QPUSH mail x => -NOPERM*
        ann> QPUSH other x
        > PING => +PONG
        "#,
    );
    assert_closed(session.connection("bob"));
    std::fs::write(&file, "user ann on nopass +@all\nuser bob on >secret +nonsense\nnonsense\n")
        .expect("written");
    session.check(
        r#"
        > ACL LOAD => -ERR */users.acl:2: '+nonsense': Unknown command or category name in ACL. */users.acl:3: a line should start with user keyword followed by the username. WARNING: ACL errors detected, no change to the previously active ACL rules was performed
        > ACL GETUSER ann => {keys: "~other", ...}
        > MULTI
        > ACL SAVE => -ERR Command not allowed inside a transaction
        > DISCARD
        "#,
    );
    drop(session);
    drop(server);
    let mut refused = options.spawn();
    assert!(!refused.wait().success());
    let output = refused.output();
    assert!(output.contains("users.acl:2: '+nonsense'") && !output.contains("secret"), "{output}");
    std::fs::remove_file(&file).expect("the file is there");
    let mut refused = options.spawn();
    assert!(!refused.wait().success());
    assert!(refused.output().contains("Error loading ACLs, opening file"), "{}", refused.output());
    Server::start().check("> ACL LOAD => -ERR This Redis instance is not configured to use an ACL file*");
}

#[test]
fn users_live_in_the_configuration() {
    let options = Options::new().configuration(
        "[users]\ndefault = \"on >open ~* &* +@all\"\nann = \"on >pw ~mail* +@push (+qlen ~b)\"\n",
    );
    options.start().check(
        r#"
        > PING => -NOAUTH*
        > AUTH ann pw => +OK
        > QPUSH mail x
        > QLEN b => 0
        > QLEN mail => -NOPERM*
        > AUTH open => +OK
        > QLEN mail => 1
        > CONFIG GET requirepass => [requirepass, "(hidden)"]
        "#,
    );
}

#[test]
fn commands_can_be_disabled_for_everybody() {
    let options =
        Options::new().configuration("disabled-commands = [\"QPURGE\", \"config|set\", \"debug\"]\n");
    options.start().check(
        r#"
        > QPURGE q => -ERR command 'qpurge' is disabled by the configuration (disabled-commands)
        > CONFIG SET timeout 1 => -ERR command 'config|set' is disabled by the configuration (disabled-commands)
        > CONFIG GET timeout => [timeout, "0"]
        > DEBUG SLEEP 0 => -ERR command 'debug|sleep' is disabled by the configuration (disabled-commands)
        > DEBUG HELP => -ERR command 'debug|help' is disabled by the configuration (disabled-commands)
        > QPUSH q x
        > MULTI
        > QPURGE q => -ERR*
        > EXEC => -EXECABORT*
        > QLEN q => 1
        "#,
    );
    let wrong = Options::new().configuration("disabled-commands = \"flushal\"\n");
    let mut refused = wrong.spawn();
    assert!(!refused.wait().success());
    assert!(
        refused.output().contains("'flushal' is not a value of disabled-commands"),
        "{}",
        refused.output()
    );
}
