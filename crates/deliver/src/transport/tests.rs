//! The transport as the engine sees it.

use std::sync::Mutex;

use domain::ids::DeliveryId;
use domain::time::Timestamp;

use super::*;
use crate::sandbox::{Mailbox, MailboxLimits, SinkOptions, SmtpSink};

const KEY_PEM: &str = include_str!("../../tests/dkim-test-key.pem");

fn mail(from: &str, to: &str) -> Email {
    Email {
        delivery_id: DeliveryId::new("d-1"),
        from: from.to_owned(),
        to: to.to_owned(),
        reply_to: Vec::new(),
        subject: "hello".to_owned(),
        html: None,
        text: Some("hello".to_owned()),
        headers: Vec::new(),
        list_unsubscribe: None,
        raw: None,
        return_path: None,
        date: Timestamp(0),
    }
}

fn key(domain: &str) -> DkimKey {
    DkimKey::new(domain, "s1", KEY_PEM).unwrap()
}

#[tokio::test]
async fn mail_of_a_domain_with_a_key_is_signed_on_its_way() {
    let mailbox = Arc::new(Mailbox::in_memory(MailboxLimits::default()));
    let sink = SmtpSink::start(Arc::clone(&mailbox), SinkOptions::default(), || Timestamp(0)).await.unwrap();
    let transport = EmailTransport::smtp(sink.options(), vec![key("example.com")]).unwrap();
    for from in ["shop@news.example.com", "shop@other.example"] {
        assert!(matches!(transport.send(&mail(from, "ann@example.org")).await, Outcome::Accepted { .. }));
    }
    let is_signed = |id| mailbox.message(id).unwrap().headers[0].0 == "DKIM-Signature";
    assert_eq!((is_signed(1), is_signed(2)), (true, false));
    assert!(!transport.deduplicates());
    assert_eq!(transport.mails_in_flight_max(), sink.options().connections);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_for_good() {
    // Nobody listens there: a mail that is refused needs no server.
    let transport = EmailTransport::smtp(SmtpOptions::plain("127.0.0.1", 1), Vec::new()).unwrap();
    let outcome = transport.send(&mail("shop@example.com", "nobody")).await;
    let detail = "the recipient is not a mail address: it has no @".to_owned();
    assert_eq!(outcome, Outcome::Permanent { code: None, detail });
}

#[test]
fn one_key_for_a_domain() {
    let keys = vec![key("example.com"), key("example.org"), key("Example.com")];
    let error = EmailTransport::smtp(SmtpOptions::plain("h", 25), keys).unwrap_err();
    assert_eq!(error.to_string(), "two DKIM keys for the domain example.com");
}

#[tokio::test]
async fn a_simulated_transport_answers_as_told() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let transport = EmailTransport::simulated(move |mail| {
        log.lock().unwrap().push(mail.to.clone());
        Outcome::Unknown { detail: "the world ended".to_owned() }
    });
    let outcome = transport.clone().send(&mail("a@b.example", "ann@example.org")).await;
    assert_eq!(outcome, Outcome::Unknown { detail: "the world ended".to_owned() });
    assert!(!outcome.may_retry());
    assert_eq!(*seen.lock().unwrap(), ["ann@example.org"]);
}
