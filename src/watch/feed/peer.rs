//! The other side in tests: a server on loopback that gives the answers it is told to give.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Serves one connection after the other, one request each.
pub(super) struct Peer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// The connection that is served.
    current: Mutex<Option<TcpStream>>,
    /// The whole answer; empty: none, the connection stays open.
    answer: Mutex<Vec<u8>>,
    heads: Mutex<Vec<String>>,
    server_names: Mutex<Vec<Option<String>>>,
}

impl Peer {
    pub(super) fn start(tls: Option<Arc<ServerConfig>>) -> Peer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                while let Ok((stream, _)) = listener.accept() {
                    *shared.current.lock().unwrap() = Some(stream.try_clone().unwrap());
                    if shared.stop.load(Ordering::SeqCst) {
                        return;
                    }
                    // A client that breaks off is part of some tests.
                    let _ = match &tls {
                        None => shared.serve(stream),
                        Some(config) => shared.serve_tls(stream, config),
                    };
                    *shared.current.lock().unwrap() = None;
                }
            }
        });
        Peer { address, scheme, shared, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("{}://{}/watch", self.scheme, self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What is answered from now on; empty for silence.
    pub(super) fn answer(&self, answer: &str) {
        self.answer_bytes(answer.as_bytes());
    }

    pub(super) fn answer_bytes(&self, answer: &[u8]) {
        *self.shared.answer.lock().unwrap() = answer.to_vec();
    }

    /// The heads of all requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    /// The names that clients of TLS asked for.
    pub(super) fn server_names(&self) -> Vec<Option<String>> {
        self.shared.server_names.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The client's side may be closed by the very thread that waits here.
        if let Some(stream) = &*self.shared.current.lock().unwrap() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Shared {
    fn serve_tls(&self, stream: TcpStream, config: &Arc<ServerConfig>) -> io::Result<()> {
        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let name = stream.conn.server_name().map(str::to_owned);
        self.server_names.lock().unwrap().push(name);
        self.serve(&mut stream)?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    fn serve(&self, mut stream: impl Read + Write) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        self.heads.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
        let answer = self.answer.lock().unwrap().clone();
        if answer.is_empty() {
            // Until the client gives up.
            return match stream.read(&mut [0]) {
                Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
                _ => Ok(()),
            };
        }
        stream.write_all(&answer)?;
        stream.flush()
    }
}

/// A good answer with that list.
pub(super) fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

/// An answer with `headers`, each ended by CRLF.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}", body.len())
}
