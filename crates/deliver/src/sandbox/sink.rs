//! The SMTP server of the sandbox.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::time::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::mailbox::Mailbox;
use super::session;
use crate::smtp::SmtpOptions;

/// Sessions at a time; one more is told to come back.
const SESSIONS_MAX: usize = 256;
/// How many mails to `busy` are remembered as refused once.
const BUSY_REMEMBERED_MAX: usize = 10_000;
/// A message under way may come to its end within this time when the sink stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Wait after a connection could not be accepted, as when the process has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How the sink behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkOptions {
    /// 0 takes a free one.
    pub port: u16,
    /// How long `slow` takes.
    pub slow: Duration,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { port: 0, slow: Duration::from_secs(5) }
    }
}

/// An SMTP server on the loopback interface that keeps what it takes in a [`Mailbox`]. Without [`SmtpSink::stop`] it ends at
/// once when it is dropped.
pub struct SmtpSink {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinSet<()>,
}

/// What all sessions share.
pub(super) struct Shared {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) options: SinkOptions,
    pub(super) now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    busy: Mutex<Busy>,
}

#[derive(Default)]
struct Busy {
    refused: HashSet<String>,
    order: VecDeque<String>,
}

impl SmtpSink {
    /// Listens on 127.0.0.1. `now` gives the time that messages are stamped with.
    pub async fn start(
        mailbox: Arc<Mailbox>,
        options: SinkOptions,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared { mailbox, options, now: Box::new(now), busy: Mutex::default() });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, shared, stopped));
        Ok(Self { address, stop, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a transport reaches it.
    pub fn options(&self) -> SmtpOptions {
        SmtpOptions::plain(self.address.ip().to_string(), self.address.port())
    }

    /// Takes no more messages, waits for those under way and closes.
    pub async fn stop(mut self) {
        // Nobody listens when the server has ended by itself.
        let _ = self.stop.send(true);
        while self.server.join_next().await.is_some() {}
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(SESSIONS_MAX));
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|&stopped| stopped) => break,
            Some(_ended) = sessions.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let permit = Arc::clone(&permits).try_acquire_owned().ok();
                let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
                sessions.spawn(async move {
                    if let Err(error) = welcome(stream, permit.is_some(), &shared, stopped).await {
                        tracing::debug!(%error, "a session of the sandbox broke");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the sandbox cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let ended = async { while sessions.join_next().await.is_some() {} };
    if timeout(STOP_GRACE, ended).await.is_err() {
        tracing::warn!("sessions of the sandbox did not end in time and were cut");
    }
}

async fn welcome(
    stream: TcpStream,
    has_room: bool,
    shared: &Shared,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if has_room { session::run(stream, shared, stopped).await } else { session::turn_away(stream).await }
}

impl Shared {
    /// Whether a mail to `busy` comes for the first time; the oldest are forgotten.
    pub(super) fn is_first_try(&self, mail: String) -> bool {
        // A panic cannot leave the set half changed in a way that matters.
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.refused.remove(&mail) {
            return false;
        }
        busy.refused.insert(mail.clone());
        busy.order.push_back(mail);
        if busy.order.len() > BUSY_REMEMBERED_MAX
            && let Some(oldest) = busy.order.pop_front()
        {
            busy.refused.remove(&oldest);
        }
        true
    }
}

impl fmt::Debug for SmtpSink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SmtpSink").field("address", &self.address).finish_non_exhaustive()
    }
}
