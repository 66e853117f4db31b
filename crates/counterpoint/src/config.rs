//! The configuration: embedded defaults, then a file, then the environment, then flags (design §9).
//!
//! Every value is read into the type that it is used as, so that what is wrong is told with its key at the start and
//! nowhere later. Secrets are never part of an error or of what is printed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::secrets::Secret;
use deliver::{DkimKey, ListUnsubscribe, SmtpOptions};
use engine::dispatch::MissingValues;
use engine::objects::{Objects, S3Endpoint};
use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

mod overrides;
mod shown;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use overrides::Overrides;
pub(crate) use values::{EmailTransportKind, LogFormat};

/// Documents every key and holds its default.
pub(crate) const DEFAULTS: &str = include_str!("default.toml");

/// What a configuration that cannot be used says. The text names the key, and no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("configuration file {} does not exist", .0.display())]
    NoFile(PathBuf),
    #[error("{0}")]
    Invalid(Box<figment::Error>),
    #[error("{0}")]
    Override(String),
    #[error("DKIM key file {} cannot be read", path.display())]
    DkimFile { path: PathBuf, source: std::io::Error },
    #[error("DKIM key for {domain}: {source}")]
    Dkim { domain: String, source: deliver::DkimKeyError },
    #[error("{0}")]
    Conflict(&'static str),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) auth: Auth,
    pub(crate) telemetry: Telemetry,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) quotas: Quotas,
    pub(crate) deliveries: Deliveries,
    pub(crate) email: Email,
    objects: ObjectsSection,
    sms: Unused,
    voice: Unused,
    push: Push,
    aws: Aws,
    outbound: Outbound,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    #[serde(deserialize_with = "values::not_negative")]
    pub(crate) throttle_scale: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    /// Empty: generated.
    #[serde(deserialize_with = "values::account_id")]
    pub(crate) account_id: String,
    #[serde(deserialize_with = "values::access_key_id")]
    pub(crate) root_access_key_id: String,
    #[serde(deserialize_with = "values::secret")]
    pub(crate) root_secret_access_key: Secret,
    master_key_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Telemetry {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) compress: bool,
    /// 0: no limit.
    pub(crate) disk_bytes_max: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "units stand last")]
pub(crate) struct Store {
    pub(crate) cache_bytes: u64,
    pub(crate) memtable_bytes: u64,
    pub(crate) reserve_bytes: u64,
}

/// 0: no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quotas {
    pub(crate) ingest_bytes_per_second: u64,
    pub(crate) endpoints: u64,
    pub(crate) index_bytes: u64,
    pub(crate) outbox_rows: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deliveries {
    /// 0: for ever.
    pub(crate) retention_days: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Email {
    pub(crate) transport: EmailTransportKind,
    #[serde(deserialize_with = "values::connections")]
    pub(crate) connections: usize,
    #[serde(deserialize_with = "values::connections")]
    pub(crate) transactional_connections: usize,
    /// 0: no limit.
    pub(crate) messages_per_second: u32,
    /// 0: no limit.
    pub(crate) transactional_messages_per_second: u32,
    #[serde(deserialize_with = "values::attempts")]
    pub(crate) attempts_max: u16,
    backoff_seconds: u64,
    backoff_seconds_max: u64,
    #[serde(deserialize_with = "values::missing_values")]
    pub(crate) missing_values: MissingValues,
    #[serde(deserialize_with = "values::list_unsubscribe_url")]
    list_unsubscribe_url: String,
    #[serde(deserialize_with = "values::list_unsubscribe_mailto")]
    list_unsubscribe_mailto: String,
    dkim: Vec<Dkim>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dkim {
    domain: String,
    selector: String,
    key_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectsSection {
    directory: PathBuf,
    s3_endpoint: String,
    s3_access_key_id: String,
    #[serde(deserialize_with = "values::secret")]
    s3_secret_access_key: Secret,
    s3_region: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unused {
    /// May hold a password.
    #[serde(deserialize_with = "values::secret")]
    transport: Secret,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    apns_endpoint: String,
    fcm_endpoint: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Aws {
    endpoint: String,
    access_key_id: String,
    #[serde(deserialize_with = "values::secret")]
    secret_access_key: Secret,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbound {
    allow_private_networks: bool,
}

impl Config {
    /// Reads the defaults, then `file`, then what `overrides` holds of the environment and the command line.
    pub(crate) fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigError::NoFile(file.to_owned()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        for layer in overrides.layers(&toml_defaults()?)? {
            figment = figment.merge(layer);
        }
        let config: Self = figment.extract().map_err(|error| ConfigError::Invalid(Box::new(error)))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Auth { root_access_key_id, root_secret_access_key, .. } = &self.auth;
        if root_access_key_id.is_empty() != root_secret_access_key.reveal().is_empty() {
            return Err(ConfigError::Conflict(
                "auth.root_access_key_id and auth.root_secret_access_key must be given together, or neither",
            ));
        }
        let ObjectsSection { directory, s3_endpoint, .. } = &self.objects;
        if !directory.as_os_str().is_empty() && !s3_endpoint.is_empty() {
            return Err(ConfigError::Conflict(
                "objects.directory and objects.s3_endpoint exclude each other",
            ));
        }
        Ok(())
    }

    /// Where the master key is.
    pub(crate) fn master_key_file(&self) -> PathBuf {
        let file = &self.auth.master_key_file;
        if file.as_os_str().is_empty() {
            return self.server.data_dir.join("keys").join("master.key");
        }
        file.clone()
    }

    /// Where objects of jobs are.
    pub(crate) fn objects(&self) -> Objects {
        let section = &self.objects;
        if !section.s3_endpoint.is_empty() {
            return Objects::S3(S3Endpoint {
                url: section.s3_endpoint.clone(),
                region: section.s3_region.clone(),
                access_key_id: section.s3_access_key_id.clone(),
                secret_access_key: section.s3_secret_access_key.reveal().to_owned(),
            });
        }
        if section.directory.as_os_str().is_empty() {
            return Objects::Directory(self.server.data_dir.join("objects"));
        }
        Objects::Directory(section.directory.clone())
    }

    /// The keys that mails are signed with.
    pub(crate) fn dkim_keys(&self) -> Result<Vec<DkimKey>, ConfigError> {
        let read = |dkim: &Dkim| {
            let pem = std::fs::read_to_string(&dkim.key_file)
                .map_err(|source| ConfigError::DkimFile { path: dkim.key_file.clone(), source })?;
            DkimKey::new(&dkim.domain, &dkim.selector, &pem)
                .map_err(|source| ConfigError::Dkim { domain: dkim.domain.clone(), source })
        };
        self.email.dkim.iter().map(read).collect()
    }

    /// Keys that were set and are used by nothing in this version.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let is_sandbox = |section: &Unused| section.transport.reveal() == "sandbox";
        let Aws { endpoint, access_key_id, secret_access_key } = &self.aws;
        let unused = [
            ("sms.transport", is_sandbox(&self.sms)),
            ("voice.transport", is_sandbox(&self.voice)),
            ("push.apns_endpoint", self.push.apns_endpoint.is_empty()),
            ("push.fcm_endpoint", self.push.fcm_endpoint.is_empty()),
            ("aws.endpoint", endpoint.is_empty()),
            ("aws.access_key_id", access_key_id.is_empty()),
            ("aws.secret_access_key", secret_access_key.reveal().is_empty()),
            ("outbound.allow_private_networks", !self.outbound.allow_private_networks),
        ];
        unused.into_iter().filter(|(_, is_default)| !is_default).map(|(key, _)| key).collect()
    }
}

impl Email {
    /// Where recipients of campaigns unsubscribe; `None`: nowhere is said.
    pub(crate) fn list_unsubscribe(&self) -> Option<ListUnsubscribe> {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let (url, mailto) = (given(&self.list_unsubscribe_url), given(&self.list_unsubscribe_mailto));
        (url.is_some() || mailto.is_some()).then_some(ListUnsubscribe { url, mailto })
    }

    pub(crate) fn backoff(&self) -> Duration {
        Duration::from_secs(self.backoff_seconds)
    }

    pub(crate) fn backoff_max(&self) -> Duration {
        Duration::from_secs(self.backoff_seconds_max)
    }

    /// The options of a mail server; `None` for the sandbox.
    pub(crate) fn smtp(&self) -> Option<&SmtpOptions> {
        match &self.transport {
            EmailTransportKind::Sandbox => None,
            EmailTransportKind::Smtp(options) => Some(options),
        }
    }
}

/// The defaults as a table: what the text of an override is read as.
fn toml_defaults() -> Result<figment::value::Dict, ConfigError> {
    Figment::from(Toml::string(DEFAULTS)).extract().map_err(|error| ConfigError::Invalid(Box::new(error)))
}
