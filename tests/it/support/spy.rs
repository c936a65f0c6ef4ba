//! An upstream by hand, which keeps what it was asked and answers with whatever bytes a test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What is answered to the request of that number, from 0, with that head; the connection is closed after it.
type Answer = dyn Fn(usize, &str) -> Vec<u8> + Send + Sync;

/// A listener that keeps the head of every request.
pub struct Spy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    serving: AbortHandle,
}

impl Spy {
    /// Starts to listen on a free port.
    pub async fn start(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> Spy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Arc<Answer>) = (heads.clone(), Arc::new(answer));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, kept.clone(), answer.clone()));
            }
        });
        Spy { address, heads, serving: serving.abort_handle() }
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Spy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One request, one answer. That a client is killed or goes away in the middle is no failure of a test.
async fn converse(mut stream: TcpStream, kept: Arc<Mutex<Vec<String>>>, answer: Arc<Answer>) -> Option<()> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    while bytes.len() < head_end + length.unwrap_or(0) {
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.push(head.clone());
        kept.len() - 1
    };
    stream.write_all(&answer(number, &head)).await.ok()?;
    stream.shutdown().await.ok()
}
