//! Mails a second to the sandbox: our transport against lettre's pooled one, in one run over the same sink.
//!
//! `cargo run --release -p deliver --example mail_rates [mails] [connections]`

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use deliver::sandbox::{Mailbox, MailboxLimits, SinkOptions, SmtpSink};
use deliver::{Email, EmailTransport, ListUnsubscribe, Outcome};
use domain::ids::DeliveryId;
use domain::time::Timestamp;
use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

fn mail(number: usize) -> Email {
    Email {
        delivery_id: DeliveryId::new(format!("d-{number:08}")),
        from: "Shop <shop@example.com>".to_owned(),
        to: format!("ann{number}@example.org"),
        reply_to: Vec::new(),
        subject: format!("Offer no. {number}"),
        html: Some("<p>Hello Ann, this is our <b>offer</b> of the week.</p>\n".repeat(30)),
        text: Some("Hello Ann, this is our offer of the week.\n".repeat(20)),
        headers: Vec::new(),
        list_unsubscribe: Some(ListUnsubscribe {
            url: Some(format!("https://example.com/u?{number}")),
            mailto: None,
        }),
        raw: None,
        return_path: None,
        date: Timestamp(1_790_000_000_000),
    }
}

/// Runs `workers` that send until `mails` are sent.
async fn rate<F: Future<Output = Result<()>> + Send + 'static>(
    mails: usize,
    workers: usize,
    send: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Result<f64> {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (next, send) = (Arc::clone(&next), send.clone());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= mails {
                    return anyhow::Ok(());
                }
                send(number).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(mails as f64 / start.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mails = arguments.next().transpose()?.unwrap_or(20_000);
    let connections = arguments.next().transpose()?.unwrap_or(8);
    let directory = std::env::temp_dir().join(format!("mail-rates-{}", std::process::id()));
    let mailbox = Arc::new(Mailbox::open(&directory, MailboxLimits::default())?);
    let sink = SmtpSink::start(Arc::clone(&mailbox), SinkOptions::default(), || Timestamp(0)).await?;

    let mut options = sink.options();
    options.connections = connections;
    let ours = EmailTransport::smtp(options, Vec::new())?;
    let theirs: AsyncSmtpTransport<Tokio1Executor> =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(sink.address().ip().to_string())
            .port(sink.address().port())
            .timeout(Some(Duration::from_mins(1)))
            .pool_config(PoolConfig::new().max_size(u32::try_from(connections)?))
            .build();

    // Both build the same message in the same way, so that what differs is the hand-off.
    let lettre_send = move |number: usize| {
        let theirs = theirs.clone();
        async move {
            let message = deliver::mime::build(&mail(number), &[])?;
            let envelope = Envelope::new(Some(message.from.parse()?), vec![message.to.parse()?])?;
            let response = theirs.send_raw(&envelope, &message.bytes).await?;
            ensure!(response.is_positive());
            Ok(())
        }
    };
    let our_send = move |number: usize| {
        let ours = ours.clone();
        async move {
            let outcome = ours.send(&mail(number)).await;
            ensure!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
            Ok(())
        }
    };
    rate(mails / 10, connections, our_send.clone()).await?;
    for round in 1..=3 {
        let our_rate = rate(mails, connections, our_send.clone()).await?;
        let their_rate = rate(mails, connections, lettre_send.clone()).await?;
        println!(
            "round {round}: ours {our_rate:.0} mails/s, lettre {their_rate:.0} mails/s, ratio {:.2}",
            our_rate / their_rate
        );
    }
    println!("{} mails in the sandbox", mailbox.total());
    sink.stop().await;
    std::fs::remove_dir_all(&directory).context("the directory of the run stays behind")
}
