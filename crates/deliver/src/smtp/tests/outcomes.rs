//! Every way a transaction can end.

use super::*;

/// What becomes of a mail whose server answers like this from MAIL on; `pipelines` or answers one by one.
async fn outcome_of(acts: Vec<Act>) -> Outcome {
    let server = Server::start(vec![session(acts)]).await;
    client(&server).send(&small()).await
}

#[tokio::test]
async fn a_message_arrives_dot_stuffed_in_two_round_trips() {
    let server = Server::start(vec![session(taken())]).await;
    assert_eq!(client(&server).send(&small()).await, accepted("2.0.0 queued as 7"));
    let heard = server.heard().await;
    assert_eq!(
        heard[1..],
        [
            "MAIL FROM:<shop@example.com> SIZE=29\r\n",
            "RCPT TO:<ann@example.org>\r\n",
            "DATA\r\n",
            "Subject: x\r\n\r\n..dot\r\n...\r\nend\r\n.\r\n",
        ]
    );
}

#[tokio::test]
async fn a_server_without_pipelining_is_asked_one_by_one() {
    let acts = vec![
        Act::Say("220-test\r\n220 ready\r\n"),
        Act::Expect("EHLO [127.0.0.1]\r\n"),
        Act::Say("502 what\r\n"),
        Act::Expect("HELO [127.0.0.1]\r\n"),
        Act::Say("250 hi\r\n"),
        Act::Expect("MAIL FROM:<shop@example.com>\r\n"),
        Act::Say("250\r\n"),
        Act::Expect("RCPT TO:<ann@example.org>\r\n"),
        Act::Say("250-a\r\n250 b\r\n"),
        Act::Expect("DATA\r\n"),
        Act::Say("354 go\r\n"),
        Act::Message,
        Act::Say("250-2.0.0 one\r\n250-2.0.0 two\n250 three\r\n"),
    ];
    let server = Server::start(vec![acts]).await;
    assert_eq!(client(&server).send(&small()).await, accepted("2.0.0 one 2.0.0 two three"));
    server.heard().await;
}

/// Replies to MAIL, RCPT and DATA in one, to a client that pipelines.
#[tokio::test]
async fn refusals_before_the_message() {
    for (replies, expected, code) in [
        ("550 5.7.1 no\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n", "permanent", Some(550)),
        ("530 5.7.0 sign in\r\n503 no\r\n503 no\r\n", "push back", Some(530)),
        ("452 4.3.1 full\r\n503 no\r\n503 no\r\n", "push back", Some(452)),
        ("250 ok\r\n550 5.1.1 who\r\n554 5.5.1 none\r\n", "permanent", Some(550)),
        ("250 ok\r\n550 5.1.1 who\r\n354 go\r\n", "permanent", Some(550)),
        ("250 ok\r\n450 4.2.0 busy\r\n554 none\r\n", "transient", Some(450)),
        ("250 ok\r\n451 4.7.1 Greylisted, come back\r\n554 none\r\n", "transient", Some(451)),
        ("250 ok\r\n450 4.7.28 unusual rate\r\n554 none\r\n", "push back", Some(450)),
        ("250 ok\r\n450-4.7.28 unusual\r\n450 rate\r\n554 none\r\n", "push back", Some(450)),
        ("250 ok\r\n450 4.7.1 not from you\r\n554 none\r\n", "transient", Some(450)),
        ("450 4.1.8 who is that\r\n503 no\r\n503 no\r\n", "transient", Some(450)),
        ("454 4.7.0 Throttling failure\r\n503 no\r\n503 no\r\n", "push back", Some(454)),
        ("250 ok\r\n452 4.5.3 too many recipients\r\n554 none\r\n", "push back", Some(452)),
        ("250 ok\r\n421 4.7.0 go away\r\n", "push back", Some(421)),
        ("421 4.3.2 stopping\r\n", "push back", Some(421)),
        ("250 ok\r\n250 ok\r\n451 4.3.0 later\r\n", "transient", Some(451)),
        ("250 ok\r\n250 ok\r\n250 what\r\n", "push back", Some(250)),
        ("354 what\r\n250 ok\r\n554 none\r\n", "push back", Some(354)),
        ("nonsense\r\n", "push back", None),
        ("250 ok\r\n999 what\r\n", "push back", None),
        ("250-ok\r\n251 other\r\n", "push back", None),
    ] {
        let outcome = outcome_of(vec![Act::Group(3), Act::Say(replies), Act::Hang]).await;
        assert_eq!(kind(&outcome), expected, "{replies:?}: {outcome:?}");
        let (Outcome::Permanent { code: given, .. }
        | Outcome::Transient { code: given, .. }
        | Outcome::PushBack { code: given, .. }) = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!(given, code, "{replies:?}");
    }
}

#[tokio::test]
async fn replies_to_the_whole_message() {
    for (reply, expected) in [
        ("250 ok\r\n", "accepted"),
        ("550 5.7.1 spam\r\n", "permanent"),
        ("552 5.3.4 too large\r\n", "permanent"),
        ("451 4.3.0 later\r\n", "transient"),
        ("452 4.2.2 mailbox full\r\n", "transient"),
        ("452 4.2.2 too many messages in the mailbox\r\n", "transient"),
        ("450 4.1.1 too many unknown users\r\n", "transient"),
        ("454 Throttling failure: Maximum sending rate exceeded.\r\n", "push back"),
        ("421 4.3.2 stopping\r\n", "push back"),
        ("354 what\r\n", "unknown"),
        ("nonsense\r\n", "unknown"),
        ("250-2.0.0 ok\r\n550 5.7.1 no\r\n", "unknown"),
        ("25", "unknown"),
    ] {
        let mut acts = taken();
        acts.pop();
        acts.push(Act::Say(reply));
        let outcome = outcome_of(acts).await;
        assert_eq!(kind(&outcome), expected, "{reply:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_or_hangs() {
    let go = "250 ok\r\n250 ok\r\n354 go\r\n";
    for end in [None, Some(Act::Hang)] {
        for (acts, expected) in [
            (vec![], "push back"),
            (vec![Act::Group(3)], "push back"),
            (vec![Act::Group(3), Act::Say("250 ok\r\n")], "push back"),
            (vec![Act::Group(3), Act::Say("250 ok\r\n550 who\r\n")], "permanent"),
            (vec![Act::Group(3), Act::Say(go), Act::Message], "unknown"),
        ] {
            let mut acts = acts;
            acts.extend(end.clone());
            let outcome = outcome_of(acts).await;
            assert_eq!(kind(&outcome), expected, "{outcome:?}");
        }
    }
}

/// The server reads some of a message that is larger than all buffers on the way.
#[tokio::test]
async fn a_message_that_was_not_wholly_sent_was_not_delivered() {
    let large = message(
        &b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(200_000),
    );
    for end in [None, Some(Act::Hang)] {
        let mut acts = vec![Act::Group(3), Act::Say("250 ok\r\n250 ok\r\n354 go\r\n"), Act::SomeOfMessage];
        acts.extend(end);
        let server = Server::start(vec![session(acts)]).await;
        let outcome = client(&server).send(&large).await;
        assert_eq!(kind(&outcome), "transient", "{outcome:?}");
        assert!(outcome.may_retry());
    }
}

#[tokio::test]
async fn no_session_is_push_back() {
    let long_line = [vec![b'2'; 100_000], b"\r\n".to_vec()].concat();
    let endless = b"220-more\r\n".repeat(10_000);
    for acts in [
        vec![],
        vec![Act::Hang],
        vec![Act::Say("554 5.7.1 blocked\r\n")],
        vec![Act::Say("421 too many connections\r\n")],
        vec![Act::Say("SSH-2.0-nonsense\r\n")],
        vec![Act::Bytes(vec![0xff; 50])],
        vec![Act::Bytes(long_line)],
        vec![Act::Bytes(endless)],
        vec![Act::Say("220 hi\r\n"), Act::Expect("EHLO"), Act::Say("421 stopping\r\n")],
        vec![
            Act::Say("220 hi\r\n"),
            Act::Expect("EHLO"),
            Act::Say("500 ?\r\n"),
            Act::Expect("HELO"),
            Act::Say("500 ?\r\n"),
        ],
    ] {
        let server = Server::start(vec![acts]).await;
        let outcome = client(&server).send(&small()).await;
        assert_eq!(kind(&outcome), "push back", "{outcome:?}");
    }
    // Nobody listens on a port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = SmtpClient::new(SmtpOptions::plain("127.0.0.1", port)).unwrap().send(&small()).await;
    assert_eq!(kind(&refused), "push back", "{refused:?}");
}

#[tokio::test]
async fn what_the_server_cannot_take_is_refused_without_asking() {
    let hello = "250-test\r\n250-SIZE 20\r\n250 PIPELINING\r\n";
    let acts = vec![Act::Say("220 test\r\n"), Act::Expect("EHLO"), Act::Say(hello), Act::Hang];
    let server = Server::start(vec![acts]).await;
    let client = client(&server);
    let utf8 = Message { utf8_address: true, ..message(b"") };
    let eight_bit = Message { eight_bit: true, ..message(b"") };
    for message in [small(), utf8, eight_bit] {
        // All over one connection: the script has no second one.
        let outcome = client.send(&message).await;
        assert_eq!(kind(&outcome), "permanent", "{outcome:?}");
    }
}

#[tokio::test]
async fn extensions_are_used_where_they_are_offered() {
    let hello = "250-test\r\n250-smtputf8\r\n250-8bitmime\r\n250-DSN\r\n250-SIZE\r\n250 PIPELINING\r\n";
    let mut acts = vec![Act::Say("220 test\r\n"), Act::Expect("EHLO"), Act::Say(hello)];
    acts.extend(taken());
    let server = Server::start(vec![acts]).await;
    let message =
        Message { to: "jürgen@example.org".to_owned(), utf8_address: true, eight_bit: true, ..small() };
    assert_eq!(kind(&client(&server).send(&message).await), "accepted");
    let heard = server.heard().await;
    assert_eq!(heard[1], "MAIL FROM:<shop@example.com> SIZE=29 BODY=8BITMIME SMTPUTF8 ENVID=d-1\r\n");
    assert_eq!(heard[2], "RCPT TO:<jürgen@example.org>\r\n");
}
