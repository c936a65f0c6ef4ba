//! A client for tests: one request over a connection of its own, and the answer as it came.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// An answer over HTTP.
pub struct Page {
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Page {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The `data` of a good answer of the API.
    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        let mut json: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(json["status"], "success", "{json}");
        json["data"].take()
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Asks for a page with GET.
pub fn get(address: SocketAddr, path: &str) -> Page {
    request(address, &format!("GET {path}"), "")
}

/// Sends a request without a body: method and path, and lines of headers that each end in CRLF.
pub fn request(address: SocketAddr, what: &str, headers: &str) -> Page {
    send(address, what, headers, "")
}

/// Sends a request with a body, whose length the headers must tell.
pub fn send(address: SocketAddr, what: &str, headers: &str, body: &str) -> Page {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PAGE_TIMEOUT)).unwrap();
    let head = format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n{body}");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("{what}: no end of the headers in {answer:?}"));
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let page = Page { status, head, body: answer[end + 4..].to_vec() };
    if let Some(length) = page.header("content-length") {
        assert_eq!(length.parse(), Ok(page.body.len()), "{what}: cut off");
    }
    page
}
