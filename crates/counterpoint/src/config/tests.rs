use std::io::Write as _;

use super::{Config, ConfigError, Overrides};

fn load(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, ConfigError> {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let overrides = Overrides {
        environment: environment.collect(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
    };
    Config::load(Some(written.path()), &overrides)
}

#[track_caller]
fn fails(file: &str, environment: &[(&str, &str)], flags: &[&str], part: &str) {
    let error = load(file, environment, flags).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
    assert!(!error.contains("hush"), "a secret is told: {error}");
}

#[test]
fn defaults_are_complete_and_print_as_a_file_that_reads_the_same() {
    let config = load("", &[], &[]).unwrap();
    assert!(config.without_effect().is_empty());
    let again = load(&config.to_string(), &[], &[]).unwrap();
    assert_eq!(again.to_string(), config.to_string());
}

#[test]
fn later_sources_win() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\ndata_dir = \"file\"\n[email]\nconnections = 3\n";
    let environment =
        [("COUNTERPOINT_SERVER__LISTEN", "127.0.0.1:2"), ("COUNTERPOINT_EMAIL__CONNECTIONS", "4")];
    let config = load(file, &environment, &["email.connections=5", "server.throttle_scale=0"]).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.data_dir.to_str(), Some("file"));
    assert_eq!(config.email.connections, 5);
    assert!(config.server.throttle_scale.abs() < f64::EPSILON);
}

#[test]
fn texts_of_the_environment_stay_texts() {
    let environment = [
        ("COUNTERPOINT_AUTH__ACCOUNT_ID", "000000000123"),
        ("COUNTERPOINT_AUTH__ROOT_ACCESS_KEY_ID", "0042"),
        ("COUNTERPOINT_AUTH__ROOT_SECRET_ACCESS_KEY", "0007"),
        ("COUNTERPOINT_TEST_SMTP", "1"),
    ];
    let config = load("", &environment, &[]).unwrap();
    assert_eq!(config.auth.account_id, "000000000123");
    assert_eq!(config.auth.root_access_key_id, "0042");
    assert_eq!(config.auth.root_secret_access_key.reveal(), "0007");
}

#[test]
fn what_is_wrong_is_named() {
    fails("[server]\nlisen = \"x\"", &[], &[], "lisen");
    fails("[sever]\n", &[], &[], "sever");
    fails("[server]\nlisten = \"nowhere\"", &[], &[], "server.listen");
    fails("", &[("COUNTERPOINT_SERVER_LISTEN", "x")], &[], "COUNTERPOINT_SERVER_LISTEN names no key");
    fails(
        "",
        &[("COUNTERPOINT_EMAIL__CONNECTIONS", "many")],
        &[],
        "COUNTERPOINT_EMAIL__CONNECTIONS must be a whole number",
    );
    fails("", &[], &["email.connections"], "section.key=value");
    fails("", &[], &["email.connections=0"], "email.connections");
    fails("", &[], &["email.list_unsubscribe_url=http://shop.example/u"], "email.list_unsubscribe_url");
    let long = format!("email.list_unsubscribe_url=https://shop.example/{{delivery_id}}{}", "x".repeat(860));
    fails("", &[], &[&long], "email.list_unsubscribe_url");
    fails("", &[], &["email.list_unsubscribe_mailto=nobody"], "email.list_unsubscribe_mailto");
    load("", &[], &["email.list_unsubscribe_mailto=unsubscribe+{delivery_id}@shop.example"]).unwrap();
    fails("[email]\ntransport = \"smtp://relay?connections=3\"", &[], &[], "email.connections");
    fails("[email]\ntransport = \"pigeon\"", &[], &[], "sandbox, smtp://");
    fails("[objects]\ndirectory = \"a\"\ns3_endpoint = \"http://b\"", &[], &[], "exclude each other");
    fails("[auth]\nroot_access_key_id = \"ABCD\"", &[], &[], "together");
    let missing = Config::load(Some("/nonexistent/file.toml".as_ref()), &Overrides::default()).unwrap_err();
    assert!(missing.to_string().contains("does not exist"), "{missing}");
}

#[test]
fn secrets_are_in_no_error_and_not_printed() {
    fails("[auth]\nroot_secret_access_key = \"hush\"", &[], &[], "together");
    fails("[email]\ntransport = \"smtp://user:hush@host/path\"", &[], &[], "path");
    let number = load("[auth]\nroot_secret_access_key = 4711", &[], &[]).unwrap_err().to_string();
    assert!(number.contains("root_secret_access_key") && !number.contains("4711"), "{number}");
    let file = "[auth]\nroot_access_key_id = \"ABCD\"\nroot_secret_access_key = \"hush\"\n[email]\ntransport = \"smtp://me:hush@host\"\n\
        [aws]\nsecret_access_key = \"hush\"\n[sms]\ntransport = \"smpp://me:hush@host\"\n[objects]\ns3_secret_access_key = \"hush\"";
    let config = load(file, &[], &[]).unwrap();
    for shown in [config.to_string(), format!("{config:?}")] {
        assert!(!shown.contains("hush"), "{shown}");
    }
    assert_eq!(config.without_effect(), ["sms.transport", "aws.secret_access_key"]);
}
