//! One session with a client of the sink (RFC 5321, with PIPELINING, 8BITMIME, SMTPUTF8, SIZE and the ENVID of DSN).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::arrived::{self, Envelope};
use super::sink::Shared;
use crate::lines::{Line, read_line};

/// A command line; the RFC says 512, with room for long addresses and parameters.
const COMMAND_BYTES_MAX: usize = 4_096;
/// A line of a message. The RFC says 1,000; the sandbox shows what others would refuse.
const DATA_LINE_BYTES_MAX: usize = 1024 * 1024;
const MESSAGE_BYTES_MAX: usize = 25 * 1024 * 1024;
const RECIPIENTS_MAX: usize = 100;
/// Commands in a row that make no sense, after which the client is not one.
const ERRORS_MAX: u32 = 20;
const IDLE_MAX: Duration = Duration::from_mins(5);
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// What the session does after a command.
enum Next {
    Continue,
    Data,
    Close,
}

struct Session<'a> {
    stream: BufReader<TcpStream>,
    /// Replies that are not sent yet: those to a group of commands go out together.
    replies: Vec<u8>,
    shared: &'a Shared,
    greeted: bool,
    envelope: Option<Envelope>,
    errors: u32,
}

/// Serves a client until it leaves, breaks off or the sink stops.
pub(super) async fn run(
    stream: TcpStream,
    shared: &Shared,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut session = Session {
        stream: BufReader::with_capacity(READ_BUFFER_BYTES, stream),
        replies: Vec::new(),
        shared,
        greeted: false,
        envelope: None,
        errors: 0,
    };
    session.reply("220 sandbox.counterpoint ESMTP");
    let mut command = Vec::new();
    loop {
        if !session.stream.buffer().contains(&b'\n') {
            session.flush().await?;
        }
        command.clear();
        let read = tokio::select! {
            read = timeout(IDLE_MAX, read_line(&mut session.stream, &mut command, COMMAND_BYTES_MAX)) => Some(read),
            _ = stopped.wait_for(|&stopped| stopped) => None,
        };
        match read {
            Some(Ok(Ok(Line::Whole))) => {}
            Some(Ok(Ok(Line::TooLong))) => return session.part("500 5.5.2 line too long").await,
            Some(Ok(Ok(Line::End))) => return Ok(()),
            Some(Ok(Err(error))) => return Err(error),
            Some(Err(_elapsed)) => return session.part("421 4.4.2 idle for too long").await,
            None => return session.part("421 4.3.2 the sandbox stops").await,
        }
        let Ok(text) = str::from_utf8(&command) else {
            session.mistake("500 5.5.2 commands are UTF-8");
            continue;
        };
        match session.command(text.trim_end()) {
            Next::Continue if session.errors > ERRORS_MAX => {
                return session.part("421 4.7.0 too many errors").await;
            }
            Next::Continue => {}
            Next::Data => session.data().await?,
            Next::Close => return session.flush().await,
        }
    }
}

/// Tells a client that all sessions are taken.
pub(super) async fn turn_away(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"421 4.3.2 too many connections\r\n").await?;
    stream.shutdown().await
}

impl Session<'_> {
    fn command(&mut self, command: &str) -> Next {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.greeted = true;
                self.envelope = None;
                let size = format!("250-SIZE {MESSAGE_BYTES_MAX}");
                for line in
                    ["250-sandbox.counterpoint", "250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8", &size]
                {
                    self.reply(line);
                }
                self.reply("250 DSN");
            }
            "HELO" => {
                self.greeted = true;
                self.envelope = None;
                self.reply("250 sandbox.counterpoint");
            }
            "MAIL" => self.mail(rest),
            "RCPT" => self.recipient(rest),
            "DATA" => return self.begin_data(),
            "RSET" => {
                self.envelope = None;
                self.reply("250 2.0.0 OK");
            }
            "NOOP" => self.reply("250 2.0.0 OK"),
            "QUIT" => {
                self.reply("221 2.0.0 bye");
                return Next::Close;
            }
            _ => self.mistake("500 5.5.1 unknown command"),
        }
        Next::Continue
    }

    fn mail(&mut self, rest: &str) {
        if !self.greeted {
            return self.mistake("503 5.5.1 EHLO first");
        }
        if self.envelope.is_some() {
            return self.mistake("503 5.5.1 a message is already under way");
        }
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.mistake("501 5.5.4 MAIL FROM:<address>");
        };
        let mut envelope = Envelope { from: from.to_owned(), ..Envelope::default() };
        for parameter in parameters.split_ascii_whitespace() {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match key.to_ascii_uppercase().as_str() {
                "SIZE" if value.parse().is_ok_and(|size: usize| size > MESSAGE_BYTES_MAX) => {
                    return self.reply("552 5.3.4 message too large");
                }
                "ENVID" => envelope.id = Some(value.to_owned()),
                "SIZE" | "BODY" | "SMTPUTF8" | "RET" => {}
                _ => return self.mistake("555 5.5.4 unknown parameter"),
            }
        }
        self.envelope = Some(envelope);
        self.reply("250 2.1.0 OK");
    }

    fn recipient(&mut self, rest: &str) {
        let Some(envelope) = &mut self.envelope else {
            return self.mistake("503 5.5.1 MAIL first");
        };
        let Some((recipient, _parameters)) =
            path(rest, "TO:").filter(|(recipient, _)| recipient.contains('@'))
        else {
            return self.mistake("501 5.5.4 RCPT TO:<address>");
        };
        if envelope.recipients.len() >= RECIPIENTS_MAX {
            return self.reply("452 4.5.3 too many recipients");
        }
        if asks_for(recipient, "bounce") {
            return self.reply("550 5.1.1 mailbox does not exist");
        }
        envelope.recipients.push(recipient.to_owned());
        self.reply("250 2.1.5 OK");
    }

    fn begin_data(&mut self) -> Next {
        match &self.envelope {
            Some(envelope) if !envelope.recipients.is_empty() => {
                self.reply("354 end with a line that holds a dot");
                return Next::Data;
            }
            Some(_) => self.reply("554 5.5.1 no valid recipients"),
            None => self.mistake("503 5.5.1 MAIL first"),
        }
        Next::Continue
    }

    /// Reads the message up to its dot and answers it.
    async fn data(&mut self) -> io::Result<()> {
        self.flush().await?;
        let mut message = Vec::new();
        let mut too_large = false;
        // A lone line feed makes no line: who takes it for one can be made to end a message early.
        let mut at_line_start = true;
        loop {
            let start = message.len();
            let read = read_line(&mut self.stream, &mut message, DATA_LINE_BYTES_MAX);
            match timeout(IDLE_MAX, read).await {
                Ok(Ok(Line::Whole)) => {}
                Ok(Ok(Line::TooLong)) => return self.cut("500 5.5.2 line too long").await,
                Ok(Ok(Line::End)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(Err(error)) => return Err(error),
                Err(_elapsed) => return self.cut("421 4.4.2 idle for too long").await,
            }
            if at_line_start && &message[start..] == b".\r\n" {
                message.truncate(start);
                break;
            }
            if at_line_start && message[start] == b'.' {
                message.remove(start);
            }
            at_line_start = message.ends_with(b"\r\n");
            if message.len() > MESSAGE_BYTES_MAX {
                too_large = true;
                message.clear();
            }
        }
        let envelope = self.envelope.take().unwrap_or_default();
        if too_large {
            self.reply("552 5.3.4 message too large");
            return Ok(());
        }
        let answer = self.take_in(&message, &envelope).await;
        self.reply(&answer);
        Ok(())
    }

    /// Stores the message for each recipient, as the recipients' behaviour says.
    async fn take_in(&self, message: &[u8], envelope: &Envelope) -> String {
        let received = (self.shared.now)();
        let mut taken = Vec::with_capacity(envelope.recipients.len());
        for recipient in &envelope.recipients {
            taken.push(arrived::read(message, envelope, recipient, received));
        }
        for one in taken.iter().filter(|one| asks_for(&one.to, "busy")) {
            let mail = format!("{} {}", one.to, one.delivery_id.as_deref().unwrap_or_default());
            if self.shared.is_first_try(mail) {
                return "451 4.3.0 mailbox busy, try again".to_owned();
            }
        }
        if taken.iter().any(|one| asks_for(&one.to, "slow")) {
            sleep(self.shared.options.slow).await;
        }
        let mut last_id = 0;
        for one in taken {
            match self.shared.mailbox.store(one) {
                Ok(id) => last_id = id,
                Err(error) => {
                    tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "the sandbox cannot keep a message");
                    return "452 4.3.1 the sandbox cannot keep the message".to_owned();
                }
            }
        }
        format!("250 2.0.0 kept as {last_id}")
    }

    fn reply(&mut self, line: &str) {
        self.replies.extend_from_slice(line.as_bytes());
        self.replies.extend_from_slice(b"\r\n");
    }

    fn mistake(&mut self, line: &str) {
        self.errors += 1;
        self.reply(line);
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.replies.is_empty() {
            self.stream.get_mut().write_all(&self.replies).await?;
            self.replies.clear();
        }
        Ok(())
    }

    /// The last reply before the connection is closed.
    async fn part(&mut self, line: &str) -> io::Result<()> {
        self.reply(line);
        self.flush().await?;
        self.stream.get_mut().shutdown().await
    }

    /// Ends the session in the middle of a message, of which nothing is kept.
    async fn cut(&mut self, line: &str) -> io::Result<()> {
        self.part(line).await?;
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// `FROM:<address> parameters`: the address without a source route, and the parameters.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let rest = rest.trim_start();
    let (found, rest) = rest.split_at_checked(keyword.len())?;
    if !found.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.trim_start().strip_prefix('<')?;
    // A quoted local part may hold "> ".
    let end = rest.find("> ").map_or_else(|| rest.ends_with('>').then(|| rest.len() - 1), Some)?;
    Some((&rest[..end], &rest[end + 1..]))
}

/// The local part of the address is `word`, with or without a `+label`.
fn asks_for(address: &str, word: &str) -> bool {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    local.split('+').next().is_some_and(|name| name.eq_ignore_ascii_case(word))
}
