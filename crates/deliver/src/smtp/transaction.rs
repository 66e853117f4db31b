//! Handing one message over, and what each way it can end means.

use super::connection::{Capabilities, Connection};
use super::reply::{Broken, Reply};
use crate::mime::Message;
use crate::outcome::Outcome;

/// An envelope id that fits the parameter (RFC 3461 §4.4).
const ENVELOPE_ID_BYTES_MAX: usize = 100;

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The outcome, and whether the connection can be used again.
    Done(Outcome, Reuse),
    /// The connection ended before the server said a word to this message: another one may be tried.
    Dead { code: Option<u16>, detail: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    Keep,
    Close,
}

/// What the server was asked when it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reset,
    Mail,
    Recipient,
    Data,
    /// The whole message was handed over.
    Message,
}

impl Connection {
    /// One message, one recipient. Commands go out in one write where the server allows it.
    pub(super) async fn deliver(&mut self, message: &Message) -> Attempt {
        if let Some(refused) = refuse(&self.capabilities, message) {
            return Attempt::Done(refused, Reuse::Keep);
        }
        let commands = commands(&self.capabilities, message, self.needs_reset);
        self.transactions += 1;
        self.needs_reset = true;
        if self.capabilities.pipelining {
            let group: String = commands.iter().map(|(_, command)| command.as_str()).collect();
            if let Err(broken) = self.write(group.as_bytes()).await {
                return Attempt::Dead { code: None, detail: broken.to_string() };
            }
        }
        match self.converse(&commands).await {
            Ok(()) => self.hand_over(message).await,
            Err(ended) => ended,
        }
    }

    /// Up to the server's "go ahead" with the message; the error is how it ended before.
    async fn converse(&mut self, commands: &[(Stage, String)]) -> Result<(), Attempt> {
        let mut refused = None;
        for (index, (stage, command)) in commands.iter().enumerate() {
            let reply = match self.ask(command).await {
                Ok(reply) => reply,
                Err(broken) if index == 0 => {
                    return Err(Attempt::Dead { code: None, detail: broken.to_string() });
                }
                Err(broken) => {
                    let outcome =
                        refused.unwrap_or_else(|| push_back(None, format!("no message was sent: {broken}")));
                    return Err(Attempt::Done(outcome, Reuse::Close));
                }
            };
            if reply.code == 421 && index == 0 {
                // What a server says to a connection that was idle for too long.
                return Err(Attempt::Dead { code: Some(421), detail: reply.text() });
            }
            if reply.code == 421 {
                return Err(Attempt::Done(refused.unwrap_or_else(|| judge(*stage, &reply)), Reuse::Close));
            }
            if *stage == Stage::Data && refused.is_some() {
                // The server that goes ahead all the same now waits for a message that must not be.
                let reuse = if reply.code == 354 { Reuse::Close } else { Reuse::Keep };
                return Err(Attempt::Done(refused.unwrap_or_else(|| judge(*stage, &reply)), reuse));
            }
            if refused.is_none() && !stage.is_accepted_by(&reply) {
                let outcome = judge(*stage, &reply);
                if !self.capabilities.pipelining {
                    return Err(Attempt::Done(outcome, Reuse::Keep));
                }
                refused = Some(outcome);
            }
        }
        match refused {
            Some(outcome) => Err(Attempt::Done(outcome, Reuse::Keep)),
            None => Ok(()),
        }
    }

    async fn ask(&mut self, command: &str) -> Result<Reply, Broken> {
        if !self.capabilities.pipelining {
            self.write(command.as_bytes()).await?;
        }
        self.reply(self.timeouts.command).await
    }

    /// The message itself. Here lies the boundary between "certainly not delivered" and "nobody knows".
    async fn hand_over(&mut self, message: &Message) -> Attempt {
        let bytes = dot_stuffed(&message.bytes);
        let mut handed_over = 0;
        if let Err(broken) = self.write_counted(&bytes, &mut handed_over).await {
            let outcome = if handed_over < bytes.len() {
                let detail =
                    format!("{handed_over} of {} bytes of the message were sent: {broken}", bytes.len());
                Outcome::Transient { code: None, detail, retry_after: None }
            } else {
                unknown(&broken)
            };
            return Attempt::Done(outcome, Reuse::Close);
        }
        let reply = match self.reply(self.timeouts.message).await {
            Ok(reply) => reply,
            Err(broken) => return Attempt::Done(unknown(&broken), Reuse::Close),
        };
        self.needs_reset = false;
        let reuse =
            if reply.code == 421 || (300..400).contains(&reply.code) { Reuse::Close } else { Reuse::Keep };
        if reply.is_positive() {
            return Attempt::Done(Outcome::Accepted { detail: reply.text() }, reuse);
        }
        Attempt::Done(judge(Stage::Message, &reply), reuse)
    }
}

impl Stage {
    fn is_accepted_by(self, reply: &Reply) -> bool {
        if self == Self::Data { reply.code == 354 } else { reply.is_positive() }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reset => "RSET",
            Self::Mail => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the message",
        }
    }
}

/// What the server cannot take, by its own word.
fn refuse(capabilities: &Capabilities, message: &Message) -> Option<Outcome> {
    let detail = if message.utf8_address && !capabilities.smtp_utf8 {
        "the server does not take addresses outside ASCII (SMTPUTF8)".to_owned()
    } else if message.eight_bit && !capabilities.eight_bit_mime {
        "the server does not take messages outside ASCII (8BITMIME)".to_owned()
    } else {
        let max = capabilities.size.filter(|&size| size > 0)?;
        let bytes = message.bytes.len() as u64;
        if bytes <= max {
            return None;
        }
        format!("the message has {bytes} bytes and the server takes {max}")
    };
    Some(Outcome::Permanent { code: None, detail })
}

fn commands(capabilities: &Capabilities, message: &Message, reset: bool) -> Vec<(Stage, String)> {
    let size = capabilities.size.map(|_| format!(" SIZE={}", message.bytes.len())).unwrap_or_default();
    let body = if message.eight_bit { " BODY=8BITMIME" } else { "" };
    let utf8 = if message.utf8_address { " SMTPUTF8" } else { "" };
    let takes_id = capabilities.dsn && message.delivery_id.len() <= ENVELOPE_ID_BYTES_MAX;
    let id = if takes_id { format!(" ENVID={}", message.delivery_id) } else { String::new() };
    let mut commands = Vec::with_capacity(4);
    if reset {
        commands.push((Stage::Reset, "RSET\r\n".to_owned()));
    }
    commands.push((Stage::Mail, format!("MAIL FROM:<{}>{size}{body}{utf8}{id}\r\n", message.from)));
    commands.push((Stage::Recipient, format!("RCPT TO:<{}>\r\n", message.to)));
    commands.push((Stage::Data, "DATA\r\n".to_owned()));
    commands
}

/// The message as it travels: a dot before each line that begins with one, and the line with a dot that ends it
/// (RFC 5321 §4.5.2). Every line of `message` ends with CRLF.
fn dot_stuffed(message: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(message.len() + message.len() / 64 + 5);
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if line[0] == b'.' {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

/// What a reply that is not the hoped-for one means.
fn judge(stage: Stage, reply: &Reply) -> Outcome {
    let code = Some(reply.code);
    let detail = reply.text();
    match reply.code {
        // Sign in first: the server is set up otherwise than we are, and no message can do anything about it.
        530 | 535 | 538 if stage == Stage::Mail => push_back(code, detail),
        500..=599 if stage == Stage::Reset => push_back(code, detail),
        500..=599 => Outcome::Permanent { code, detail },
        400..=499 if is_about_lane(stage, reply) => push_back(code, detail),
        400..=499 => Outcome::Transient { code, detail, retry_after: None },
        _ if stage == Stage::Message => {
            Outcome::Unknown { detail: format!("unexpected reply to the message: {} {detail}", reply.code) }
        }
        _ => push_back(code, format!("unexpected reply to {}: {} {detail}", stage.name(), reply.code)),
    }
}

/// Words by which servers tell that we are too fast.
const RATE_WORDS: [&str; 7] =
    ["throttl", "rate limit", "rate exceeded", "sending rate", "too many", "too fast", "slow down"];

/// A 4xx that is meant for the sender as a whole: slow down.
fn is_about_lane(stage: Stage, reply: &Reply) -> bool {
    if reply.code == 421 || stage == Stage::Reset {
        return true;
    }
    // 4.1.x is about an address, 4.2.x about a mailbox, whatever words go with it.
    if matches!(reply.enhanced_status(), Some((4, 1 | 2, _))) {
        return false;
    }
    let text = reply.text().to_ascii_lowercase();
    // Greylisting names a rate sometimes, but wants the same message again.
    if text.contains("greylist") || text.contains("graylist") {
        return false;
    }
    // 4.3.1 system full, 4.3.2 not accepting, 4.4.5 congestion, 4.7.28 too much mail. Another 4.7.x is as often about one sender or recipient: a policy
    // against one of them must not stop everybody, so it counts only where it names a rate (SES: "454 Throttling failure").
    let by_status = matches!(reply.enhanced_status(), Some((4, 3, 1 | 2) | (4, 4, 5) | (4, 7, 28)));
    by_status || RATE_WORDS.iter().any(|word| text.contains(word))
}

fn push_back(code: Option<u16>, detail: String) -> Outcome {
    Outcome::PushBack { code, detail, retry_after: None }
}

fn unknown(broken: &Broken) -> Outcome {
    Outcome::Unknown { detail: format!("the message was sent, its fate is not known: {broken}") }
}
