//! What the same machine does without Counterpoint: a server that reads the body and answers, and one that also verifies the
//! signature and checks the JSON's syntax.

use std::convert::Infallible;
use std::sync::Arc;

use api::secrets::Secret;
use api::sigv4::{Request as SignedRequest, SigningKeys, parse};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::IgnoredAny;
use tokio::net::TcpListener;

use crate::client::now;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bare,
    Verified,
}

struct Baseline {
    kind: Kind,
    keys: SigningKeys,
    secret: Secret,
}

/// Serves until the process is ended; prints its address.
#[expect(clippy::print_stdout, reason = "the load generator reads the address")]
pub(crate) async fn serve(kind: Kind, secret: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let baseline =
        Arc::new(Baseline { kind, keys: SigningKeys::new(), secret: Secret::new(secret.to_owned()) });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let baseline = Arc::clone(&baseline);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&baseline), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    baseline: Arc<Baseline>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let is_good = match baseline.kind {
        Kind::Bare => true,
        Kind::Verified => {
            let signed = SignedRequest::from(&parts);
            let verified = parse(&signed).and_then(|presented| {
                baseline.keys.verify(&presented, &signed, &baseline.secret, &body, now())
            });
            verified.is_ok() && serde_json::from_slice::<IgnoredAny>(&body).is_ok()
        }
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    if !is_good {
        *response.status_mut() = hyper::StatusCode::FORBIDDEN;
    }
    Ok(response)
}
