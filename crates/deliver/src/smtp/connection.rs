//! A connection to the server, from TCP to the point where it takes messages.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::options::{Credentials, SmtpOptions, Timeouts, TlsMode};
use super::reply::{Broken, Reply, read_reply};
use super::tls::{Encryption, handshake_failed};

/// Bytes read at once; a whole group of pipelined replies fits.
const READ_BUFFER_BYTES: usize = 4_096;

/// Plain or encrypted.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Duplex for T {}

/// An open connection. Whoever holds it sends one message at a time.
pub(super) struct Connection {
    stream: BufReader<Box<dyn Duplex>>,
    pub(super) capabilities: Capabilities,
    pub(super) timeouts: Timeouts,
    /// Transactions begun on it.
    pub(super) transactions: u32,
    /// The last transaction ended without a message: the next one begins with RSET.
    pub(super) needs_reset: bool,
    pub(super) idle_since: Instant,
}

/// Extensions that the server offers and we use.
#[expect(clippy::struct_excessive_bools, reason = "each extension is offered or not")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) pipelining: bool,
    pub(super) eight_bit_mime: bool,
    pub(super) smtp_utf8: bool,
    /// Delivery status notifications (RFC 3461): takes our envelope id.
    pub(super) dsn: bool,
    pub(super) start_tls: bool,
    /// Some where SIZE is offered; zero says no limit.
    pub(super) size: Option<u64>,
    auth_plain: bool,
    auth_login: bool,
}

/// There is no connection to send on: the lane's fault, not the message's.
#[derive(Debug)]
pub(super) struct NoConnection {
    pub(super) code: Option<u16>,
    pub(super) detail: String,
}

impl Connection {
    /// Connects, greets, encrypts and authenticates as the options say.
    pub(super) async fn open(options: &SmtpOptions, tls: Option<&Encryption>) -> Result<Self, NoConnection> {
        let address = (options.host.as_str(), options.port);
        let tcp = match timeout(options.timeouts.connect, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(NoConnection::new(format!("cannot connect to {options}: {error}"))),
            Err(_elapsed) => return Err(NoConnection::new(format!("cannot connect to {options} in time"))),
        };
        // Nagle's algorithm would hold back the end of each message for the server's delayed acknowledgement.
        tcp.set_nodelay(true)?;
        let hello = match &options.hello {
            Some(name) => name.clone(),
            None => address_literal(tcp.local_addr()?),
        };
        let mut stream: Box<dyn Duplex> = Box::new(tcp);
        if let (TlsMode::Implicit, Some(tls)) = (options.tls, tls) {
            stream = encrypt(stream, tls, options.timeouts.connect).await?;
        }
        let mut connection = Self::over(stream, options.timeouts);
        connection.greeting().await?;
        connection.hello(&hello).await?;
        if let (TlsMode::Opportunistic | TlsMode::Required, Some(tls)) = (options.tls, tls) {
            if connection.capabilities.start_tls {
                connection = connection.start_tls(tls, &hello).await?;
            } else if options.tls == TlsMode::Required {
                return Err(NoConnection::new(
                    "the server does not offer STARTTLS, which is required".to_owned(),
                ));
            }
        }
        if let Some(credentials) = &options.credentials {
            connection.authenticate(credentials).await?;
        }
        Ok(connection)
    }

    fn over(stream: Box<dyn Duplex>, timeouts: Timeouts) -> Self {
        Self {
            stream: BufReader::with_capacity(READ_BUFFER_BYTES, stream),
            capabilities: Capabilities::default(),
            timeouts,
            transactions: 0,
            needs_reset: false,
            idle_since: Instant::now(),
        }
    }

    async fn greeting(&mut self) -> Result<(), NoConnection> {
        let reply = self.reply(self.timeouts.command).await?;
        if reply.code == 220 { Ok(()) } else { Err(NoConnection::refused("the greeting was", &reply)) }
    }

    /// EHLO, or HELO for a server that knows no extensions.
    async fn hello(&mut self, name: &str) -> Result<(), NoConnection> {
        let reply = self.command(&format!("EHLO {name}")).await?;
        if reply.is_positive() {
            self.capabilities = Capabilities::parse(&reply);
            return Ok(());
        }
        if reply.code == 421 || reply.code < 500 {
            return Err(NoConnection::refused("EHLO was answered", &reply));
        }
        let reply = self.command(&format!("HELO {name}")).await?;
        if reply.is_positive() { Ok(()) } else { Err(NoConnection::refused("HELO was answered", &reply)) }
    }

    async fn start_tls(mut self, tls: &Encryption, hello: &str) -> Result<Self, NoConnection> {
        let reply = self.command("STARTTLS").await?;
        if reply.code != 220 {
            return Err(NoConnection::refused("STARTTLS was answered", &reply));
        }
        // Plain text behind the reply was put there by someone in between, to be taken for the server's encrypted word.
        if !self.stream.buffer().is_empty() {
            return Err(NoConnection::new("plain text after the reply to STARTTLS".to_owned()));
        }
        let timeouts = self.timeouts;
        let stream = encrypt(self.stream.into_inner(), tls, timeouts.connect).await?;
        let mut connection = Self::over(stream, timeouts);
        connection.hello(hello).await?;
        Ok(connection)
    }

    async fn authenticate(&mut self, credentials: &Credentials) -> Result<(), NoConnection> {
        let Credentials { user, password } = credentials;
        let reply = if self.capabilities.auth_plain {
            let response = BASE64.encode(format!("\0{user}\0{password}"));
            self.command(&format!("AUTH PLAIN {response}")).await?
        } else if self.capabilities.auth_login {
            let mut reply = self.command("AUTH LOGIN").await?;
            for answer in [user, password] {
                if reply.code != 334 {
                    break;
                }
                reply = self.command(&BASE64.encode(answer)).await?;
            }
            reply
        } else {
            return Err(NoConnection::new("the server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned()));
        };
        if reply.code == 235 {
            Ok(())
        } else {
            Err(NoConnection::refused("the credentials were refused", &reply))
        }
    }

    /// Sends one command and waits for its reply.
    async fn command(&mut self, command: &str) -> Result<Reply, Broken> {
        self.write(format!("{command}\r\n").as_bytes()).await?;
        self.reply(self.timeouts.command).await
    }

    pub(super) async fn reply(&mut self, limit: Duration) -> Result<Reply, Broken> {
        read_reply(&mut self.stream, limit).await
    }

    /// Writes all of `bytes` or fails.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut handed_over = 0;
        self.write_counted(bytes, &mut handed_over).await
    }

    /// Writes and flushes `bytes`; `handed_over` says how many the operating system (or the TLS layer) took, also after an
    /// error. A server cannot have what was not handed over.
    pub(super) async fn write_counted(
        &mut self,
        bytes: &[u8],
        handed_over: &mut usize,
    ) -> Result<(), Broken> {
        let limit = self.timeouts.block;
        let stream = self.stream.get_mut();
        while *handed_over < bytes.len() {
            match timeout(limit, stream.write(&bytes[*handed_over..])).await {
                Ok(Ok(0)) => return Err(Broken::Closed),
                Ok(Ok(written)) => *handed_over += written,
                Ok(Err(error)) => return Err(error.into()),
                Err(_elapsed) => return Err(Broken::TimedOut(limit)),
            }
        }
        timeout(limit, stream.flush()).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
        Ok(())
    }

    /// Says goodbye and closes, whatever the server thinks of it.
    pub(super) async fn quit(mut self) {
        let farewell = async {
            self.stream.get_mut().write_all(b"QUIT\r\n").await?;
            self.stream.get_mut().flush().await?;
            read_reply(&mut self.stream, self.timeouts.quit).await
        };
        if let Ok(Err(error)) | Err(error) =
            timeout(self.timeouts.quit, farewell).await.map_err(|_| Broken::Closed)
        {
            tracing::debug!(%error, "SMTP connection was not closed politely");
        }
    }
}

impl Capabilities {
    fn parse(reply: &Reply) -> Self {
        let mut capabilities = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // Some old servers write AUTH=PLAIN.
            let mut words = line.split([' ', '=']);
            match words.next().unwrap_or_default() {
                "PIPELINING" => capabilities.pipelining = true,
                "8BITMIME" => capabilities.eight_bit_mime = true,
                "SMTPUTF8" => capabilities.smtp_utf8 = true,
                "DSN" => capabilities.dsn = true,
                "STARTTLS" => capabilities.start_tls = true,
                "SIZE" => capabilities.size = words.next().unwrap_or("0").parse().ok(),
                "AUTH" => {
                    for mechanism in words {
                        capabilities.auth_plain |= mechanism == "PLAIN";
                        capabilities.auth_login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        capabilities
    }
}

impl NoConnection {
    fn new(detail: String) -> Self {
        Self { code: None, detail }
    }

    fn refused(what: &str, reply: &Reply) -> Self {
        Self { code: Some(reply.code), detail: format!("{what} {} {}", reply.code, reply.text()) }
    }
}

impl From<Broken> for NoConnection {
    fn from(broken: Broken) -> Self {
        Self::new(format!("no session with the server: {broken}"))
    }
}

impl From<io::Error> for NoConnection {
    fn from(error: io::Error) -> Self {
        Self::new(format!("no session with the server: {error}"))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("transactions", &self.transactions).finish_non_exhaustive()
    }
}

async fn encrypt(
    stream: Box<dyn Duplex>,
    tls: &Encryption,
    limit: Duration,
) -> Result<Box<dyn Duplex>, NoConnection> {
    match timeout(limit, tls.connector.connect(tls.server_name.clone(), stream)).await {
        Ok(Ok(encrypted)) => Ok(Box::new(encrypted)),
        Ok(Err(error)) => Err(NoConnection::new(handshake_failed(&error))),
        Err(_elapsed) => Err(NoConnection::new("TLS handshake not done in time".to_owned())),
    }
}

/// How a host without a name of its own greets (RFC 5321 §4.1.3).
fn address_literal(local: SocketAddr) -> String {
    match local {
        SocketAddr::V4(address) => format!("[{}]", address.ip()),
        SocketAddr::V6(address) => format!("[IPv6:{}]", address.ip()),
    }
}
