//! The sandbox over real TCP.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::channels::ChannelType;
use domain::ids::DeliveryId;
use domain::time::Timestamp;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::{Email, EmailTransport, Outcome};

const NOON: i64 = 1_790_000_000_000;

fn mail(id: &str, to: &str) -> Email {
    Email {
        delivery_id: DeliveryId::new(id),
        from: "Shop & Co <shop@example.com>".to_owned(),
        to: to.to_owned(),
        reply_to: Vec::new(),
        subject: format!("Grüße an {to}"),
        html: Some("<p>Grüße</p>".to_owned()),
        text: Some("Grüße\n.\n".to_owned()),
        headers: vec![("X-Campaign".to_owned(), "spring".to_owned())],
        list_unsubscribe: None,
        raw: None,
        return_path: Some("bounces@example.com".to_owned()),
        date: Timestamp(NOON),
    }
}

/// A sink whose clock moves on a second with each message, and a transport to it.
async fn sandbox(mailbox: Arc<Mailbox>) -> (SmtpSink, EmailTransport) {
    let clock = AtomicI64::new(NOON);
    let options = SinkOptions { slow: Duration::from_millis(20), ..SinkOptions::default() };
    let now = move || Timestamp(clock.fetch_add(1_000, Ordering::Relaxed));
    let sink = SmtpSink::start(mailbox, options, now).await.unwrap();
    let transport = EmailTransport::smtp(sink.options(), Vec::new()).unwrap();
    (sink, transport)
}

fn in_memory() -> Arc<Mailbox> {
    Arc::new(Mailbox::in_memory(MailboxLimits::default()))
}

fn ids(page: &Page) -> Vec<u64> {
    page.messages.iter().map(|message| message.id).collect()
}

#[tokio::test]
async fn a_mail_is_read_as_it_was_written() {
    let mailbox = in_memory();
    let (sink, transport) = sandbox(Arc::clone(&mailbox)).await;
    let outcome = transport.send(&mail("d-1", "Ann@example.org")).await;
    assert_eq!(outcome, Outcome::Accepted { detail: "2.0.0 kept as 1".to_owned() });
    let message = mailbox.message(1).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&*message).unwrap(), @r#"
    {
      "Id": 1,
      "Channel": "EMAIL",
      "Received": "2026-09-21T14:13:20.000Z",
      "DeliveryId": "d-1",
      "From": "Shop & Co <shop@example.com>",
      "To": "Ann@example.org",
      "Subject": "Grüße an Ann@example.org",
      "Text": "Grüße\r\n.\r\n",
      "Html": "<p>Grüße</p>",
      "Headers": [
        [
          "From",
          "=?utf-8?b?U2hvcCAmIENv?= <shop@example.com>"
        ],
        [
          "To",
          "Ann@example.org"
        ],
        [
          "Subject",
          "=?utf-8?b?R3LDvMOfZQ==?= an Ann@example.org"
        ],
        [
          "Date",
          "Mon, 21 Sep 2026 14:13:20 +0000"
        ],
        [
          "Message-ID",
          "<d-1@example.com>"
        ],
        [
          "X-Campaign",
          "spring"
        ],
        [
          "MIME-Version",
          "1.0"
        ],
        [
          "Content-Type",
          "multipart/alternative; boundary=\"cp-0741a320e613baac937e2644e8e96a28\""
        ]
      ],
      "Size": 650
    }
    "#);
    transport.close().await;
    sink.stop().await;
}

#[tokio::test]
async fn parts_that_are_not_there_are_absent_and_raw_mails_are_found_by_delivery() {
    let mailbox = in_memory();
    let (_sink, transport) = sandbox(Arc::clone(&mailbox)).await;
    transport.send(&Email { html: None, ..mail("text", "a@example.org") }).await;
    transport.send(&Email { text: None, ..mail("html", "a@example.org") }).await;
    let raw = b"Message-ID: <their-own@example.com>\r\nSubject: raw\r\n\r\n.\r\n..\r\nbody";
    transport.send(&Email { raw: Some(raw.to_vec()), ..mail("raw", "a@example.org") }).await;
    let of = |id: &str| {
        let filter = Filter { delivery_id: Some(id.to_owned()), ..Filter::default() };
        let page = mailbox.messages(&filter, None, 10);
        assert_eq!(page.messages.len(), 1, "{id}");
        let message = &page.messages[0];
        (message.text.clone(), message.html.clone(), message.from.clone())
    };
    let from = "Shop & Co <shop@example.com>".to_owned();
    assert_eq!(of("text"), (Some("Grüße\r\n.\r\n".to_owned()), None, from.clone()));
    assert_eq!(of("html"), (None, Some("<p>Grüße</p>\r\n".to_owned()), from));
    // No From of its own: the envelope's.
    assert_eq!(of("raw"), (Some(".\r\n..\r\nbody\r\n".to_owned()), None, "bounces@example.com".to_owned()));
}

#[tokio::test]
async fn recipients_choose_what_happens() {
    let mailbox = in_memory();
    let (_sink, transport) = sandbox(Arc::clone(&mailbox)).await;
    let bounced = transport.send(&mail("d-1", "Bounce+spring@example.org")).await;
    assert_eq!(
        bounced,
        Outcome::Permanent { code: Some(550), detail: "5.1.1 mailbox does not exist".to_owned() }
    );
    for id in ["d-2", "d-3"] {
        let first = transport.send(&mail(id, "busy@example.org")).await;
        let detail = "4.3.0 mailbox busy, try again".to_owned();
        assert_eq!(first, Outcome::Transient { code: Some(451), detail, retry_after: None });
    }
    assert_eq!(mailbox.total(), 0);
    for id in ["d-3", "d-2"] {
        assert!(matches!(transport.send(&mail(id, "busy@example.org")).await, Outcome::Accepted { .. }));
    }
    assert!(matches!(transport.send(&mail("d-4", "slow@example.org")).await, Outcome::Accepted { .. }));
    assert!(matches!(transport.send(&mail("d-5", "slower@example.org")).await, Outcome::Accepted { .. }));
    assert_eq!(mailbox.total(), 4);
}

#[tokio::test]
async fn messages_are_found_newest_first() {
    let mailbox = in_memory();
    let (_sink, transport) = sandbox(Arc::clone(&mailbox)).await;
    for number in 1..=7 {
        let to = if number % 2 == 0 { "even@example.org" } else { "odd@example.org" };
        transport
            .send(&Email { subject: format!("Über {number}"), ..mail(&format!("d-{number}"), to) })
            .await;
    }
    let find = |filter: &Filter, before, limit| mailbox.messages(filter, before, limit);
    let all = Filter::default();
    let first = find(&all, None, 3);
    assert_eq!((ids(&first), first.next_before, first.total), (vec![7, 6, 5], Some(5), 7));
    let second = find(&all, first.next_before, 3);
    assert_eq!((ids(&second), second.next_before), (vec![4, 3, 2], Some(2)));
    let third = find(&all, second.next_before, 3);
    assert_eq!((ids(&third), third.next_before), (vec![1], None));
    let even = Filter { recipient: Some("EVEN@example.org".to_owned()), ..Filter::default() };
    assert_eq!((ids(&find(&even, None, 3)), find(&even, None, 3).next_before), (vec![6, 4, 2], None));
    let subject = Filter { subject: Some("ÜBER 5".to_owned()), ..Filter::default() };
    assert_eq!(ids(&find(&subject, None, 9)), [5]);
    let since = Filter { since: Some(Timestamp(NOON + 5_000)), ..Filter::default() };
    assert_eq!(ids(&find(&since, None, 9)), [7, 6]);
    let sms = Filter { channel: Some(ChannelType::Sms), ..Filter::default() };
    assert_eq!(ids(&find(&sms, None, 9)), [0; 0]);
}

fn sms(text: &str) -> SandboxMessage {
    SandboxMessage {
        id: 0,
        channel: ChannelType::Sms,
        received: Timestamp(NOON),
        delivery_id: Some("d".to_owned()),
        from: "+15550100".to_owned(),
        to: "+15550111".to_owned(),
        subject: None,
        text: Some(text.to_owned()),
        html: None,
        headers: Vec::new(),
        size: text.len(),
    }
}

#[test]
fn the_oldest_messages_go_first() {
    let by_count = Mailbox::in_memory(MailboxLimits { messages: 3, ..MailboxLimits::default() });
    let by_bytes = Mailbox::in_memory(MailboxLimits { bytes: 5_000, ..MailboxLimits::default() });
    for number in 1..=10 {
        by_count.store(sms(&number.to_string())).unwrap();
        by_bytes.store(sms(&"x".repeat(1_500))).unwrap();
    }
    for mailbox in [by_count, by_bytes] {
        let page = mailbox.messages(&Filter::default(), None, 100);
        assert_eq!((page.messages[0].id, page.total), (10, 10));
        assert!((2..=3).contains(&page.messages.len()));
        assert!(mailbox.message(1).is_none());
    }
}

#[test]
fn a_mailbox_outlives_its_process() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("sandbox");
    let limits = MailboxLimits { file_bytes: 1_000, ..MailboxLimits::default() };
    let mailbox = Mailbox::open(&path, limits).unwrap();
    for number in 1..=20 {
        mailbox.store(sms(&format!("text {number}"))).unwrap();
    }
    let newest = Arc::clone(&mailbox.messages(&Filter::default(), None, 1).messages[0]);
    drop(mailbox);
    let sizes =
        ["messages.ndjson", "messages.1.ndjson"].map(|name| path.join(name).metadata().unwrap().len());
    assert!(sizes.iter().all(|&size| (1..=1_000).contains(&size)), "{sizes:?}");
    // A crash in the middle of a line, and a line that is none of ours.
    let mut file = std::fs::OpenOptions::new().append(true).open(path.join("messages.ndjson")).unwrap();
    file.write_all(b"{\"other\":1}\n{\"Id\":99,\"Chan").unwrap();
    let mailbox = Mailbox::open(&path, MailboxLimits::default()).unwrap();
    let page = mailbox.messages(&Filter::default(), None, 100);
    assert_eq!((page.total, &page.messages[0]), (20, &newest));
    assert!((5..20).contains(&page.messages.len()), "{}", page.messages.len());
    assert_eq!(mailbox.store(sms("after")).unwrap(), 21);
    drop(mailbox);
    let mailbox = Mailbox::open(&path, MailboxLimits::default()).unwrap();
    assert_eq!(mailbox.message(21).unwrap().text.as_deref(), Some("after"));
    assert!(Mailbox::open(&path.join("messages.ndjson"), limits).is_err(), "not a directory");
}

#[tokio::test]
async fn many_mails_over_few_connections_arrive_once_each() {
    let mailbox = in_memory();
    let (sink, transport) = sandbox(Arc::clone(&mailbox)).await;
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..500 {
        let transport = transport.clone();
        sends.spawn(async move { transport.send(&mail(&format!("d-{number}"), "ann@example.org")).await });
    }
    while let Some(outcome) = sends.join_next().await {
        assert!(matches!(outcome.unwrap(), Outcome::Accepted { .. }));
    }
    let page = mailbox.messages(&Filter::default(), None, 1_000);
    let mut deliveries: Vec<_> = page.messages.iter().map(|it| it.delivery_id.clone().unwrap()).collect();
    deliveries.sort();
    deliveries.dedup();
    assert_eq!((deliveries.len(), page.total), (500, 500));
    sink.stop().await;
    let refused = transport.send(&mail("d-1", "ann@example.org")).await;
    assert!(matches!(refused, Outcome::PushBack { .. }), "{refused:?}");
}

/// What the server says to these bytes, up to its last word.
async fn dialogue(sink: &SmtpSink, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(sink.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

/// The codes of the replies.
fn codes(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| &line[..3]).collect()
}

#[tokio::test]
async fn the_server_keeps_to_the_protocol() {
    let mailbox = in_memory();
    let (sink, _transport) = sandbox(Arc::clone(&mailbox)).await;
    let too_many = "RCPT TO:<a@b>\r\n".repeat(101);
    for (bytes, expected) in [
        ("QUIT\r\n", "220 221"),
        ("MAIL FROM:<a@b>\r\n", "220 503"),
        ("EHLO x\r\nRCPT TO:<a@b>\r\nDATA\r\nNOOP\r\nWHAT\r\n", "220 250 503 503 250 500"),
        (
            "HELO x\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nRSET\r\nmail from: <a@b> size=99999999\r\n",
            "220 250 250 503 250 552",
        ),
        ("EHLO x\r\nMAIL FROM:a@b\r\nMAIL TO:<a@b>\r\nMAIL FROM:<a@b> X=1\r\n", "220 250 501 501 555"),
        (
            "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<>\r\nRCPT TO:<bounce@b>\r\nDATA\r\n",
            "220 250 250 501 550 554",
        ),
        (
            "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\nSubject: 1\r\n\r\n..x\n.\n.\r\n\r\n.\r\nNOOP\r\n",
            "220 250 250 250 250 354 250 250",
        ),
        // Not taken: the client went away in the middle of the message.
        (
            "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: 2\r\n\r\nhalf\r\n.",
            "220 250 250 250 354",
        ),
    ] {
        let said = dialogue(&sink, bytes.as_bytes()).await;
        assert_eq!(codes(&said).join(" "), expected, "{bytes}\n{said}");
    }
    let said = dialogue(&sink, format!("EHLO x\r\nMAIL FROM:<a@b>\r\n{too_many}").as_bytes()).await;
    assert_eq!(codes(&said).last(), Some(&"452"));
    let said = dialogue(&sink, "WHAT\r\n".repeat(30).as_bytes()).await;
    assert_eq!((codes(&said).len(), codes(&said).last()), (23, Some(&"421")));
    let page = mailbox.messages(&Filter::default(), None, 10);
    assert_eq!(page.messages.iter().map(|it| it.to.as_str()).collect::<Vec<_>>(), ["e@f", "c@d"]);
    assert_eq!(
        page.messages[0].text.as_deref(),
        Some(".x\n.\n.\r\n\r\n"),
        "a lone line feed ends no message"
    );
}

#[tokio::test]
async fn long_lines_and_large_messages_are_refused() {
    let (sink, _transport) = sandbox(in_memory()).await;
    let mut stream = TcpStream::connect(sink.address()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let large = b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(400_000);
    let sending = async {
        write.write_all(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").await.unwrap();
        write.write_all(&large).await.unwrap();
        write.write_all(b".\r\nNOOP\r\n").await.unwrap();
        write.write_all(&[b'x'; 5_000]).await.unwrap();
    };
    let mut said = String::new();
    // The server may close before all of the last line is read.
    let ((), ()) = tokio::join!(sending, async {
        let mut bytes = Vec::new();
        let _ = read.read_to_end(&mut bytes).await;
        said = String::from_utf8(bytes).unwrap();
    });
    assert_eq!(codes(&said).join(" "), "220 250 250 250 354 552 250 500");
}
