//! Tables of rules: what they make of a user, or how they are refused. What both have was tried with ACL SETUSER and
//! ACL LIST of redis-server 7.0.15.

use proptest::prelude::*;
use stanchion_protocol::{OwnedArgs, table};

use super::super::user::Birth;
use super::*;

/// A new user with these rules; words are divided by spaces.
fn user(rules: &str) -> Result<User, RuleError> {
    User::new(b"u", Birth(1)).with_rules(rules.split(' ').map(str::as_bytes))
}

#[track_caller]
fn line(rules: &str) -> String {
    String::from_utf8(user(rules).unwrap_or_else(|error| panic!("{rules}: {error}")).line()).unwrap()
}

#[track_caller]
fn error(rules: &str) -> String {
    user(rules).err().unwrap_or_else(|| panic!("{rules} is right")).to_string()
}

#[test]
fn rules_are_shown_as_redis_shows_them() {
    const ABC: &str = "#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (rules, want) in [
        ("", "off resetchannels -@all"),
        ("on nopass", "on nopass resetchannels -@all"),
        ("ON NOPASS ALLKEYS +TYPE", "on nopass ~* resetchannels -@all +type"),
        ("on off", "off resetchannels -@all"),
        (">abc", &format!("off {ABC} resetchannels -@all")),
        (">abc >abc", &format!("off {ABC} resetchannels -@all")),
        (ABC, &format!("off {ABC} resetchannels -@all")),
        (">abc nopass", "off nopass resetchannels -@all"),
        ("nopass >abc", &format!("off {ABC} resetchannels -@all")),
        (">abc <abc", "off resetchannels -@all"),
        (&format!(">abc !{}", &ABC[1..]), "off resetchannels -@all"),
        ("nopass resetpass", "off resetchannels -@all"),
        ("sanitize-payload", "off sanitize-payload resetchannels -@all"),
        ("on nopass +@all ~* &* (+type) reset", "off sanitize-payload resetchannels -@all"),
        ("~a* ~b* ~a*", "off ~a* ~b* resetchannels -@all"),
        ("~a* ~b* allkeys", "off ~* resetchannels -@all"),
        ("~a* resetkeys ~b", "off ~b resetchannels -@all"),
        ("%R~a %W~b %RW~c %wr~d", "off %R~a %W~b ~c ~d resetchannels -@all"),
        ("%R~* %W~*", "off ~* resetchannels -@all"),
        ("%R~*", "off %R~* resetchannels -@all"),
        ("~ %R~", "off ~ resetchannels -@all"),
        ("&a &b &a", "off resetchannels &a &b -@all"),
        ("&a allchannels", "off &* -@all"),
        ("allchannels resetchannels", "off resetchannels -@all"),
        ("+type +@all -@all +config|get", "off resetchannels -@all +config|get"),
        ("+@all -config -config|set +config|get", "off resetchannels +@all -config +config|get"),
        ("+config|get -config", "off resetchannels -@all"),
        ("allcommands -@dangerous", "off resetchannels +@all -@dangerous"),
        ("+@read +@read", "off resetchannels -@all +@read"),
        ("+@STRING", "off resetchannels -@all"),
        ("+ping +@STRING", "off resetchannels -@all +ping"),
        ("+@all -ping +ping +type", "off resetchannels +@all"),
        ("+select|0 +select|1 +select|0", "off resetchannels -@all +select|0 +select|1"),
        ("+select|0 +select", "off resetchannels -@all +select"),
        ("+@push -qpush", "off resetchannels -@all +@push -qpush"),
        (
            "(+type ~a) (+del %W~b)",
            "off resetchannels -@all (~a resetchannels -@all +type) (%W~b resetchannels -@all +del)",
        ),
        ("( +type ~a )", "off resetchannels -@all (~a resetchannels -@all +type)"),
        ("()", "off resetchannels -@all (resetchannels -@all)"),
        ("(+type) clearselectors", "off resetchannels -@all"),
        ("(+@all ~* &*)", "off resetchannels -@all (~* &* +@all)"),
    ] {
        assert_eq!(line(rules), format!("user u {want}"), "{rules}");
    }
}

#[test]
fn wrong_rules_are_refused_in_redis_words() {
    const UNKNOWN: &str = "Unknown command or category name in ACL";
    const HASH: &str =
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
    const NO_PASSWORD: &str = "The password you are trying to remove from the user does not exist";
    const ALL_KEYS: &str = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns";
    const ALL_CHANNELS: &str = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels";
    for (rules, word, want) in [
        ("foo", "foo", "Syntax error"),
        ("on foo off", "foo", "Syntax error"),
        ("%~a", "%~a", "Syntax error"),
        ("%Q~a", "%Q~a", "Syntax error"),
        ("%RR~a", "%RR~a", "Syntax error"),
        ("%Ra", "%Ra", "Syntax error"),
        ("%", "%", "Syntax error"),
        ("(on)", "(on)", "Syntax error"),
        ("(()", "(()", "Syntax error"),
        ("~a\tb", "~a\\tb", "Syntax error"),
        ("+select|", "+select|", "Syntax error"),
        ("+select|0\t1", "+select|0\\t1", "Syntax error"),
        ("(~a)\t+type)", "(~a)\\t+type)", "Syntax error"),
        ("+", "+", UNKNOWN),
        ("-", "-", UNKNOWN),
        ("+@", "+@", UNKNOWN),
        ("+foo", "+foo", UNKNOWN),
        ("+@foo", "+@foo", UNKNOWN),
        ("-@foo", "-@foo", UNKNOWN),
        ("+config|foo", "+config|foo", UNKNOWN),
        ("-config|foo", "-config|foo", UNKNOWN),
        ("-select|0", "-select|0", UNKNOWN),
        ("+foo|bar", "+foo|bar", UNKNOWN),
        ("+type)", "+type)", UNKNOWN),
        ("(+foo)", "(+foo)", UNKNOWN),
        ("+config|get|x", "+config|get|x", "Allowing first-arg of a subcommand is not supported"),
        ("allkeys ~a", "~a", ALL_KEYS),
        ("~* %R~a", "%R~a", ALL_KEYS),
        ("&* &a", "&a", ALL_CHANNELS),
        // Passwords and hashes are not repeated, not even wrong ones.
        ("<abc", "<(hidden)", NO_PASSWORD),
        ("nopass <abc", "<(hidden)", NO_PASSWORD),
        ("#abc", "#(hidden)", HASH),
        ("!abc", "!(hidden)", HASH),
        ("(>secret)", "(>(hidden)", "Syntax error"),
        ("(+type >secret)", "(+type >(hidden)", "Syntax error"),
        (
            "skip-sanitize-payload",
            "skip-sanitize-payload",
            "There is no RESTORE here, so there are no payloads whose check could be skipped; leave the word out",
        ),
    ] {
        assert_eq!(error(rules), format!("Error in ACL SETUSER modifier '{word}': {want}"), "{rules}");
    }
    for (rules, word) in
        [("(+get ~a", "(+get"), ("on (", "("), ("(>secret +get", "(>(hidden)"), ("( >secret", "(")]
    {
        assert_eq!(error(rules), format!("Unmatched parenthesis in acl selector starting at '{word}'."));
    }
    let long = format!(">{}", "x".repeat(PASSWORD_BYTES_MAX + 1));
    assert_eq!(error(&long), "Error in ACL SETUSER modifier '>(hidden)': A password has at most 4096 bytes");
    let large: Vec<String> = (0..20).map(|n| format!("~{n}{}", "x".repeat(USER_BYTES_MAX / 16))).collect();
    assert_eq!(error(&large.join(" ")), "A user has at most 1048576 bytes of rules");
}

#[test]
fn a_wrong_word_changes_nothing() {
    let before = user("on nopass ~a +type").unwrap();
    let error = before.with_rules([&b"off"[..], b">secret", b"~b", b"+nonsense"]).err().unwrap();
    assert!(!error.to_string().contains("secret"));
    assert_eq!(before.line(), b"user u on nopass ~a resetchannels -@all +type");
}

#[test]
fn what_the_rules_allow_may_be_run() {
    const COMMAND: &str = "This user has no permissions to run the";
    for (rules, request, want) in [
        ("", "QLEN q", format!("{COMMAND} 'qlen' command")),
        ("", "AUTH x", String::new()),
        ("+qlen", "QLEN q", "This user has no permissions to access the 'q' key".into()),
        ("+qlen ~q*", "QLEN q", String::new()),
        ("+qlen ~q*", "QSTATS q", format!("{COMMAND} 'qstats' command")),
        ("+qlen %R~q*", "QLEN q", String::new()),
        ("+qlen %W~q*", "QLEN q", "This user has no permissions to access the 'q' key".into()),
        ("+@all %W~q*", "QPUSH q x", String::new()),
        ("+@all %R~q*", "QPUSH q x", "This user has no permissions to access the 'q' key".into()),
        ("+@all %W~q*", "QCLAIM q", "This user has no permissions to access the 'q' key".into()),
        ("+@all %W~q* %R~q", "QCLAIM q", "This user has no permissions to access the 'q' key".into()),
        ("+@all %RW~q*", "QCLAIM q", String::new()),
        ("+@all %W~q*", "EXISTS q", String::new()),
        ("+@all ~a", "DEL a b", "This user has no permissions to access the 'b' key".into()),
        ("+@all ~a ~b", "QMCLAIM QUEUES 2 a b", String::new()),
        ("+@all ~a", "QMCLAIM QUEUES 2 a b", "This user has no permissions to access the 'b' key".into()),
        ("+@all ~a*", "QMCLAIM MATCH 1 a*", String::new()),
        ("+@all ~a*", "QMCLAIM MATCH 1 a", "This user has no permissions to access the 'a' queues".into()),
        ("+@all ~a*", "QMCLAIM MATCH 2 a* *", "This user has no permissions to access the '*' queues".into()),
        (
            "+@all %W~a*",
            "QMCLAIM MATCH 1 a*",
            "This user has no permissions to access the 'a*' queues".into(),
        ),
        ("allkeys +@all", "QMCLAIM MATCH 1 *", String::new()),
        ("+@all -config|set", "CONFIG SET a b", format!("{COMMAND} 'config|set' command")),
        ("+@all -config|set", "CONFIG GET a", String::new()),
        ("-@all +config|get", "CONFIG GET a", String::new()),
        ("-@all +config|get", "CONFIG HELP", format!("{COMMAND} 'config|help' command")),
        ("-@all +config|help", "CONFIG HELP", String::new()),
        ("-@all +config|help", "CLIENT HELP", format!("{COMMAND} 'client|help' command")),
        ("-@all +client", "CLIENT LIST", String::new()),
        ("+select|0", "SELECT 0", String::new()),
        ("+select|0", "SELECT 1", format!("{COMMAND} 'select' command")),
        ("+@push ~*", "QPUSH q x", String::new()),
        ("+@push ~*", "QCLAIM q", format!("{COMMAND} 'qclaim' command")),
        ("+@claim ~*", "QCLAIM q", String::new()),
        ("+@claim ~*", "QPUSH q x", format!("{COMMAND} 'qpush' command")),
        ("+@claim ~*", "QPURGE q", format!("{COMMAND} 'qpurge' command")),
        ("+@operate ~*", "QPURGE q", String::new()),
        ("+@all -@admin", "CONFIG GET a", format!("{COMMAND} 'config|get' command")),
        ("+@all", "PUBLISH c x", "This user has no permissions to access the 'c' channel".into()),
        ("+@all &c*", "PUBLISH cc x", String::new()),
        ("+@all &c*", "SUBSCRIBE c d", "This user has no permissions to access the 'd' channel".into()),
        ("+@all &c*", "PSUBSCRIBE c*", String::new()),
        ("+@all &c*", "PSUBSCRIBE c", "This user has no permissions to access the 'c' channel".into()),
        ("+@all &c*", "UNSUBSCRIBE d", String::new()),
        ("+qlen ~a (+qlen ~b) (+qstats ~c)", "QLEN b", String::new()),
        (
            "+qlen ~a (+qlen ~b) (+qstats ~c)",
            "QSTATS b",
            "This user has no permissions to access the 'b' key".into(),
        ),
        ("+qlen ~a (+qlen ~b) (+qstats ~c)", "QPUSH c x", format!("{COMMAND} 'qpush' command")),
    ] {
        let args: OwnedArgs = request.split(' ').collect();
        let spec = table::resolve(args.as_args()).unwrap();
        let said = match user(rules).unwrap().check(spec, args.as_args()) {
            Ok(()) => String::new(),
            Err(denied) => String::from_utf8(denied.dry_run(spec, args.as_args())).unwrap(),
        };
        assert_eq!(said, want, "{rules}: {request}");
    }
}

#[test]
fn only_who_may_do_everything_is_not_looked_at() {
    for (rules, want) in [
        ("+@all ~* &*", true),
        ("+@all ~* &* -qpush", false),
        ("+@all ~* &* -qpush +qpush", true),
        ("+@all ~*", false),
        ("+@all &*", false),
        ("(+@all ~* &*)", true),
    ] {
        assert_eq!(user(rules).unwrap().may_do_everything(), want, "{rules}");
    }
}

#[test]
fn the_rules_of_the_guide_are_right() {
    let guide = include_str!("../../../../../docs/users.md");
    let rules: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("ACL SETUSER ")).collect();
    assert!(!rules.is_empty());
    for line in rules {
        let words = line.split_ascii_whitespace().skip(1).map(str::as_bytes);
        assert!(User::new(b"u", Birth(1)).with_rules(words).is_ok(), "{line}");
    }
}

proptest! {
    #[test]
    fn a_users_line_makes_it_again(picks in prop::collection::vec(0..WORDS.len(), 0..12)) {
        let mut user = User::new(b"u", Birth(1));
        for word in picks.iter().map(|pick| WORDS[*pick]) {
            // Words that contradict what stands already are refused, and change nothing.
            if let Ok(changed) = user.with_rules([word.as_bytes()]) {
                user = changed;
            }
        }
        let line = user.line();
        let words = line.split(|byte| *byte == b' ').skip(2);
        let again = User::new(b"u", Birth(1)).with_rules(words).unwrap();
        prop_assert_eq!(again.line(), line);
        for entry in Entry::all() {
            let name = entry.name();
            let words: OwnedArgs = name.split('|').chain(["0", "a"]).collect();
            let args = words.as_args();
            if let Ok(spec) = table::resolve(args) {
                prop_assert_eq!(user.check(spec, args), again.check(spec, args), "{}", name);
            }
        }
    }
}

const WORDS: &[&str] = &[
    "on",
    "off",
    "nopass",
    "resetpass",
    "reset",
    ">a",
    ">b",
    "<a",
    "sanitize-payload",
    "~*",
    "~a*",
    "%R~b",
    "%W~b",
    "resetkeys",
    "&*",
    "&c",
    "resetchannels",
    "+@all",
    "-@all",
    "+config",
    "-config",
    "+config|get",
    "-config|set",
    "+config|help",
    "+select|0",
    "+select|1",
    "-select",
    "+@connection",
    "-@connection",
    "+@push",
    "-@write",
    "+qpush",
    "-qpush",
    "+@read",
    "-@slow",
    "(+qlen ~b)",
    "(+@all -qlen ~* &*)",
    "clearselectors",
];
