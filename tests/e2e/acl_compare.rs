//! The same users in Redis and here: every rule is taken or refused in the same words, and allows the same.

use std::collections::{BTreeSet, HashSet};

use stanchion_tests::{Connection, Random, RedisServer, Server, Value};

/// Rules that mean the same to both, right ones and wrong ones.
const RULES: &[&str] = &[
    "on",
    "off",
    "ON",
    "nopass",
    "resetpass",
    ">one",
    ">two",
    "<one",
    "<three",
    "#nonsense",
    "!nonsense",
    "sanitize-payload",
    "allkeys",
    "~*",
    "resetkeys",
    "~a*",
    "~b",
    "%R~c",
    "%W~c",
    "%RW~d*",
    "%~e",
    "%X~e",
    "~f g",
    "allchannels",
    "&*",
    "resetchannels",
    "&n*",
    "&olds",
    "allcommands",
    "+@all",
    "nocommands",
    "-@all",
    "+@read",
    "-@read",
    "+@write",
    "-@write",
    "+@keyspace",
    "-@keyspace",
    "+@admin",
    "-@admin",
    "+@connection",
    "-@connection",
    "+@fast",
    "-@fast",
    "+@slow",
    "-@slow",
    "+@transaction",
    "+@pubsub",
    "-@pubsub",
    "+@nonsense",
    "+type",
    "-type",
    "+del",
    "-del",
    "+exists",
    "+config",
    "-config",
    "+config|get",
    "-config|get",
    "+config|nonsense",
    "-config|nonsense",
    "+config|get|x",
    "+client",
    "-client|list",
    "+acl|whoami",
    "+ping",
    "-ping",
    "+select|0",
    "+select|1",
    "+select|",
    "-select|0",
    "-select",
    "+nonsense",
    "-nonsense",
    "nonsense",
    "+",
    "reset",
    "(~b +type)",
    "(%R~c +@read",
    "+exists)",
    "(+del %W~* &m*)",
    "(on)",
    "(>three)",
    "()",
    "clearselectors",
    "",
];

/// What they are then asked, as `ACL DRYRUN`.
const REQUESTS: &[&str] = &[
    "PING",
    "ECHO x",
    "TYPE a1",
    "TYPE b",
    "TYPE c",
    "EXISTS b c",
    "DEL a1",
    "DEL c",
    "DEL d1 b",
    "SELECT 0",
    "SELECT 1",
    "CONFIG GET x",
    "CONFIG SET x y",
    "CONFIG RESETSTAT",
    "CONFIG HELP",
    "CLIENT LIST",
    "CLIENT ID",
    "CLIENT HELP",
    "ACL WHOAMI",
    "ACL LIST",
    "ACL SETUSER x",
    "MULTI",
    "EXEC",
    "INFO",
    "TIME",
    "DBSIZE",
    "KEYS *",
    "SCAN 0",
    "PUBLISH news x",
    "PUBLISH olds x",
    "SUBSCRIBE news olds",
    "PSUBSCRIBE n*",
    "PSUBSCRIBE news",
    "UNSUBSCRIBE x",
    "AUTH x",
    "HELLO",
    "RESET",
    "SHUTDOWN",
    "FLUSHALL",
    "MONITOR",
    "SAVE",
    "LASTSAVE",
    "WAIT 0 0",
    "OBJECT ENCODING b",
    "SLOWLOG GET",
    "MEMORY USAGE c",
    "LATENCY LATEST",
    "WATCH a1 b",
    "UNWATCH",
    "RANDOMKEY",
    "DISCARD",
    "COMMAND COUNT",
];

#[test]
fn rules_mean_the_same_to_redis_and_to_us() {
    let (redis, server) = (RedisServer::start(), Server::start());
    let (mut theirs, mut ours) = (redis.connect(), server.connect());
    let seed = Random::seed_from_environment();
    let mut random = Random::new(seed);
    for round in 0..150 {
        let rules: Vec<&str> = (0..1 + random.below(8)).map(|_| RULES[random.below(RULES.len())]).collect();
        if random.one_in(3) {
            assert_same(&mut theirs, &mut ours, &["ACL", "DELUSER", "u"]);
        }
        let place = format!("E2E_SEED={seed}, round {round}: {rules:?}");
        let command: Vec<&str> = ["ACL", "SETUSER", "u"].into_iter().chain(rules).collect();
        let (said, expected) = (ours.call(&command).text(), theirs.call(&command).text());
        assert_eq!(said, hide_password(&expected), "{place}");
        assert_same_user(&mut theirs, &mut ours, &place);
    }
}

/// Rules are shown as they were given, where Redis makes up new ones that mean the same; all else is shown alike.
#[track_caller]
fn assert_same_user(theirs: &mut Connection, ours: &mut Connection, place: &str) {
    let get = ["ACL", "GETUSER", "u"];
    let (own, other) = (ours.call(&get), theirs.call(&get));
    for field in ["flags", "passwords", "keys", "channels"] {
        assert_eq!(own.field(field), other.field(field), "{field} of {place}");
    }
    let names = |user: &Value| -> Vec<_> {
        let selectors = user.field("selectors").map_or(&[][..], Value::array);
        selectors.iter().map(|one| (one.field("keys").cloned(), one.field("channels").cloned())).collect()
    };
    assert_eq!(names(&own), names(&other), "the selectors of {place}");
    for request in REQUESTS {
        let dry_run: Vec<&str> = ["ACL", "DRYRUN", "u"].into_iter().chain(request.split(' ')).collect();
        let (own, other) = (ours.call(&dry_run).to_string(), theirs.call(&dry_run).to_string());
        assert_eq!(own, other, "{request} after {place}");
    }
}

#[track_caller]
fn assert_same(theirs: &mut Connection, ours: &mut Connection, command: &[&str]) {
    assert_eq!(ours.call(command), theirs.call(command), "{command:?}");
}

/// Redis repeats a password that it can't use; here no password is repeated, nor what stands behind it.
fn hide_password(error: &str) -> String {
    let Some((before, rest)) = error.split_once("modifier '") else { return error.to_owned() };
    let (words, after) = rest.split_once("': ").expect("an error names the word and what is wrong with it");
    let starts_word = |at: usize| at == 0 || words[..at].ends_with([' ', '(']);
    match words.match_indices(['<', '>', '#', '!']).find(|(at, _)| starts_word(*at)) {
        Some((at, _)) => format!("{before}modifier '{}(hidden)': {after}", &words[..=at]),
        None => error.to_owned(),
    }
}

#[test]
fn categories_are_redis_categories() {
    let (redis, server) = (RedisServer::start(), Server::start());
    let (mut theirs, mut ours) = (redis.connect(), server.connect());
    let list = |value: Value| value.array().iter().map(Value::text).collect::<Vec<_>>();
    let own = list(ours.call(&["ACL", "CAT"]));
    let other = list(theirs.call(&["ACL", "CAT"]));
    assert_eq!(own[..other.len()], other[..], "Redis's come first");
    let commands = |connection: &mut Connection| -> HashSet<String> {
        let each = other.iter().map(|category| list(connection.call(&["ACL", "CAT", category])));
        each.flatten().collect()
    };
    let common: HashSet<String> = &commands(&mut theirs) & &commands(&mut ours);
    for category in &other {
        let of = |connection: &mut Connection| -> BTreeSet<String> {
            let names = list(connection.call(&["ACL", "CAT", category])).into_iter();
            names.filter(|name| common.contains(name)).collect()
        };
        let mut expected = of(&mut theirs);
        if category == "dangerous" {
            // What goes with a queue is work that nobody has done.
            expected.extend(["del", "unlink"].map(str::to_owned));
        }
        assert_eq!(of(&mut ours), expected, "{category}");
    }
}
