//! Messages as they travel.

use domain::ids::DeliveryId;
use mail_parser::{HeaderForm, MessageParser};
use proptest::prelude::*;

use super::*;

fn mail() -> Email {
    Email {
        delivery_id: DeliveryId::new("0f1e2d3c"),
        from: "Grüße & Co, GmbH <Shop@example.com>".to_owned(),
        to: "ann@example.org".to_owned(),
        reply_to: vec!["\"Help, Desk\" <help@example.com>".to_owned(), "b@example.com".to_owned()],
        subject: "Ihr Gutschein über 5 €".to_owned(),
        html: Some("<p>Gr\u{fc}\u{df}e, <b>Ann</b></p>\n".to_owned()),
        text: Some("Gr\u{fc}\u{df}e, Ann\n.\n".to_owned()),
        headers: vec![("X-Campaign".to_owned(), "spring sale".to_owned())],
        list_unsubscribe: Some(ListUnsubscribe {
            url: Some("https://example.com/u?t=abc".to_owned()),
            mailto: Some("stop@example.com?subject=stop".to_owned()),
        }),
        raw: None,
        return_path: Some("bounces@example.com".to_owned()),
        date: Timestamp(1_790_000_000_000),
    }
}

fn text_of(mail: &Email) -> String {
    String::from_utf8(build(mail, &[]).unwrap().bytes).unwrap()
}

#[test]
fn a_whole_message() {
    let message = build(&mail(), &[]).unwrap();
    assert_eq!((message.from.as_str(), message.to.as_str()), ("bounces@example.com", "ann@example.org"));
    assert_eq!((message.eight_bit, message.utf8_address), (false, false));
    assert_eq!(build(&mail(), &[]).unwrap(), message, "the same bytes each time");
    insta::assert_snapshot!(String::from_utf8(message.bytes).unwrap().replace("\r\n", "\n"), @r#"
    From: =?utf-8?b?R3LDvMOfZSAmIENvLCBHbWJI?= <Shop@example.com>
    To: ann@example.org
    Reply-To: =?utf-8?b?SGVscCwgRGVzaw==?= <help@example.com>, b@example.com
    Subject: Ihr Gutschein =?utf-8?b?w7xiZXI=?= 5 =?utf-8?b?4oKs?=
    Date: Mon, 21 Sep 2026 14:13:20 +0000
    Message-ID: <0f1e2d3c@example.com>
    X-Campaign: spring sale
    List-Unsubscribe: <https://example.com/u?t=abc>,
     <mailto:stop@example.com?subject=stop>
    List-Unsubscribe-Post: List-Unsubscribe=One-Click
    MIME-Version: 1.0
    Content-Type: multipart/alternative;
     boundary="cp-d1b0aae58822367cec0912e5e738b7b3"

    --cp-d1b0aae58822367cec0912e5e738b7b3
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: base64

    R3LDvMOfZSwgQW5uDQouDQo=
    --cp-d1b0aae58822367cec0912e5e738b7b3
    Content-Type: text/html; charset=utf-8
    Content-Transfer-Encoding: quoted-printable

    <p>Gr=C3=BC=C3=9Fe, <b>Ann</b></p>

    --cp-d1b0aae58822367cec0912e5e738b7b3--
    "#);
}

#[test]
fn single_parts_and_their_encodings() {
    let end_of = |text: Option<&str>, html: Option<&str>| {
        let mail = Email { text: text.map(str::to_owned), html: html.map(str::to_owned), ..mail() };
        let text = text_of(&mail);
        text.split_once("MIME-Version: 1.0\r\n").unwrap().1.to_owned()
    };
    assert_eq!(
        end_of(Some("plain\rold\r\nnew"), None),
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nplain\r\nold\r\nnew\r\n"
    );
    assert_eq!(
        end_of(None, Some("<p>ä</p>")),
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=A4</p>\r\n"
    );
    assert_eq!(
        end_of(Some("日本語"), None),
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n5pel5pys6Kqe\r\n"
    );
}

#[test]
fn addresses_are_read() {
    for (text, name, address) in [
        ("a@b.example", None, "a@b.example"),
        (" <a@b.example> ", None, "a@b.example"),
        ("Ann <a@b.example>", Some("Ann"), "a@b.example"),
        ("\"Ann \\\"A\\\" Lee\" <a@b.example>", Some("Ann \"A\" Lee"), "a@b.example"),
        ("Lee, Ann (x) <a@b.example>", Some("Lee, Ann (x)"), "a@b.example"),
        ("=?utf-8?B?R3LDvMOfZQ==?= Co <a@b.example>", Some("Grüße Co"), "a@b.example"),
        ("a+b.c@bücher.example", None, "a+b.c@xn--bcher-kva.example"),
        ("jürgen@b.example", None, "jürgen@b.example"),
        ("\"a b\"@b.example", None, "\"a b\"@b.example"),
        ("a@[192.0.2.1]", None, "a@[192.0.2.1]"),
    ] {
        let parsed = MailAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed.mailbox().name.as_deref(), name, "{text}");
        assert_eq!(parsed.address(), address, "{text}");
    }
    for (text, error) in [
        ("", AddressError::Empty),
        ("a@b.example\r\nBcc: x@y.example", AddressError::ControlCharacter),
        ("Ann\n <a@b.example>", AddressError::ControlCharacter),
        ("ann", AddressError::NoAt),
        ("Ann <>", AddressError::NoAt),
        ("@b.example", AddressError::User),
        ("a b@b.example", AddressError::User),
        ("a@b.example, c@d.example", AddressError::User),
        ("a> RCPT TO:<x@b.example", AddressError::User),
        ("a@", AddressError::Domain),
        ("a@b example", AddressError::Domain),
        ("a@b..example", AddressError::Domain),
        ("a@b.example>", AddressError::Domain),
    ] {
        assert_eq!(MailAddress::parse(text), Err(error), "{text}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let header = |name: &str, value: &str| {
        let headers = vec![(name.to_owned(), value.to_owned())];
        build(&Email { headers, ..mail() }, &[]).unwrap_err()
    };
    // Which headers may be set is told by `domain::email`, and asked again of what a template made.
    assert_eq!(header("Bcc", "x"), HeaderFault::Reserved("Bcc".to_owned()).into());
    assert_eq!(header("X\r\nBcc", "x"), HeaderFault::Name("X\r\nBcc".to_owned()).into());
    for value in ["a\r\nBcc: b", "a\0b", &"x".repeat(871)] {
        assert_eq!(header("X-A", value), HeaderFault::Value("X-A".to_owned()).into());
    }
    let headers = vec![("X-A".to_owned(), "b".to_owned()); HEADERS_MAX + 1];
    let refused = build(&Email { headers, ..mail() }, &[]).unwrap_err();
    assert_eq!(refused, Refused::TooMany { what: "the list of headers", max: HEADERS_MAX });
    let refused = |change: fn(&mut Email)| {
        let mut mail = mail();
        change(&mut mail);
        build(&mail, &[]).unwrap_err()
    };
    assert_eq!(refused(|it| it.delivery_id = DeliveryId::new("a b")), Refused::DeliveryId);
    assert_eq!(refused(|it| it.delivery_id = DeliveryId::new("")), Refused::DeliveryId);
    assert_eq!(refused(|it| it.subject = "x".repeat(901)), Refused::Subject);
    assert_eq!(refused(|it| (it.text, it.html) = (None, None)), Refused::NoContent);
    assert_eq!(refused(|it| it.text = Some("x".repeat(11 << 20))), Refused::TooLarge);
    assert_eq!(refused(|it| it.raw = Some(b"no header\r\n".to_vec())), Refused::RawHeaders);
    assert_eq!(refused(|it| it.raw = Some(b"\r\nbody\r\n".to_vec())), Refused::RawHeaders);
    let unsubscribe = |url: Option<&str>, mailto: Option<&str>| {
        let list = ListUnsubscribe { url: url.map(str::to_owned), mailto: mailto.map(str::to_owned) };
        build(&Email { list_unsubscribe: Some(list), ..mail() }, &[]).unwrap_err()
    };
    assert_eq!(unsubscribe(Some("http://example.com"), None), Refused::Unsubscribe("URL"));
    assert_eq!(unsubscribe(Some("https://e.com/>\r\nX: y"), None), Refused::Unsubscribe("URL"));
    assert_eq!(unsubscribe(None, Some("nobody")), Refused::Unsubscribe("address"));
    let to = refused(|it| it.to = "nobody".to_owned());
    assert_eq!(to.to_string(), "the recipient is not a mail address: it has no @");
}

#[test]
fn the_longest_header_fits_in_its_lines() {
    let name = format!("X-{}", "n".repeat(124));
    for value in ["v".repeat(870), "ä".repeat(870), format!("{} w", "v".repeat(868)), "w ".repeat(435)] {
        let text = text_of(&Email { headers: vec![(name.clone(), value.clone())], ..mail() });
        assert!(text.contains(&format!("\r\n{name}: ")), "{text}");
        assert!(text.split("\r\n").all(|line| line.len() <= 998), "{text}");
        let parsed = MessageParser::new().parse(text.as_bytes()).unwrap();
        let read = parsed.header_as(&*name, HeaderForm::Text);
        let read = read.first().and_then(|read| read.as_text()).unwrap_or_default();
        assert_eq!(words(read), words(&value));
    }
}

#[test]
fn the_callers_own_unsubscribe_header_comes_first() {
    let own = ("list-unsubscribe".to_owned(), "<https://other.example/u>".to_owned());
    let text = text_of(&Email { headers: vec![own], ..mail() });
    assert!(text.contains("list-unsubscribe: <https://other.example/u>\r\n"));
    assert!(!text.contains("List-Unsubscribe"));
}

#[test]
fn a_raw_message_is_completed_and_otherwise_kept() {
    let raw = |bytes: &[u8]| {
        let message = build(&Email { raw: Some(bytes.to_vec()), ..mail() }, &[]).unwrap();
        (String::from_utf8(message.bytes).unwrap(), message.eight_bit, message.utf8_address)
    };
    let (text, eight_bit, utf8) = raw("subject: ä\nX: 1\n\nbody\r.\r\n\n".as_bytes());
    assert_eq!(
        text,
        "Message-ID: <0f1e2d3c@example.com>\r\nDate: Mon, 21 Sep 2026 14:13:20 +0000\r\n\
         subject: ä\r\nX: 1\r\n\r\nbody\r\n.\r\n\r\n"
    );
    assert_eq!((eight_bit, utf8), (true, false));
    let own = "message-id : <own@x>\r\nDATE: today\r\n\r\nhi\r\n";
    assert_eq!(raw(own.as_bytes()).0, own);
    assert_eq!(raw(b"Date: x\r\nMessage-ID: <y@z>").0, "Date: x\r\nMessage-ID: <y@z>\r\n");
}

#[test]
fn the_null_sender_and_a_sender_beyond_ascii() {
    for path in ["", "<>"] {
        assert_eq!(build(&Email { return_path: Some(path.to_owned()), ..mail() }, &[]).unwrap().from, "");
    }
    let message =
        build(&Email { return_path: None, from: "jürgen@bücher.example".to_owned(), ..mail() }, &[]).unwrap();
    assert_eq!((message.from.as_str(), message.utf8_address), ("jürgen@xn--bcher-kva.example", true));
}

#[test]
fn a_subject_is_one_line() {
    let text = text_of(&Email { subject: " one\r\n two\tthree\n".to_owned(), ..mail() });
    assert!(text.contains("\r\nSubject: one   two three\r\n"), "{text}");
}

#[test]
fn dates_at_the_ends_of_time() {
    for (at, year) in [(i64::MIN, "1970"), (0, "1970"), (i64::MAX, "9999")] {
        assert!(text_of(&Email { date: Timestamp(at), ..mail() }).contains(&format!(" {year} ")));
    }
}

/// Texts that try to break out: line breaks, encoded words, quotes, everything else.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("\r\nBcc: evil@example.com\r\n\r\n".to_owned()),
        Just("\n.\nRCPT TO:<evil@example.com>".to_owned()),
        Just("=?utf-8?q?=0D=0ABcc:_evil?=".to_owned()),
        Just("\"\\<>@,;:".to_owned()),
        Just(" ".to_owned()),
        Just("long ".repeat(60)),
        Just("ü".repeat(120)),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the texts: refused, or a message with exactly our headers whose texts read back.
    #[test]
    fn no_text_breaks_out(subject in nasty(), name in nasty(), text in nasty(), html in nasty(), value in nasty()) {
        let mail = Email {
            from: format!("{name} <shop@example.com>"),
            subject: subject.clone(),
            text: Some(text.clone()),
            html: Some(html.clone()),
            headers: vec![("X-Custom".to_owned(), value.clone())],
            reply_to: Vec::new(),
            list_unsubscribe: None,
            ..mail()
        };
        let Ok(message) = build(&mail, &[]) else {
            // Refused for a reason that is in the texts.
            let controls = name.trim_start().contains(char::is_control) || value.trim().contains(char::is_control);
            let long = value.trim().chars().count() > 870;
            prop_assert!(controls || long || has_long_word(&subject) || name.len() > 500);
            return Ok(());
        };
        prop_assert!(message.bytes.is_ascii());
        for line in message.bytes.split_inclusive(|&byte| byte == b'\n') {
            prop_assert!(line.ends_with(b"\r\n") && line.len() <= 998);
            prop_assert!(!line[..line.len() - 2].iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
        let parsed = MessageParser::new().parse(&message.bytes).unwrap();
        let names: Vec<_> = parsed.headers().iter().map(mail_parser::Header::name).collect();
        let expected = ["From", "To", "Subject", "Date", "Message-ID", "X-Custom", "MIME-Version", "Content-Type"];
        prop_assert_eq!(names, expected);
        let from = parsed.from().and_then(|from| from.first()).unwrap();
        prop_assert_eq!(from.address(), Some("shop@example.com"));
        // Encoded words of the caller's are passed on, so these do not read back as they were written.
        if !subject.contains("=?") {
            prop_assert_eq!(words(parsed.subject().unwrap_or_default()), words(&subject));
        }
        if !value.contains("=?") {
            let read = parsed.header_as("X-Custom", HeaderForm::Text);
            let read = read.first().and_then(|read| read.as_text()).unwrap_or_default();
            prop_assert_eq!(words(read), words(&value));
        }
        prop_assert_eq!(lines(&parsed.body_text(0).unwrap_or_default()), lines(&text));
        prop_assert_eq!(lines(&parsed.body_html(0).unwrap_or_default()), lines(&html));
    }

    #[test]
    fn any_address_is_read_or_refused(text in nasty()) {
        if let Ok(address) = MailAddress::parse(&text) {
            let plain = address.address();
            prop_assert!(!plain.contains(char::is_control) && plain.contains('@'));
            prop_assert_eq!(MailAddress::parse(&plain).map(|it| it.address()), Ok(plain));
        }
    }
}

/// Folding may make more or fewer spaces.
fn words(text: &str) -> Vec<String> {
    text.replace(char::is_control, " ").split_whitespace().map(str::to_owned).collect()
}

/// Line ends may differ, and NUL cannot be sent.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}").trim_end_matches('\n').to_owned()
}
