//! A small HTTP client for load: requests are signed beforehand or as they go, connections are kept, nothing is pooled.

use std::io;
use std::time::Instant;

use api::secrets::Secret;
use api::sigv4::{PathStyle, Signer, payload_hash};
use domain::time::Timestamp;
use hyper::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server and the credentials for it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub address: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// A response: its status and body.
pub(crate) struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Target {
    /// The bytes of a signed request.
    pub(crate) fn signed(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        now: Timestamp,
    ) -> anyhow::Result<Vec<u8>> {
        let secret = Secret::new(self.secret_access_key.clone());
        let signer = Signer {
            access_key_id: &self.access_key_id,
            secret: &secret,
            security_token: None,
            region: "us-east-1",
            service: "mobiletargeting",
            path_style: PathStyle::Normalised,
        };
        let mut headers = HeaderMap::new();
        headers.insert("host", self.address.parse()?);
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let hash = payload_hash(body);
        signer.sign((method, bare, query), &mut headers, &hash, now)?;
        let mut request = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
        for (name, value) in &headers {
            request.extend_from_slice(name.as_str().as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(body);
        Ok(request)
    }

    /// One call over a connection of its own; an error status is an error.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<serde_json::Value> {
        let request = self.signed(method, path, body.as_bytes(), now())?;
        let mut connection = Connection::open(&self.address).await?;
        let response = connection.call(&request).await?;
        if response.status >= 300 {
            let text = String::from_utf8_lossy(&response.body).into_owned();
            anyhow::bail!("{method} {path} answered {}: {text}", response.status);
        }
        if response.body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        response.json()
    }
}

/// A kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 << 10) })
    }

    /// Sends a request and reads its response.
    pub(crate) async fn call(&mut self, request: &[u8]) -> io::Result<Response> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status = text.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
        let length: usize = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.trim().parse().ok())
            .unwrap_or(0);
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Response { status, body: self.buffer[head..head + length].to_vec() })
    }
}

/// The time of day of this machine.
#[expect(clippy::disallowed_methods, reason = "a load generator is outside of the program")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_millis() as i64))
}

/// Durations, and what they amount to.
#[derive(Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn since(&mut self, start: Instant) {
        self.0.push(start.elapsed().as_micros().min(u128::from(u32::MAX)) as u32);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The duration below which this share of all lies, in milliseconds.
    pub(crate) fn percentile_ms(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let place = ((self.0.len() as f64 * share) as usize).min(self.0.len().saturating_sub(1));
        self.0.get(place).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
    }
}
