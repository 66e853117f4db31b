//! Connections that are kept, replaced and bounded.

use super::*;

#[tokio::test]
async fn a_connection_serves_its_number_of_messages_and_says_goodbye() {
    let again = || {
        vec![
            Act::Group(3),
            Act::Say("250 ok\r\n250 ok\r\n354 go\r\n"),
            Act::Message,
            Act::Say("250 2.0.0 queued as 7\r\n"),
        ]
    };
    let last = || vec![Act::Expect("QUIT"), Act::Say("221 bye\r\n")];
    let first = session([taken(), again(), last()].concat());
    let second = session([taken(), vec![Act::Expect("QUIT"), Act::Say("221 bye\r\n")]].concat());
    let server = Server::start(vec![first, second]).await;
    let mut options = options(&server);
    options.messages_per_connection = 2;
    let client = SmtpClient::new(options).unwrap();
    for _ in 0..3 {
        assert_eq!(kind(&client.send(&small()).await), "accepted");
    }
    client.close().await;
    server.heard().await;
}

#[tokio::test]
async fn a_refused_message_is_reset_before_the_next() {
    let script = session(vec![
        Act::Group(3),
        Act::Say("250 ok\r\n550 who\r\n554 none\r\n"),
        Act::Group(4),
        Act::Say("250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
        Act::Message,
        Act::Say("250 ok\r\n"),
    ]);
    let server = Server::start(vec![script]).await;
    let client = client(&server);
    assert_eq!(kind(&client.send(&small()).await), "permanent");
    assert_eq!(kind(&client.send(&small()).await), "accepted");
    assert_eq!(server.heard().await[4], "RSET\r\n");
}

/// A server that goes ahead although it refused the recipient must not get the next message's commands as text.
#[tokio::test]
async fn a_connection_that_waits_for_an_unwanted_message_is_dropped() {
    let first = session(vec![Act::Group(3), Act::Say("250 ok\r\n550 who\r\n354 go\r\n"), Act::End]);
    let server = Server::start(vec![first, session(taken())]).await;
    let client = client(&server);
    assert_eq!(kind(&client.send(&small()).await), "permanent");
    assert_eq!(kind(&client.send(&small()).await), "accepted");
    server.heard().await;
}

/// The server closes idle connections, with or without a word; the next message goes over a new one and nobody notices.
#[tokio::test]
async fn a_dead_idle_connection_is_replaced() {
    for farewell in [None, Some(Act::Say("421 4.4.2 idle for too long\r\n"))] {
        let mut first = session(taken());
        first.extend(farewell);
        let server = Server::start(vec![first, session(taken())]).await;
        let client = client(&server);
        assert_eq!(kind(&client.send(&small()).await), "accepted");
        assert_eq!(kind(&client.send(&small()).await), "accepted");
        server.heard().await;
    }
}

/// Once the server spoke to a message, a broken connection is told and not replaced in silence.
#[tokio::test]
async fn a_connection_that_dies_later_is_not_replaced() {
    let first =
        [session(taken()), vec![Act::Group(3), Act::Say("250 ok\r\n250 ok\r\n354 go\r\n"), Act::Message]]
            .concat();
    let server = Server::start(vec![first]).await;
    let client = client(&server);
    assert_eq!(kind(&client.send(&small()).await), "accepted");
    assert_eq!(kind(&client.send(&small()).await), "unknown");
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    // Each takes three messages; a third connection would not be answered.
    let many = || session([taken(), taken(), taken()].concat());
    let server = Server::start(vec![many(), many()]).await;
    let mut options = options(&server);
    options.connections = 2;
    options.timeouts.command = Duration::from_secs(20);
    let client = SmtpClient::new(options).unwrap();
    let message = small();
    let send = || client.send(&message);
    let first: [Outcome; 4] = tokio::join!(send(), send(), send(), send()).into();
    let second: [Outcome; 2] = tokio::join!(send(), send()).into();
    for outcome in first.into_iter().chain(second) {
        assert_eq!(kind(&outcome), "accepted", "{outcome:?}");
    }
    server.heard().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let script = session([taken(), vec![Act::Expect("QUIT"), Act::Say("221 bye\r\n")]].concat());
    let server = Server::start(vec![script]).await;
    let mut options = options(&server);
    options.idle = Duration::from_millis(50);
    let client = SmtpClient::new(options).unwrap();
    assert_eq!(kind(&client.send(&small()).await), "accepted");
    // The script ends when QUIT came.
    server.heard().await;
}
