//! Connections: accept, answer, and let what is running end before the server does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::request;
use crate::server::Server;

/// Connections open at once; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 4_096;
/// How long a client may take to send a request's head, counted from the end of the request before: what closes idle
/// connections too. Longer than SDKs keep theirs, so that it is mostly the client who closes.
const HEAD_READ_MAX: Duration = Duration::from_secs(75);
/// How long requests may go on after the shutdown began.
pub const DRAIN_MAX: Duration = Duration::from_secs(25);
/// Pause after the kernel refused a connection (no file descriptors left), which else would be tried in a tight loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests until `shutdown`, then takes no more connections, lets running requests end for up to
/// [`DRAIN_MAX`], and returns.
pub async fn serve(listener: TcpListener, server: Arc<Server>, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let abort = CancellationToken::new();
    while let Some((stream, slot)) = accept(&listener, &slots, &shutdown).await {
        connections.spawn(connection(stream, slot, Arc::clone(&server), shutdown.clone(), abort.clone()));
    }
    drop(listener);
    connections.close();
    server.tasks.close();
    let drained = async {
        connections.wait().await;
        server.tasks.wait().await;
    };
    if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
        tracing::warn!(
            requests = server.in_flight(),
            "requests were still running when the time to drain was over"
        );
        abort.cancel();
        connections.wait().await;
    }
}

/// The next connection, when there is a slot for it; `None` at shutdown.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    shutdown
        .run_until_cancelled(async {
            let slot = Arc::clone(slots).acquire_owned().await.ok()?;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => return Some((stream, slot)),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        })
        .await?
}

async fn connection(
    stream: TcpStream,
    _slot: OwnedSemaphorePermit,
    server: Arc<Server>,
    shutdown: CancellationToken,
    abort: CancellationToken,
) {
    // Answers are small and written whole: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection's delay could not be switched off");
    }
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(request::answer(server, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .header_read_timeout(HEAD_READ_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served => ended,
                () = abort.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}
