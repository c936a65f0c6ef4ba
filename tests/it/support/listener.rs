//! A hand-written upstream: reads each request to its last byte, keeps it, and sends the answer it is told, byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::eventually;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Connections are counted from 0.
    pub connection: usize,
    /// Requests of all connections are counted from 0.
    pub number: usize,
    pub at: Instant,
    /// Request line and headers, as they came.
    pub head: String,
    /// Method, target and version.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    /// The value of a header that may be there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    /// Keys and values of the query, in their order.
    pub fn query(&self) -> Vec<(String, String)> {
        let target = self.line.split(' ').nth(1).unwrap();
        let (_, query) = target.split_once('?').unwrap();
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        query.split('&').map(pair).collect()
    }
}

/// An answer: pieces of bytes, sent one by one with a pause between them.
pub struct Reply {
    pub pieces: Vec<Vec<u8>>,
    pub pause: Duration,
    /// Whether the connection may be used again.
    pub keep: bool,
}

impl Reply {
    /// HTTP 200 with that body.
    pub fn ok(body: &str) -> Reply {
        Reply::raw(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Exactly these bytes.
    pub fn raw(text: &str) -> Reply {
        Reply { pieces: vec![text.as_bytes().to_vec()], pause: Duration::ZERO, keep: true }
    }

    /// Exactly these bytes, and the end of the connection.
    pub fn last(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { pieces: vec![bytes.into()], pause: Duration::ZERO, keep: false }
    }

    /// The same bytes in pieces of that size.
    pub fn in_pieces(self, bytes: usize, pause: Duration) -> Reply {
        let all = self.pieces.concat();
        Reply { pieces: all.chunks(bytes).map(<[u8]>::to_vec).collect(), pause, keep: self.keep }
    }
}

type Answers = Box<dyn Fn(&Seen) -> Reply + Send + Sync>;

struct Desk {
    seen: Mutex<Vec<Seen>>,
    answers: Answers,
    /// While true, answers are held back.
    held: Mutex<bool>,
    released: Condvar,
}

/// A listening upstream; its threads end with the test's process.
pub struct Listener {
    address: SocketAddr,
    desk: Arc<Desk>,
}

impl Listener {
    /// Listens on a free port and answers as `answers` says.
    pub fn start(answers: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            seen: Mutex::default(),
            answers: Box::new(answers),
            held: Mutex::new(false),
            released: Condvar::new(),
        });
        let shared = Arc::clone(&desk);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (desk, stream) = (Arc::clone(&shared), stream.unwrap());
                std::thread::spawn(move || converse(&desk, stream, connection));
            }
        });
        Listener { address, desk }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.desk.seen).clone()
    }

    /// Waits until that many requests have come in all; gives them.
    pub fn await_seen(&self, requests: usize) -> Vec<Seen> {
        let enough = || Some(self.seen()).filter(|seen| seen.len() >= requests);
        eventually("enough requests came", || enough().ok_or(requests))
    }

    /// Holds answers back from now on, or lets them go.
    pub fn hold(&self, held: bool) {
        *locked(&self.desk.held) = held;
        self.desk.released.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection until either side ends it.
fn converse(desk: &Desk, mut stream: TcpStream, connection: usize) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    while let Some(mut seen) = read_request(&mut stream, &mut buffer) {
        seen.connection = connection;
        {
            let mut all = locked(&desk.seen);
            seen.number = all.len();
            all.push(seen.clone());
        }
        let mut held = locked(&desk.held);
        while *held {
            held = desk.released.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        drop(held);
        let reply = (desk.answers)(&seen);
        for piece in &reply.pieces {
            // A client that does not want the rest closes, as one that is killed does.
            if stream.write_all(piece).is_err() {
                return;
            }
            std::thread::sleep(reply.pause);
        }
        if !reply.keep {
            return;
        }
    }
}

/// The next request, or nothing when the client closed in between. What comes after it stays in `buffer`.
fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        read_more(stream, buffer)?;
    };
    let at = Instant::now();
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < end + 4 + length {
        read_more(stream, buffer)?;
    }
    let rest = buffer.split_off(end + 4 + length);
    let body = String::from_utf8(buffer[end + 4..].to_vec()).unwrap();
    *buffer = rest;
    Some(Seen { connection: 0, number: 0, at, head, line, headers, body })
}

fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 4096];
    let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
    buffer.extend_from_slice(&piece[..read]);
    Some(())
}
