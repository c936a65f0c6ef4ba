//! The beginning of a connection where TLS is on: the handshake, and a word for clients that came without it.

use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;
use crate::http::limits::MAX_HEAD_BYTES;

/// The first byte of every TLS connection: a record of the handshake.
const HANDSHAKE: u8 = 0x16;
/// Said to a client that speaks plain HTTP.
const SAY_HTTPS: &str = "This port speaks HTTPS; use https:// instead of http://.\n";

/// Why a connection did not become one of TLS.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum HandshakeError {
    #[error("the client closed before it said anything")]
    Silent,
    #[error("the client speaks plain HTTP")]
    Plain,
    #[error("TLS handshake: {0}")]
    Handshake(io::Error),
}

impl Tls {
    /// Waits for the first byte and does the handshake. The caller keeps the time.
    pub(in crate::http) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) => return Err(HandshakeError::Silent),
            Ok(_) if first[0] != HANDSHAKE && first[0].is_ascii_alphabetic() => {
                say_https(stream).await;
                return Err(HandshakeError::Plain);
            }
            Ok(_) => {}
            Err(error) => return Err(HandshakeError::Handshake(error)),
        }
        let acceptor = TlsAcceptor::from(self.config.clone());
        acceptor.accept(stream).await.map_err(HandshakeError::Handshake)
    }
}

/// Answers a request in plain HTTP. What came of it is read first: bytes left unread would make the system cut the
/// connection before the client has read the answer.
async fn say_https(mut stream: TcpStream) {
    let mut request = vec![0; MAX_HEAD_BYTES];
    let length = SAY_HTTPS.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{SAY_HTTPS}"
    );
    // The connection ends either way; the answer is a courtesy.
    let _ = stream.try_read(&mut request);
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
