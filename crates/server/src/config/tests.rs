//! Tables of configurations: good ones by their effect, bad ones by where and how they are refused.

use super::*;

fn load(file: &str, variables: &[(&str, &str)], overrides: &Overrides) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stanchion.toml");
    std::fs::write(&path, file).unwrap();
    let overrides = Overrides { config: Some(path), ..overrides.clone() };
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Config::load_from(&overrides, variables)
        .map_err(|error| error.to_string().replace(&dir.path().display().to_string(), "DIR"))
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let none = Overrides::default();
    let flag = Overrides { port: Some("4".into()), ..Overrides::default() };
    let variable = [("STANCHION_PORT", "3"), ("PORT", "9")];
    assert_eq!(load("", &[], &none).unwrap().port, Some(7379));
    assert_eq!(load("port = 2", &[], &none).unwrap().port, Some(2));
    assert_eq!(load("port = 2", &variable, &none).unwrap().port, Some(3));
    assert_eq!(load("port = 2", &variable, &flag).unwrap().port, Some(4));
}

#[test]
fn every_kind_of_value_is_read() {
    let config = load(
        "bind = \"::1\"\ndurability = \"250ms\"\nlog-format = \"json\"\nrequirepass = \"secret\"\n\
         lease-grace = 1500\n[limits]\nname-bytes-max = 100\n",
        &[],
        &Overrides::default(),
    )
    .unwrap();
    assert_eq!(config.bind, ["::1".parse::<IpAddr>().unwrap()]);
    assert_eq!(config.durability, Durability::Interval(Duration::from_millis(250)));
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.lease_grace, Duration::from_millis(1500));
    assert_eq!(config.limits.name_bytes_max, 100);
    let password = config.password.unwrap();
    assert_eq!(password.reveal(), "secret");
    assert_eq!(format!("{password:?}"), "(hidden)");
}

#[test]
fn lists_are_written_as_lists_or_with_spaces() {
    let none = Overrides::default();
    let want: Vec<IpAddr> = ["127.0.0.1", "::1"].iter().map(|ip| ip.parse().unwrap()).collect();
    assert_eq!(load("bind = [\"127.0.0.1\", \"::1\"]", &[], &none).unwrap().bind, want);
    assert_eq!(load("", &[("STANCHION_BIND", "127.0.0.1 ::1")], &none).unwrap().bind, want);
    for nothing in ["bind = []", "bind = \"\"", "bind = [[]]", "bind = \"localhost\""] {
        let error = load(nothing, &[], &none).unwrap_err();
        assert!(error.ends_with("write IP addresses such as 127.0.0.1, 0.0.0.0 or ::1"), "{error}");
    }
}

#[test]
fn the_network_can_be_switched_off() {
    let none = Overrides::default();
    let config =
        load("port = \"off\"\nunix-socket = \"/run/s\"\nunix-socket-mode = 770", &[], &none).unwrap();
    assert_eq!((config.port, config.unix_socket_mode), (None, 0o770));
    assert_eq!(config.unix_socket, Some("/run/s".into()));
    assert_eq!(
        load("port = \"off\"", &[], &none).unwrap_err(),
        "port: off leaves nothing to listen on; set tls-port, unix-socket, or a port"
    );
    for wrong in ["unix-socket-mode = 888", "unix-socket-mode = 1000"] {
        assert!(load(wrong, &[], &none).unwrap_err().contains("write an octal number"), "{wrong}");
    }
    let long = format!("unix-socket = \"/{}\"", "x".repeat(107));
    assert!(load(&long, &[], &none).is_err());
}

#[test]
fn problems_in_the_file_name_the_line_and_the_remedy() {
    for (file, want) in [
        (
            "bind = \"127.0.0.1\"\nprot = 1\n",
            "DIR/stanchion.toml:2: there is no key 'prot'; did you mean 'port'?",
        ),
        (
            "\n\nport = 99999\n",
            "DIR/stanchion.toml:3: '99999' is not a value of port; write a number from 0 to 65535, or off",
        ),
        ("port = [1]", "DIR/stanchion.toml:1: port is one value; write a number from 0 to 65535, or off"),
        (
            "durability = \"0s\"",
            "DIR/stanchion.toml:1: '0s' is not a value of durability; write always, never or an interval such as 1s",
        ),
        (
            "disabled-commands = [\"flushall\", \"config|st\"]",
            "DIR/stanchion.toml:1: 'flushall config|st' is not a value of disabled-commands; write names of commands, such as flushall,config|set",
        ),
        (
            "[users]\nann = \"on >secret +nonsense\"",
            "DIR/stanchion.toml:2: Error in ACL SETUSER modifier '+nonsense': Unknown command or category name in ACL",
        ),
        (
            "[users]\nann = [\"on\", \">secret\"]",
            "DIR/stanchion.toml:2: a user's rules are one text; write ann = \"on >password ~glob +@category\"",
        ),
        ("users = \"ann\"", "DIR/stanchion.toml:1: users is a table; write [users]"),
        (
            "aclfile = \"f\"\nrequirepass = \"secret\"",
            "aclfile: has no place beside requirepass; give the default user its password in the file",
        ),
        (
            "aclfile = \"f\"\n[users]\nann = \"on\"",
            "aclfile: has no place beside [users]; write all users into the file, or all into the configuration",
        ),
        (
            "requirepass = \"secret\"\n[users]\ndefault = \"on\"",
            "users.default: has no place beside requirepass; give the default user its password here",
        ),
        ("limits = 3", "DIR/stanchion.toml:1: 'limits' is a table; write [limits]"),
        (
            "[limits]\nname-bytes = 3",
            "DIR/stanchion.toml:2: there is no key 'limits.name-bytes'; did you mean 'limits.name-bytes-max'?",
        ),
        ("[queues]\nmatch = \"a\"", "DIR/stanchion.toml:1: queues is a list of tables; write [[queues]]"),
        (
            "[[queues]]\nlease = \"1h\"",
            "DIR/stanchion.toml:1: this [[queues]] table names no queues; add match = \"glob\"",
        ),
        (
            "[[queues]]\nmatch = \"a*\"\nlaese = \"1h\"",
            "DIR/stanchion.toml:3: there is no queue setting 'laese'; did you mean 'lease'?",
        ),
    ] {
        assert_eq!(load(file, &[], &Overrides::default()).unwrap_err(), want);
    }
    let broken = load("port = 1\nbind = ", &[], &Overrides::default()).unwrap_err();
    assert!(broken.starts_with("DIR/stanchion.toml:2: not TOML: "), "{broken}");
    assert!(!broken.contains('\n'), "{broken}");
}

#[test]
fn a_broken_file_does_not_show_its_passwords() {
    for file in
        ["requirepass = secret", "requirepass = \"secret", "[users]\nann = on >secret", "users.ann = secret"]
    {
        let error = load(file, &[], &Overrides::default()).unwrap_err();
        assert!(error.contains("not TOML") && !error.contains("secret"), "{error}");
    }
    let users = load("[users]\nann = \"on >secret\"", &[], &Overrides::default()).unwrap();
    assert!(!format!("{users:?}").contains("secret"));
}

#[test]
fn problems_elsewhere_name_their_variable_or_flag() {
    let none = Overrides::default();
    assert_eq!(
        load("", &[("STANCHION_PROT", "1")], &none).unwrap_err(),
        "STANCHION_PROT: there is no variable 'STANCHION_PROT'; did you mean 'STANCHION_PORT'?"
    );
    assert_eq!(
        load("", &[("STANCHION_LIMITS_NAME_BYTES_MAX", "256")], &none).unwrap_err(),
        "STANCHION_LIMITS_NAME_BYTES_MAX: '256' is not a value of limits.name-bytes-max; write a number from 1 to 255"
    );
    let flag = Overrides { shards: Some("0".into()), ..Overrides::default() };
    assert_eq!(
        load("", &[], &flag).unwrap_err(),
        "--shards: '0' is not a value of shards; write a number from 1 to 256"
    );
    let secret = load("requirepass = [1]", &[], &none).unwrap_err();
    assert!(!secret.contains("[1]"), "{secret}");
    let contradiction = load("[limits]\nargs-bytes-max = 1024", &[], &none).unwrap_err();
    assert!(contradiction.starts_with("limits.payload-bytes-max: "), "{contradiction}");
}

#[test]
fn a_missing_file_is_refused() {
    let overrides = Overrides { config: Some("/nonexistent/stanchion.toml".into()), ..Overrides::default() };
    let error = Config::load_from(&overrides, []).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/stanchion.toml: the configuration cannot be read"), "{error}");
}

#[test]
fn names_in_the_table_are_unique_and_have_legal_defaults() {
    let config = Config::default();
    assert_eq!(config.port, Some(7379));
    for (i, option) in OPTIONS.iter().enumerate() {
        assert!(OPTIONS[..i].iter().all(|other| other.variable() != option.variable()), "{}", option.name);
        assert!(option.expected.starts_with("write "), "{}", option.name);
    }
}

#[test]
fn durations_are_read_and_written() {
    for (text, ms) in
        [("0", 0), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("7d", 604_800_000)]
    {
        assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "s", "1 s", "-1", "1.5s", "99999d", "18446744073709551616"] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
    for text in ["0ms", "250ms", "30s", "5m", "1h", "7d", "90s"] {
        assert_eq!(duration_text(parse_duration(text).unwrap()), text);
    }
}
