//! The URL of a transport.

use super::*;
use crate::smtp::options::{Credentials, SmtpOptionsError};

#[test]
fn urls_are_read() {
    let options: SmtpOptions = "smtp://mail.example.com".parse().unwrap();
    assert_eq!((options.host.as_str(), options.port), ("mail.example.com", 587));
    assert_eq!((options.tls, options.credentials), (TlsMode::Opportunistic, None));
    let options: SmtpOptions = "smtps://ann%40example.com:p%3Aw%2F%C3%BC@[2001:db8::1]/".parse().unwrap();
    assert_eq!((options.host.as_str(), options.port, options.tls), ("2001:db8::1", 465, TlsMode::Implicit));
    let credentials = Credentials { user: "ann@example.com".to_owned(), password: "p:w/ü".to_owned() };
    assert_eq!(options.credentials, Some(credentials));
    let url = "smtp://a:b@h:25?tls=none&connections=3&messages_per_connection=9&idle_seconds=7&hello=me.example.com\
               &message_timeout_seconds=5&ca_file=%2Fetc%2Fca.pem";
    let options: SmtpOptions = url.parse().unwrap();
    assert_eq!((options.tls, options.connections, options.messages_per_connection), (TlsMode::None, 3, 9));
    assert_eq!((options.idle, options.timeouts.message), (Duration::from_secs(7), Duration::from_secs(5)));
    assert_eq!(
        (options.hello.as_deref(), options.ca_file),
        (Some("me.example.com"), Some("/etc/ca.pem".into()))
    );
    // With a password, plain text only when it is asked for.
    let options: SmtpOptions = "smtp://a:b@h".parse().unwrap();
    assert_eq!(options.tls, TlsMode::Required);
    let options: SmtpOptions = "smtp://h?tls=insecure".parse().unwrap();
    assert_eq!((options.tls, options.accept_any_certificate), (TlsMode::Required, true));
}

#[test]
fn faults_are_named() {
    use SmtpOptionsError as E;
    for (url, expected) in [
        ("http://h", E::Scheme),
        ("", E::Scheme),
        ("smtp://", E::Host),
        ("smtp://:25", E::Host),
        ("smtp://a b", E::Host),
        ("smtp://[::1", E::Host),
        ("smtp://h:", E::Port),
        ("smtp://h:0", E::Port),
        ("smtp://h:65536", E::Port),
        ("smtp://[::1]x", E::Port),
        ("smtp://h/path", E::Path),
        ("smtp://a@h", E::Credentials),
        ("smtp://a:@h", E::Credentials),
        ("smtp://a:%00@h", E::Credentials),
        ("smtp://h?x=1", E::UnknownOption("x".to_owned())),
        ("smtp://h?tls=none&tls=none", E::Repeated("tls".to_owned())),
        ("smtp://h?connections=0", E::Value { option: "connections", expected: "a number from 1 to 1000" }),
        (
            "smtp://h?tls=maybe",
            E::Value { option: "tls", expected: "none, opportunistic, required or insecure" },
        ),
        ("smtps://h?tls=none", E::Value { option: "tls", expected: "required or insecure with smtps://" }),
        ("smtp://h?hello=a%0d%0ab", E::Value { option: "hello", expected: "a host name" }),
    ] {
        assert_eq!(url.parse::<SmtpOptions>(), Err(expected), "{url}");
    }
}

#[test]
fn the_password_is_never_shown() {
    let options: SmtpOptions = "smtps://ann:hunter2@[::1]:465".parse().unwrap();
    assert_eq!(options.to_string(), "smtps://ann:***@[::1]:465");
    let client = SmtpClient::new(options.clone()).unwrap();
    assert!(!format!("{options} {options:?} {options:#?} {client:?}").contains("hunter2"));
    let fault = "smtp://ann:hunter2@h:x".parse::<SmtpOptions>().unwrap_err();
    assert!(!format!("{fault} {fault:?}").contains("hunter2"));
}

#[test]
fn a_shown_url_gives_the_same_options() {
    for url in [
        "smtp://relay.example.com:25",
        "smtp://relay:25?tls=required&ca_file=%2Fetc%2Fca%26b%2Epem&hello=mail%2Eexample%2Ecom",
        "smtp://relay:587?tls=none&connections=3&messages_per_connection=7&idle_seconds=5&message_timeout_seconds=60",
        "smtp://a%40b:***@relay:587",
        "smtp://ann:***@relay:587?tls=opportunistic",
        "smtps://ann:***@[::1]:465",
        "smtps://relay:465?tls=insecure",
        "smtp://relay:25?tls=insecure",
    ] {
        let options: SmtpOptions = url.parse().unwrap();
        assert_eq!(options.url(), url);
    }
}

#[test]
fn what_tls_needs_is_checked_before_the_first_mail() {
    for url in
        ["smtp://a_b..c?tls=required", "smtp://h?ca_file=/nowhere/ca.pem", "smtp://h?ca_file=/dev/null"]
    {
        assert!(SmtpClient::new(url.parse().unwrap()).is_err(), "{url}");
    }
}
