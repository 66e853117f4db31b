//! A bounded pool of connections.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use super::options::SmtpOptions;
use super::tls::{Encryption, TlsError, encryption};
use super::transaction::{Attempt, Reuse};
use crate::mime::Message;
use crate::outcome::Outcome;

/// Hands messages over to one server.
pub struct SmtpClient(Arc<Pool>);

struct Pool {
    options: SmtpOptions,
    encryption: Option<Encryption>,
    /// One for each connection that may be open.
    permits: Semaphore,
    /// Locked for moments, never across an await.
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The last used one is at the end and is used first, so that surplus connections grow old.
    connections: Vec<Connection>,
    /// A task waits to close them.
    watched: bool,
    closed: bool,
}

impl SmtpClient {
    /// Checks the options; connects with the first message.
    pub fn new(options: SmtpOptions) -> Result<Self, TlsError> {
        let encryption = encryption(&options)?;
        let permits = Semaphore::new(options.connections.clamp(1, Semaphore::MAX_PERMITS));
        Ok(Self(Arc::new(Pool { options, encryption, permits, idle: Mutex::default() })))
    }

    /// Connections that may be open at a time, each with one message under way.
    pub fn connections_max(&self) -> usize {
        self.0.options.connections.max(1)
    }

    /// Hands one message over, on an idle connection or a new one. Waits while all are in use.
    pub async fn send(&self, message: &Message) -> Outcome {
        let pool = &self.0;
        let Ok(_permit) = pool.permits.acquire().await else {
            return push_back(None, "the transport is closed".to_owned());
        };
        while let Some(mut connection) = pool.take_idle() {
            match connection.deliver(message).await {
                Attempt::Done(outcome, reuse) => {
                    self.put_back(connection, reuse).await;
                    return outcome;
                }
                // The server closed it meanwhile, which is its right.
                Attempt::Dead { detail, .. } => tracing::debug!(detail, "idle SMTP connection was dead"),
            }
        }
        let mut connection = match Connection::open(&pool.options, pool.encryption.as_ref()).await {
            Ok(connection) => connection,
            Err(failed) => return push_back(failed.code, failed.detail),
        };
        match connection.deliver(message).await {
            Attempt::Done(outcome, reuse) => {
                self.put_back(connection, reuse).await;
                outcome
            }
            Attempt::Dead { code, detail } => push_back(code, format!("no message was sent: {detail}")),
        }
    }

    /// Connects, authenticates and closes again; the error says what was in the way.
    pub async fn probe(&self) -> Result<(), String> {
        match Connection::open(&self.0.options, self.0.encryption.as_ref()).await {
            Ok(connection) => {
                connection.quit().await;
                Ok(())
            }
            Err(failed) => Err(failed.detail),
        }
    }

    /// Closes the idle connections; those in use are closed when their message is done.
    pub async fn close(&self) {
        let connections = {
            let mut idle = self.0.idle();
            idle.closed = true;
            std::mem::take(&mut idle.connections)
        };
        for connection in connections {
            connection.quit().await;
        }
    }

    /// Keeps a connection for the next message, if it is still good for one.
    async fn put_back(&self, mut connection: Connection, reuse: Reuse) {
        if reuse == Reuse::Close {
            return;
        }
        let pool = &self.0;
        if connection.transactions >= pool.options.messages_per_connection || pool.idle().closed {
            connection.quit().await;
            return;
        }
        connection.idle_since = Instant::now();
        let start_watch = {
            let mut idle = pool.idle();
            idle.connections.push(connection);
            !std::mem::replace(&mut idle.watched, true)
        };
        if start_watch {
            tokio::spawn(close_idle(Arc::downgrade(pool)));
        }
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Idle> {
        // A panic cannot leave the list half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle().connections.pop()
    }

    /// Takes out what has been idle for too long; the instant when the next one will be, `None` when none is left.
    fn expire(&self) -> (Vec<Connection>, Option<Instant>) {
        let now = Instant::now();
        let mut idle = self.idle();
        let fresh = idle.connections.partition_point(|it| it.idle_since + self.options.idle <= now);
        let expired = idle.connections.drain(..fresh).collect();
        let next = idle.connections.first().map(|it| it.idle_since + self.options.idle);
        idle.watched = next.is_some();
        (expired, next)
    }
}

/// Closes connections that were idle for too long, until none is idle. Ends with the pool.
async fn close_idle(pool: Weak<Pool>) {
    while let Some(pool_now) = pool.upgrade() {
        let (expired, next) = pool_now.expire();
        drop(pool_now);
        for connection in expired {
            connection.quit().await;
        }
        let Some(next) = next else { return };
        sleep_until(next).await;
    }
}

impl fmt::Debug for SmtpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SmtpClient").field("options", &self.0.options).finish_non_exhaustive()
    }
}

fn push_back(code: Option<u16>, detail: String) -> Outcome {
    Outcome::PushBack { code, detail, retry_after: None }
}
