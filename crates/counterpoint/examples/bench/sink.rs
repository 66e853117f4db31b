//! A recording mail server outside of the server under test: what arrived is known even when the server is killed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Mails by recipient.
#[derive(Clone, Default)]
pub(crate) struct Sink {
    received: Arc<Mutex<HashMap<String, u32>>>,
    count: Arc<AtomicU64>,
    pub address: String,
}

impl Sink {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let sink = Self { address: listener.local_addr()?.to_string(), ..Self::default() };
        let recording = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = recording.clone();
                tokio::spawn(async move {
                    // A client that goes away in the middle has not handed its mail over.
                    let _ = sink.serve(stream).await;
                });
            }
        });
        Ok(sink)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Recipients with their number of mails.
    pub(crate) fn received(&self) -> HashMap<String, u32> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::with_capacity(64 << 10, stream);
        stream.write_all(b"220 sink\r\n").await?;
        let mut line = Vec::new();
        let mut to = String::new();
        let mut answers: Vec<u8> = Vec::new();
        loop {
            line.clear();
            if stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => answers.extend_from_slice(
                    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 20000000\r\n",
                ),
                "RCPT" => {
                    to = text.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    answers.extend_from_slice(b"250 ok\r\n");
                }
                "DATA" => {
                    answers.extend_from_slice(b"354 go on\r\n");
                    stream.write_all(&answers).await?;
                    answers.clear();
                    read_data(&mut stream).await?;
                    self.record(&to);
                    answers.extend_from_slice(b"250 taken\r\n");
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => answers.extend_from_slice(b"250 ok\r\n"),
            }
            if stream.buffer().is_empty() {
                stream.write_all(&answers).await?;
                answers.clear();
            }
        }
    }

    fn record(&self, to: &str) {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        *received.entry(to.to_owned()).or_default() += 1;
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut *stream).take(1 << 20).read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(());
        }
    }
}
