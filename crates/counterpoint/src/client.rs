//! Signed calls to a running server on this machine, for the commands that change what it holds.

use anyhow::{Context as _, bail};
use api::secrets::Secret;
use api::sigv4::{PathStyle, Signer, payload_hash};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use store::Context;
use tokio::net::TcpStream;

use crate::config::Config;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A running server and the key to call it with.
pub(crate) struct Client {
    address: String,
    access_key_id: String,
    secret: Secret,
    context: Context,
}

impl Client {
    /// The server of `AWS_ENDPOINT_URL` or of the configuration, called with the key of the environment
    /// (`AWS_ACCESS_KEY_ID`) or the configured root key.
    pub(crate) fn new(config: &Config, context: Context) -> anyhow::Result<Self> {
        let variable = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
        let address = if let Some(url) = variable("AWS_ENDPOINT_URL") {
            url.trim_end_matches('/')
                .strip_prefix("http://")
                .context("AWS_ENDPOINT_URL must begin with http:// here")?
                .to_owned()
        } else {
            let mut listen = config.server.listen;
            if listen.port() == 0 {
                bail!("the server is running on a port of its choice: set AWS_ENDPOINT_URL");
            }
            if listen.ip().is_unspecified() {
                listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            listen.to_string()
        };
        let (access_key_id, secret) = match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
        {
            (Some(id), Some(secret)) => (id, Secret::new(secret)),
            _ => (config.auth.root_access_key_id.clone(), config.auth.root_secret_access_key.clone()),
        };
        if access_key_id.is_empty() {
            bail!(
                "the data directory is in use by a running server: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to call it"
            );
        }
        Ok(Self { address, access_key_id, secret, context })
    }

    /// Calls our own API. `path` is what follows `/counterpoint/v1/`, percent-encoded. An answer that is an error is an error
    /// with the server's words.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let path = format!("{}{path}", api::OWN_PREFIX);
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&self.address)?);
        let signer = Signer {
            access_key_id: &self.access_key_id,
            secret: &self.secret,
            security_token: None,
            region: "us-east-1",
            service: "counterpoint",
            path_style: PathStyle::Normalised,
        };
        signer.sign((method, &path, ""), &mut headers, &payload_hash(body.as_bytes()), self.context.now())?;
        let mut request = Request::builder().method(method).uri(path).body(Full::new(Bytes::from(body)))?;
        request.headers_mut().extend(headers);

        let stream = TcpStream::connect(&self.address).await;
        let stream = stream.with_context(|| format!("no server answers at {}", self.address))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        drop(sender);
        connection.await??;
        if !status.is_success() {
            let document: Value = serde_json::from_slice(&body).unwrap_or_default();
            let message = document["Message"].as_str().or(document["message"].as_str());
            bail!("the server answers {}: {}", status.as_u16(), message.unwrap_or("no reason"));
        }
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
    }
}
