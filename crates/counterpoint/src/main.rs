//! Counterpoint: Amazon Pinpoint again, self-hosted. This is the program; `serve` is where it starts.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bootstrap;
mod client;
mod commands;
mod config;
mod node;
mod sandbox;
mod serve;
mod status;
mod system;
mod telemetry;
mod workers;

use config::{Config, Overrides};

/// Measured beside the system's allocator: the hot paths make many small objects on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "Amazon Pinpoint, self-hosted: the API, and what it does")]
struct Arguments {
    /// A configuration file (TOML); else $`COUNTERPOINT_CONFIG`
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one key of the configuration; may be given again
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// List, create and change access keys
    #[command(subcommand)]
    Keys(commands::keys::Keys),
    /// Look for what would keep the server from working
    Doctor,
    /// Print the configuration in force, without secrets
    Config {
        /// Print every key with its documentation and default instead
        #[arg(long)]
        defaults: bool,
    },
    /// Copy state and log of the running server, or of a stopped one, into a new directory
    Backup {
        /// Where to; must not exist, or be empty
        destination: PathBuf,
    },
    /// Make a data directory of a backup: `server.data_dir`, which must not exist, or be empty
    Restore {
        /// The backup
        source: PathBuf,
    },
    /// Let messages leave again after a restore, from the next start of the server on
    Resume,
    /// Let the data directory be written in the format of this release: the release before cannot open it any more
    Upgrade {
        /// Confirms it
        #[arg(long, required = true)]
        finalise: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().expect("no provider was installed before");
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { config: file, set: flags, command } = arguments;
    let file = file.or_else(|| std::env::var_os("COUNTERPOINT_CONFIG").map(PathBuf::from));
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let config = Config::load(file.as_deref(), &Overrides { environment, flags })?;
    match command {
        Command::Serve => serve::run(&config).await?,
        Command::Keys(keys) => commands::keys::run(keys, &config).await?,
        Command::Doctor => return commands::doctor::run(&config).await,
        Command::Config { defaults } => commands::show_config(&config, defaults),
        Command::Backup { destination } => commands::backup::backup(&destination, &config).await?,
        Command::Restore { source } => commands::backup::restore(&source, &config)?,
        Command::Resume => commands::backup::resume(&config)?,
        Command::Upgrade { finalise: _ } => commands::backup::finalise(&config)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An error with its causes, one a line.
#[expect(clippy::print_stderr, reason = "what a person who called the program reads")]
fn report(error: &anyhow::Error) {
    eprintln!("counterpoint: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}
