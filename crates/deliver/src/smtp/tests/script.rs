//! An SMTP server that follows a script: one list of acts for each connection, in order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::smtp::connection::Duplex;

#[derive(Clone)]
pub(super) enum Act {
    Say(&'static str),
    Bytes(Vec<u8>),
    /// Reads a line, which must begin so.
    Expect(&'static str),
    /// Reads so many lines before any is answered: only a client that pipelines gets through.
    Group(usize),
    /// Reads a message up to its dot.
    Message,
    /// Reads some bytes of a message and no more.
    SomeOfMessage,
    /// Goes on encrypted.
    StartTls(TlsAcceptor),
    /// The client closes, and says nothing before.
    End,
    /// Stays silent and open.
    Hang,
}

/// Ends its connections when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all_heard = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                sessions.spawn(follow(BufReader::new(Box::new(stream)), script, Arc::clone(&all_heard)));
            }
            // No connection beyond the script.
            drop(listener);
            while let Some(ended) = sessions.join_next().await {
                ended.unwrap();
            }
        });
        Self { address, heard, task }
    }

    pub(super) fn host(&self) -> String {
        self.address.ip().to_string()
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything that was received, in order, once every script is done. Fails when a script was not followed.
    pub(super) async fn heard(mut self) -> Vec<String> {
        tokio::time::timeout(Duration::from_secs(20), &mut self.task)
            .await
            .expect("the scripts end")
            .unwrap();
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(mut stream: BufReader<Box<dyn Duplex>>, script: Vec<Act>, heard: Arc<Mutex<Vec<String>>>) {
    for act in script {
        match act {
            Act::Say(text) => say(&mut stream, text.as_bytes()).await,
            Act::Bytes(bytes) => say(&mut stream, &bytes).await,
            Act::Expect(prefix) => {
                let line = read_line(&mut stream).await;
                assert!(line.starts_with(prefix), "expected {prefix}, heard {line:?}");
                heard.lock().unwrap().push(line);
            }
            Act::Group(lines) => {
                for _ in 0..lines {
                    let line = read_line(&mut stream).await;
                    heard.lock().unwrap().push(line);
                }
            }
            Act::Message => {
                let mut message = String::new();
                loop {
                    let line = read_line(&mut stream).await;
                    assert!(!line.is_empty(), "the message ended without its dot");
                    message += &line;
                    if line == ".\r\n" {
                        break;
                    }
                }
                heard.lock().unwrap().push(message);
            }
            Act::SomeOfMessage => {
                let mut some = [0; 64];
                stream.read_exact(&mut some).await.unwrap();
            }
            Act::StartTls(acceptor) => match acceptor.accept(stream.into_inner()).await {
                Ok(encrypted) => stream = BufReader::new(Box::new(encrypted)),
                Err(_refused_by_client) => return,
            },
            Act::End => assert_eq!(read_line(&mut stream).await, ""),
            Act::Hang => std::future::pending().await,
        }
    }
}

async fn say(stream: &mut BufReader<Box<dyn Duplex>>, bytes: &[u8]) {
    // The client may have gone by now, as some scripts want.
    let _ = stream.get_mut().write_all(bytes).await;
    let _ = stream.get_mut().flush().await;
}

async fn read_line(stream: &mut BufReader<Box<dyn Duplex>>) -> String {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await.unwrap();
    String::from_utf8(line).unwrap()
}
