//! The client against a server that follows a script, also into misbehaviour.

use std::time::Duration;

use super::options::{SmtpOptions, TlsMode};
use super::pool::SmtpClient;
use crate::mime::Message;
use crate::outcome::Outcome;

mod options;
mod outcomes;
mod pooling;
mod script;
mod security;

use script::{Act, Server};

const HELLO: &str = "250-test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 20000000\r\n";

fn message(bytes: &[u8]) -> Message {
    Message {
        delivery_id: "d-1".to_owned(),
        from: "shop@example.com".to_owned(),
        to: "ann@example.org".to_owned(),
        utf8_address: false,
        eight_bit: false,
        bytes: bytes.to_vec(),
    }
}

fn small() -> Message {
    message(b"Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n")
}

/// Options whose waits end soon, for servers that never answer.
fn options(server: &Server) -> SmtpOptions {
    let mut options = SmtpOptions::plain(server.host(), server.port());
    options.timeouts.command = Duration::from_millis(400);
    options.timeouts.block = Duration::from_millis(400);
    options.timeouts.message = Duration::from_millis(400);
    options
}

fn client(server: &Server) -> SmtpClient {
    SmtpClient::new(options(server)).unwrap()
}

/// Greeting and EHLO with pipelining, then `acts`.
fn session(acts: Vec<Act>) -> Vec<Act> {
    let mut all = vec![Act::Say("220 test\r\n"), Act::Expect("EHLO"), Act::Say(HELLO)];
    all.extend(acts);
    all
}

/// A whole transaction that is taken, by a server that pipelines.
fn taken() -> Vec<Act> {
    vec![
        Act::Group(3),
        Act::Say("250 ok\r\n250 ok\r\n354 go\r\n"),
        Act::Message,
        Act::Say("250 2.0.0 queued as 7\r\n"),
    ]
}

fn accepted(detail: &str) -> Outcome {
    Outcome::Accepted { detail: detail.to_owned() }
}

/// The kind of an outcome, for tables.
fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Transient { .. } => "transient",
        Outcome::PushBack { .. } => "push back",
        Outcome::Permanent { .. } => "permanent",
        Outcome::Unknown { .. } => "unknown",
    }
}
