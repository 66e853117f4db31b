//! `counterpoint serve`: the start-up order on one page.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::{Options, Quotas, Server};
use deliver::sandbox::{Mailbox, MailboxLimits, SinkOptions, SmtpSink};
use deliver::{EmailTransport, SmtpOptions};
use engine::dispatch::DispatchOptions;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::bootstrap::{Root, ensure_root};
use crate::commands::backup;
use crate::config::Config;
use crate::node::Node;
use crate::status::Status;
use crate::workers::{Lanes, Workers};
use crate::{node, sandbox, system, telemetry};

/// Runs the server until SIGINT or SIGTERM, or until something fails for good.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    telemetry::log(&config.telemetry)?;
    let metrics = telemetry::metrics()?;
    for key in config.without_effect() {
        tracing::warn!(key, "this key of the configuration is not used by this version");
    }

    let context = system::context();
    let node = tokio::task::block_in_place(|| Node::open(config, context.clone()))?;
    let engine = node.engine.clone();
    let apps = engine.audiences.begin(&*node.kv).await?;
    engine.queues.load(&*node.kv).await?;

    let mailbox = tokio::task::block_in_place(|| {
        Mailbox::open(&node.directory.path().join("sandbox"), MailboxLimits::default())
    })?;
    let mailbox = Arc::new(mailbox);
    let sink = match config.email.smtp() {
        Some(_) => None,
        None => Some(start_sink(&mailbox, &node).await?),
    };
    let lanes = lanes(config, sink.as_ref())?;
    let transports = [lanes.transactional.clone(), lanes.campaign.clone()];
    let is_held = node::is_held(node.directory.path());
    if is_held {
        tracing::warn!("no message leaves: the data directory was restored; see `counterpoint resume`");
    }
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.server.listen))?;
    // Last of all that can fail: a key that is made is shown once, and must not be lost with a start that fails.
    let root = ensure_root(&*node.kv, &node.master_key, &context, &config.auth).await?;
    show_key(&listener, &root)?;
    let mut workers = Workers::start(&engine, apps, retention(config), (!is_held).then_some(lanes));

    let Node { directory, master_key, kv, log, .. } = node;
    let directory = Arc::new(directory);
    let status = Arc::new(Status::new(engine.clone(), Arc::clone(&log), Arc::clone(&mailbox), is_held));
    let server = api::own::add(Server::new(engine.clone(), master_key, options(config)));
    let server = sandbox::add(server, mailbox);
    let server = backup::add(server, Arc::clone(&kv), Arc::clone(&directory), root.account.clone());
    let server = Arc::new(status.add(server, metrics));

    let shutdown = CancellationToken::new();
    // Whoever reads that the server is ready may end it at once.
    let stop_signal = stop_signal()?;
    announce(&listener)?;
    let served = tokio::spawn(api::serve(listener, Arc::clone(&server), shutdown.clone()));

    let fault = tokio::select! {
        () = stop_signal => None,
        fault = workers.fault() => Some(fault),
    };
    tracing::info!("stopping: requests and messages under way are finished");
    shutdown.cancel();
    served.await?;
    workers.stop().await;
    for transport in transports {
        transport.close().await;
    }
    if let Some(sink) = sink {
        sink.stop().await;
    }
    log.close().await;
    match fault {
        Some((worker, fault)) => Err(anyhow::anyhow!(fault).context(format!("{worker} failed"))),
        None => Ok(()),
    }
}

/// The mail server of the sandbox.
async fn start_sink(mailbox: &Arc<Mailbox>, node: &Node) -> anyhow::Result<SmtpSink> {
    let clock = Arc::clone(&node.context.clock);
    let sink = SmtpSink::start(Arc::clone(mailbox), SinkOptions::default(), move || clock.now()).await;
    sink.context("cannot start the mail server of the sandbox")
}

fn lanes(config: &Config, sink: Option<&SmtpSink>) -> anyhow::Result<Lanes> {
    let email = &config.email;
    let transport = |connections: usize| {
        let options = match (email.smtp(), sink) {
            (Some(options), _) => options.clone(),
            (None, Some(sink)) => sink.options(),
            (None, None) => anyhow::bail!("mail has neither a server nor a sandbox"),
        };
        let options = SmtpOptions { connections, ..options };
        Ok(EmailTransport::smtp(options, config.dkim_keys()?)?)
    };
    let limited = |rate: u32| Some(rate).filter(|rate| *rate > 0);
    Ok(Lanes {
        transactional: transport(email.transactional_connections)?,
        campaign: transport(email.connections)?,
        options: DispatchOptions {
            attempts_max: email.attempts_max,
            backoff: email.backoff(),
            backoff_max: email.backoff_max(),
            messages_per_second: None,
            missing_values: email.missing_values,
            list_unsubscribe: email.list_unsubscribe(),
        },
        transactional_messages_per_second: limited(email.transactional_messages_per_second),
        messages_per_second: limited(email.messages_per_second),
    })
}

/// How long it is kept what became of deliveries; `None`: for ever.
fn retention(config: &Config) -> Option<Duration> {
    let days = config.deliveries.retention_days;
    (days > 0).then(|| Duration::from_hours(24 * u64::from(days)))
}

fn options(config: &Config) -> Options {
    let scale = config.server.throttle_scale;
    let limited = |quota: u64| (quota > 0).then_some(quota);
    let quotas = Quotas {
        ingest_bytes_per_second: limited(config.quotas.ingest_bytes_per_second),
        endpoints: limited(config.quotas.endpoints),
        index_bytes: limited(config.quotas.index_bytes),
        outbox_rows: limited(config.quotas.outbox_rows),
    };
    Options { throttle_scale: (scale > 0.0).then_some(scale), quotas }
}

/// Shows the key that was made for whoever started the server, once.
#[expect(clippy::print_stdout, reason = "the first key is what the command answers")]
fn show_key(listener: &TcpListener, root: &Root) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    if let Some(key) = &root.generated {
        println!("account {} and its root key were made; the secret is shown this once:", root.account);
        println!("export AWS_ACCESS_KEY_ID={}", key.id);
        println!("export AWS_SECRET_ACCESS_KEY={}", key.secret.reveal());
        println!("export AWS_ENDPOINT_URL=http://{address}");
        println!("export AWS_REGION=us-east-1");
    }
    Ok(())
}

/// Tells that the server is ready, and where it is.
#[expect(clippy::print_stdout, reason = "the readiness line is what the command answers")]
fn announce(listener: &TcpListener) -> anyhow::Result<()> {
    println!("listening on http://{}", listener.local_addr()?);
    Ok(())
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM. From now on neither ends the process by itself.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
