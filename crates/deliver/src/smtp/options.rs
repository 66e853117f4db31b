//! The options of an SMTP transport, and the URL that carries them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Port of `smtp://` without one: submission (RFC 6409).
const SUBMISSION_PORT: u16 = 587;
/// Port of `smtps://` without one (RFC 8314).
const SUBMISSIONS_PORT: u16 = 465;
const CONNECTIONS: usize = 8;
const CONNECTIONS_MAX: usize = 1_000;
/// Servers commonly close a connection after this many messages.
const MESSAGES_PER_CONNECTION: u32 = 100;
/// Below what servers wait for the next command (Postfix: 300 s).
const IDLE: Duration = Duration::from_mins(1);

/// How the connection is encrypted. Certificates are always checked, but for `accept_any_certificate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain text, even where the server offers more.
    None,
    /// STARTTLS where the server offers it.
    Opportunistic,
    /// STARTTLS or nothing.
    Required,
    /// TLS from the first byte.
    Implicit,
}

/// A user name and a password; `Debug` shows only the name.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

/// How long each phase may take, after RFC 5321 §4.5.3.2. A phase that takes longer ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, TCP and each TLS handshake.
    pub connect: Duration,
    /// The greeting, and the reply to each command.
    pub command: Duration,
    /// Until the server takes the next block of a message.
    pub block: Duration,
    /// The reply to a whole message. Long, because giving up leaves an unknown outcome.
    pub message: Duration,
    /// The reply to QUIT, for which nobody should wait.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_mins(5),
            block: Duration::from_mins(3),
            message: Duration::from_mins(10),
            quit: Duration::from_secs(2),
        }
    }
}

/// Where and how mail is handed over. Written as a URL, `smtp://[user:password@]host[:port][?key=value&…]` or `smtps://…`:
///
/// | key | meaning | default |
/// |---|---|---|
/// | `tls` | `none`, `opportunistic`, `required`; `insecure` (STARTTLS or `smtps` with any certificate, for tests) | `required` with a password, else `opportunistic` |
/// | `ca_file` | PEM file of the certificates to trust in place of the public ones | |
/// | `connections` | at most this many at a time | 8 |
/// | `messages_per_connection` | then a new connection is made | 100 |
/// | `idle_seconds` | an unused connection is closed after this time | 60 |
/// | `message_timeout_seconds` | wait for the reply to a whole message | 600 |
/// | `hello` | the name we give the server | our address, as `[192.0.2.1]` |
///
/// `Display` and `Debug` show no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpOptions {
    /// A name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    pub tls: TlsMode,
    /// Takes any certificate of the server. For tests only.
    pub accept_any_certificate: bool,
    pub ca_file: Option<PathBuf>,
    pub credentials: Option<Credentials>,
    pub hello: Option<String>,
    pub connections: usize,
    pub messages_per_connection: u32,
    pub idle: Duration,
    pub timeouts: Timeouts,
}

/// A URL that is not one of an SMTP server. The text never repeats the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpOptionsError {
    #[error("the URL must begin with smtp:// or smtps://")]
    Scheme,
    #[error("the URL names no host")]
    Host,
    #[error("the port must be a number from 1 to 65535")]
    Port,
    #[error("the URL must not have a path: encode / in a password as %2F")]
    Path,
    #[error("user and password must be written as user:password@ and percent-encoded")]
    Credentials,
    #[error("unknown option {0}")]
    UnknownOption(String),
    #[error("option {0} is given twice")]
    Repeated(String),
    #[error("option {option} must be {expected}")]
    Value { option: &'static str, expected: &'static str },
}

impl SmtpOptions {
    /// Plain text to `host`: what the sandbox takes.
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: TlsMode::None,
            accept_any_certificate: false,
            ca_file: None,
            credentials: None,
            hello: None,
            connections: CONNECTIONS,
            messages_per_connection: MESSAGES_PER_CONNECTION,
            idle: IDLE,
            timeouts: Timeouts::default(),
        }
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), SmtpOptionsError> {
        match key {
            "tls" => self.set_tls(&value)?,
            "ca_file" => self.ca_file = Some(PathBuf::from(value)),
            "connections" => {
                self.connections = number(&value, CONNECTIONS_MAX as u64)
                    .ok_or(expected("connections", "a number from 1 to 1000"))?
                    as usize;
            }
            "messages_per_connection" => {
                self.messages_per_connection = number(&value, u64::from(u32::MAX))
                    .ok_or(expected("messages_per_connection", "a positive number"))?
                    as u32;
            }
            "idle_seconds" => {
                self.idle = seconds(&value).ok_or(expected("idle_seconds", "a number from 1 to 86400"))?;
            }
            "message_timeout_seconds" => {
                self.timeouts.message =
                    seconds(&value).ok_or(expected("message_timeout_seconds", "a number from 1 to 86400"))?;
            }
            "hello" => {
                let usable =
                    !value.is_empty() && value.len() <= 255 && value.bytes().all(|it| it.is_ascii_graphic());
                self.hello = Some(usable.then_some(value).ok_or(expected("hello", "a host name"))?);
            }
            other => return Err(SmtpOptionsError::UnknownOption(other.to_owned())),
        }
        Ok(())
    }

    fn set_tls(&mut self, value: &str) -> Result<(), SmtpOptionsError> {
        let implicit = self.tls == TlsMode::Implicit;
        match value {
            "insecure" => {
                self.accept_any_certificate = true;
                if !implicit {
                    self.tls = TlsMode::Required;
                }
            }
            "required" if implicit => {}
            "required" => self.tls = TlsMode::Required,
            "opportunistic" if !implicit => self.tls = TlsMode::Opportunistic,
            "none" if !implicit => self.tls = TlsMode::None,
            _ if implicit => return Err(expected("tls", "required or insecure with smtps://")),
            _ => return Err(expected("tls", "none, opportunistic, required or insecure")),
        }
        Ok(())
    }
}

impl FromStr for SmtpOptions {
    type Err = SmtpOptionsError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (rest, implicit) = match (url.strip_prefix("smtp://"), url.strip_prefix("smtps://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err(SmtpOptionsError::Scheme),
        };
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains('/') {
            return Err(SmtpOptionsError::Path);
        }
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((credentials, address)) => (Some(parse_credentials(credentials)?), address),
            None => (None, authority),
        };
        let (host, port) = parse_address(address)?;
        let mut options = Self::plain(host, port.unwrap_or(SUBMISSION_PORT));
        options.tls = match (implicit, &credentials) {
            (true, _) => TlsMode::Implicit,
            // Whoever strips the offer of STARTTLS must not get the password.
            (false, Some(_)) => TlsMode::Required,
            (false, None) => TlsMode::Opportunistic,
        };
        if implicit && port.is_none() {
            options.port = SUBMISSIONS_PORT;
        }
        options.credentials = credentials;
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&key) {
                return Err(SmtpOptionsError::Repeated(key.to_owned()));
            }
            seen.push(key);
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            options.set(key, value)?;
        }
        Ok(options)
    }
}

impl SmtpOptions {
    /// The whole URL, with `***` for the password: read again, it gives the same options. The number of connections is left out
    /// where it is the default.
    pub fn url(&self) -> String {
        let plain = Self::plain(self.host.clone(), self.port);
        let tls = match (self.tls, self.accept_any_certificate) {
            (_, true) => Some("insecure"),
            (TlsMode::None, _) => Some("none"),
            (TlsMode::Opportunistic, _) => self.credentials.is_some().then_some("opportunistic"),
            (TlsMode::Required, _) => self.credentials.is_none().then_some("required"),
            (TlsMode::Implicit, _) => None,
        };
        let changed = |value: u64, default: u64| (value != default).then(|| value.to_string());
        let path = self.ca_file.as_ref().map(|path| path.display().to_string());
        let values = [
            ("tls", tls.map(str::to_owned)),
            ("ca_file", path.map(|path| utf8_percent_encode(&path, NON_ALPHANUMERIC).to_string())),
            ("connections", changed(self.connections as u64, plain.connections as u64)),
            (
                "messages_per_connection",
                changed(self.messages_per_connection.into(), plain.messages_per_connection.into()),
            ),
            ("idle_seconds", changed(self.idle.as_secs(), plain.idle.as_secs())),
            (
                "message_timeout_seconds",
                changed(self.timeouts.message.as_secs(), plain.timeouts.message.as_secs()),
            ),
            (
                "hello",
                self.hello.as_ref().map(|name| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()),
            ),
        ];
        let mut url = self.to_string();
        for (key, value) in values.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.extend([key, "=", value.as_str()]);
        }
        url
    }
}

impl fmt::Display for SmtpOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls == TlsMode::Implicit { "smtps" } else { "smtp" };
        write!(formatter, "{scheme}://")?;
        if let Some(credentials) = &self.credentials {
            write!(formatter, "{}:***@", utf8_percent_encode(&credentials.user, NON_ALPHANUMERIC))?;
        }
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

fn parse_credentials(text: &str) -> Result<Credentials, SmtpOptionsError> {
    let decode = |part: &str| match percent_decode_str(part).decode_utf8() {
        // NUL separates the parts of AUTH PLAIN.
        Ok(decoded) if !decoded.is_empty() && !decoded.contains('\0') => Ok(decoded.into_owned()),
        _ => Err(SmtpOptionsError::Credentials),
    };
    let (user, password) = text.split_once(':').ok_or(SmtpOptionsError::Credentials)?;
    Ok(Credentials { user: decode(user)?, password: decode(password)? })
}

fn parse_address(text: &str) -> Result<(String, Option<u16>), SmtpOptionsError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(SmtpOptionsError::Host)?;
            (host, after.strip_prefix(':').or((!after.is_empty()).then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SmtpOptionsError::Host);
    }
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|&port| port != 0).ok_or(SmtpOptionsError::Port)?),
        None => None,
    };
    Ok((host.to_owned(), port))
}

fn number(value: &str, max: u64) -> Option<u64> {
    value.parse().ok().filter(|number| (1..=max).contains(number))
}

fn seconds(value: &str) -> Option<Duration> {
    number(value, 86_400).map(Duration::from_secs)
}

fn expected(option: &'static str, expected: &'static str) -> SmtpOptionsError {
    SmtpOptionsError::Value { option, expected }
}
