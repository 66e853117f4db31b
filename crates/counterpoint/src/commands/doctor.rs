//! `counterpoint doctor`: looks for what would keep the server from working, and says what to do.

use std::net::TcpListener;
use std::process::ExitCode;

use deliver::{DkimKey, EmailTransport, SmtpOptions};
use engine::objects::Objects;
use store::DataDirectory;
use store::directory::DirectoryError;
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::node::{Node, exists, log_reserve_bytes};
use crate::system;

/// A bucket that need not exist: the answer about it tells whether the server knows us.
const BUCKET_PROBED: &str = "counterpoint-doctor";

/// How one thing was found.
enum Found {
    Good(String),
    /// Works, and is worth knowing.
    Note(String),
    Bad(String),
}

/// Prints a line for each thing; the exit status is 1 if one is bad.
pub(crate) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let findings = [
        ("data directory", directory(config).await),
        ("disk", disk(config)),
        ("listen address", listen(config)),
        ("mail", mail(config).await),
        ("DKIM", dkim(config)),
        ("logs", logs(config)),
        ("objects", objects(config).await),
    ];
    let is_bad = findings.iter().any(|(_, found)| matches!(found, Found::Bad(_)));
    print(&findings);
    for key in config.without_effect() {
        print(&[(key, Found::Note("is not used by this version".to_owned()))]);
    }
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn directory(config: &Config) -> Found {
    let path = &config.server.data_dir;
    if !exists(path) {
        return match DataDirectory::open(path, system::context().now()) {
            Err(error) => Found::Bad(causes(&error)),
            Ok(directory) => {
                drop(directory);
                Found::Note(format!("{} was made and is empty", path.display()))
            }
        };
    }
    let opened = tokio::task::block_in_place(|| Node::open(config, system::context()));
    match opened {
        Ok(node) => {
            let stats = node.log.stats();
            node.log.close().await;
            Found::Good(format!(
                "{} opens: format level {}, {} records in the log, {} MB",
                path.display(),
                node.directory.format().level,
                stats.end.0,
                stats.disk_bytes >> 20
            ))
        }
        Err(error) if matches!(error.downcast_ref(), Some(DirectoryError::InUse(_))) => {
            Found::Good(format!("{} is in use by a running server", path.display()))
        }
        Err(error) => Found::Bad(causes(error.as_ref())),
    }
}

fn disk(config: &Config) -> Found {
    let free = match store::directory::free_bytes(&config.server.data_dir) {
        Ok(free) => free,
        Err(error) => return Found::Bad(causes(&error)),
    };
    let reserve = log_reserve_bytes(config);
    let text = format!("{} MB are free, {} MB are kept in reserve", free >> 20, reserve >> 20);
    if free <= reserve {
        return Found::Bad(format!("{text}: events and changes of endpoints are refused"));
    }
    Found::Good(text)
}

fn listen(config: &Config) -> Found {
    let address = config.server.listen;
    match TcpListener::bind(address) {
        Ok(_) => Found::Good(format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Found::Note(format!("{address} is in use, by a running server perhaps"))
        }
        Err(error) => Found::Bad(format!("cannot listen on {address}: {error}")),
    }
}

async fn mail(config: &Config) -> Found {
    let Some(options) = config.email.smtp() else {
        return Found::Note("goes to the sandbox: nobody outside gets any".to_owned());
    };
    let transport = match EmailTransport::smtp(options.clone(), Vec::new()) {
        Ok(transport) => transport,
        Err(error) => return Found::Bad(causes(&error)),
    };
    match transport.probe().await {
        Ok(()) => Found::Good(format!("{options} answers and takes our credentials")),
        Err(reason) => Found::Bad(format!("{options}: {reason}")),
    }
}

fn dkim(config: &Config) -> Found {
    match config.dkim_keys() {
        Ok(keys) if keys.is_empty() => Found::Note("mails are not signed by this server".to_owned()),
        Ok(keys) => {
            let domains = keys.iter().map(DkimKey::domain).collect::<Vec<_>>().join(", ");
            match EmailTransport::smtp(SmtpOptions::plain("localhost", 25), keys) {
                Ok(_) => Found::Good(domains),
                Err(error) => Found::Bad(causes(&error)),
            }
        }
        Err(error) => Found::Bad(causes(&error)),
    }
}

fn logs(config: &Config) -> Found {
    match EnvFilter::try_new(&config.telemetry.level) {
        Ok(filter) => Found::Good(filter.to_string()),
        Err(error) => Found::Bad(format!("telemetry.level: {error}")),
    }
}

/// Looks whether jobs could read and write. Of an S3 server whether it answers, and takes our keys: which buckets there are is
/// not ours to know.
async fn objects(config: &Config) -> Found {
    let objects = config.objects();
    match &objects {
        Objects::None => Found::Note("import and export jobs are refused".to_owned()),
        Objects::Directory(directory) => {
            let leads = format!("s3:// leads to {}", directory.display());
            match std::fs::read_dir(directory) {
                Ok(_) => Found::Good(leads),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Found::Note(format!("{leads}, which is made with the first export"))
                }
                Err(error) => Found::Bad(format!("{leads}: {error}")),
            }
        }
        Objects::S3(endpoint) => {
            let leads = format!("s3:// leads to {}", endpoint.url);
            match objects.probe(BUCKET_PROBED).await {
                Ok(()) => Found::Good(format!("{leads}, which answers and takes our keys")),
                Err(error) => Found::Bad(format!("{leads}: {}", causes(&error))),
            }
        }
    }
}

/// An error with its causes, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[expect(clippy::print_stdout, reason = "what the command answers")]
fn print(findings: &[(&str, Found)]) {
    for (name, found) in findings {
        let (mark, text) = match found {
            Found::Good(text) => ("ok  ", text),
            Found::Note(text) => ("note", text),
            Found::Bad(text) => ("BAD ", text),
        };
        println!("{mark} {name}: {text}");
    }
}
