//! The transports that mail can take.

use std::fmt;
use std::sync::Arc;

use crate::dkim::DkimKey;
use crate::email::Email;
use crate::mime;
use crate::outcome::Outcome;
use crate::smtp::{SmtpClient, SmtpOptions, TlsError};

#[cfg(test)]
mod tests;

/// The transport cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum EmailTransportError {
    #[error("two DKIM keys for the domain {0}")]
    TwoKeysForDomain(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Hands mails over. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct EmailTransport(Arc<Kind>);

/// A closed set: each way mail can take.
enum Kind {
    Smtp { client: SmtpClient, keys: Vec<DkimKey> },
    Simulated(Box<dyn Fn(&Email) -> Outcome + Send + Sync>),
}

impl EmailTransport {
    /// Mail by SMTP; the sandbox is SMTP to [`SmtpSink::options`](crate::sandbox::SmtpSink::options). Mail from a domain that
    /// has a key is signed with it. No connection is made before the first mail.
    pub fn smtp(options: SmtpOptions, keys: Vec<DkimKey>) -> Result<Self, EmailTransportError> {
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.domain() == key.domain()) {
                return Err(EmailTransportError::TwoKeysForDomain(key.domain().to_owned()));
            }
        }
        let client = SmtpClient::new(options)?;
        Ok(Self(Arc::new(Kind::Smtp { client, keys })))
    }

    /// No network: `answer` decides what becomes of each mail. For the simulated world, which is one thread under a seed.
    pub fn simulated(answer: impl Fn(&Email) -> Outcome + Send + Sync + 'static) -> Self {
        Self(Arc::new(Kind::Simulated(Box::new(answer))))
    }

    /// Whether the far side drops a repeat of a mail, so that an unknown outcome may be retried. SMTP servers do not.
    pub fn deduplicates(&self) -> bool {
        match &*self.0 {
            Kind::Smtp { .. } | Kind::Simulated(_) => false,
        }
    }

    /// Mails that can be under way at a time. More wait in the order they came, so lanes that must not delay each other
    /// share this number between them, or have a transport each.
    pub fn mails_in_flight_max(&self) -> usize {
        match &*self.0 {
            Kind::Smtp { client, .. } => client.connections_max(),
            Kind::Simulated(_) => usize::MAX,
        }
    }

    /// Hands one mail over. Waits for a free connection when all are in use; never fails otherwise than by its outcome.
    /// A caller that drops the future does not know what became of the mail.
    pub async fn send(&self, mail: &Email) -> Outcome {
        match &*self.0 {
            Kind::Smtp { client, keys } => match mime::build(mail, keys) {
                Ok(message) => client.send(&message).await,
                Err(refused) => Outcome::Permanent { code: None, detail: refused.to_string() },
            },
            Kind::Simulated(answer) => answer(mail),
        }
    }

    /// Whether the far side can be reached and takes our credentials; the error says what is in the way. Sends nothing.
    pub async fn probe(&self) -> Result<(), String> {
        match &*self.0 {
            Kind::Smtp { client, .. } => client.probe().await,
            Kind::Simulated(_) => Ok(()),
        }
    }

    /// Closes idle connections politely. For a graceful stop.
    pub async fn close(&self) {
        if let Kind::Smtp { client, .. } = &*self.0 {
            client.close().await;
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp { client, keys } => {
                formatter.debug_struct("Smtp").field("client", client).field("keys", keys).finish()
            }
            Self::Simulated(_) => formatter.write_str("Simulated"),
        }
    }
}
