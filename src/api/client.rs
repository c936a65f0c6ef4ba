//! Sends one request and reads the answer: the only place that dials the upstream.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use hyper::body::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::oneshot;

use crate::budget::Moment;
use crate::sys;

use super::body;
use super::code::{Failure, classify, classify_http};
pub use super::failed::Failed;
use super::failed::{chain, of_transport};
use super::wire::Answer;

/// The command of the upstream that this program asks.
const COMMAND: &str = "v4/timpush/all_member_push_trace";
/// A connection that nothing used for so long is not used again: the other side may just be closing it.
const IDLE: Duration = Duration::from_secs(15);
/// The longest that a request is held back; a thread is kept busy meanwhile.
pub const HOLD_CAP: Duration = Duration::from_micros(500);
/// The longest word of the upstream's texts that is shown; longer ones may be tokens or signatures.
const WORD_CAP_CHARS: usize = 24;
/// The shortest piece of our signature that is left out wherever the upstream echoes it.
const PIECE_CHARS: usize = 6;

/// Whom to ask, and as whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Without a trailing slash.
    pub base_url: String,
    pub sdk_app_id: u64,
    /// The `identifier`.
    pub admin: String,
    /// For the whole exchange, connecting included.
    pub timeout: Duration,
}

/// Whose trace is asked for.
#[derive(Clone, Copy, Debug)]
pub struct TraceRequest<'a> {
    pub task: &'a str,
    pub user: &'a str,
}

/// When a request may be sent, and who is told that it was.
#[derive(Debug)]
pub struct SendGate {
    /// It is held back until then, for at most [`HOLD_CAP`]: whoever asks early evens out what the way to the network
    /// takes.
    pub not_before: Moment,
    /// Told the moment at which the request is handed to the network; dropped untold if it never was.
    pub sent: oneshot::Sender<Moment>,
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

/// Speaks HTTP to the upstream. Keeps connections; clones share them.
#[derive(Clone, Debug)]
pub struct Client {
    /// For `https`, once it was prepared; proxies named by the environment are honoured.
    tls: Arc<OnceLock<reqwest::Client>>,
    /// For `http`, which is for tests and gateways nearby: the signature in the URL goes through no proxy.
    plain: reqwest::Client,
}

impl Client {
    /// Builds the client; endpoints of `https` are to be prepared.
    ///
    /// # Errors
    /// The HTTP library cannot be used.
    pub fn new() -> Result<Client, ClientError> {
        sys::install_tls_provider();
        // Without the empty list the system's certificates would have to be there.
        let plain = builder().no_proxy().tls_certs_only([]).build();
        let plain = plain.map_err(|error| ClientError(format!("HTTP client: {}", chain(&error))))?;
        Ok(Client { tls: Arc::default(), plain })
    }

    /// Makes ready for requests to `endpoint`. Reads the system's certificates the first time they are needed: blocks.
    ///
    /// # Errors
    /// There are none that can be used.
    pub fn prepare(&self, endpoint: &str) -> Result<(), ClientError> {
        if is_https(endpoint) && self.tls.get().is_none() {
            let built = builder().build();
            let tls = built.map_err(|error| ClientError(sys::no_certificates(&chain(&error))))?;
            // Another app may have been quicker.
            let _ = self.tls.set(tls);
        }
        Ok(())
    }

    /// Sends `request`, signed with `usersig`.
    ///
    /// # Errors
    /// [`Failed`], which says what to do about it.
    pub async fn ask(
        &self,
        endpoint: &Endpoint,
        request: TraceRequest<'_>,
        usersig: &SecretString,
        gate: SendGate,
    ) -> Result<Answer, Failed> {
        let asked = self.exchange(endpoint, request, usersig, gate).await;
        let plain = |text: String| plain_words(&text, usersig.expose_secret());
        asked.map_err(|Failed { failure, detail, upstream_text }| Failed {
            failure,
            detail: plain(detail),
            upstream_text: upstream_text.map(plain),
        })
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        request: TraceRequest<'_>,
        usersig: &SecretString,
        gate: SendGate,
    ) -> Result<Answer, Failed> {
        let client = match self.tls.get() {
            Some(tls) if is_https(&endpoint.base_url) => tls,
            // It speaks no HTTPS that anybody could sign for.
            _ => &self.plain,
        };
        let exchange = async {
            let response = client
                .post(url(endpoint, usersig))
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(reqwest::Body::wrap(GatedBody::new(request, gate)))
                .send()
                .await
                .map_err(|error| of_transport(&error))?;
            let status = response.status().as_u16();
            if status != 200 {
                let failure = classify_http(status);
                return Err(Failed::new(failure, "the upstream answered with that HTTP status"));
            }
            body::read(response).await
        };
        let body = tokio::time::timeout(endpoint.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(timed_out(endpoint.timeout)))?;
        let answer = Answer::parse(&body)
            .map_err(|malformed| Failed::new(Failure::MALFORMED, malformed.to_string()))?;
        if answer.success {
            return Ok(answer.without_user(request.user));
        }
        let failure = classify(answer.code);
        let upstream_text = Some(answer.error_info).filter(|text| !text.is_empty());
        Err(Failed { upstream_text, ..Failed::new(failure, failure.kind.meaning()) })
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("timpush_exporter/", env!("CARGO_PKG_VERSION")))
}

fn is_https(endpoint: &str) -> bool {
    endpoint.starts_with("https:")
}

/// The address with the signature in it: made for one request, never kept, never shown.
fn url(endpoint: &Endpoint, usersig: &SecretString) -> String {
    let Endpoint { base_url, sdk_app_id, admin, .. } = endpoint;
    let random = fastrand::u32(..);
    let admin = percent_encode(admin);
    let usersig = percent_encode(usersig.expose_secret());
    format!(
        "{base_url}/{COMMAND}?sdkappid={sdk_app_id}&identifier={admin}&usersig={usersig}&random={random}&contenttype=json"
    )
}

/// Leaves what RFC 3986 calls unreserved, and `*`, which stands in signatures.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'*' => {
                encoded.push(byte.into())
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn timed_out(timeout: Duration) -> Failed {
    Failed::new(Failure::TIMEOUT, format!("no answer within {} ms", timeout.as_millis()))
}

/// A text for the log: without every run of ASCII that is long enough to be a token, a key or a signature, and without
/// every piece of our own `secret`.
fn plain_words(text: &str, secret: &str) -> String {
    let mut plain = String::new();
    let mut run = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_graphic() {
            run.push(c);
            continue;
        }
        let leaves_out = run.len() > WORD_CAP_CHARS || holds_piece(&run, secret);
        plain.push_str(if leaves_out { "[left out]" } else { &run });
        run.clear();
        plain.push(c);
    }
    plain.pop(); // The blank that ended the last run.
    plain
}

/// True if a piece of `secret` as long as [`PIECE_CHARS`] stands in the ASCII text `word`.
fn holds_piece(word: &str, secret: &str) -> bool {
    let pieces = word.as_bytes().windows(PIECE_CHARS);
    pieces.filter_map(|piece| std::str::from_utf8(piece).ok()).any(|piece| secret.contains(piece))
}

/// The request's body, which tells when the connection takes it: then the head is being written, too.
struct GatedBody {
    bytes: Option<Bytes>,
    gate: Option<SendGate>,
}

impl GatedBody {
    fn new(request: TraceRequest<'_>, gate: SendGate) -> GatedBody {
        let text = json!({ "TaskID": request.task, "UserID": request.user }).to_string();
        GatedBody { bytes: Some(text.into()), gate: Some(gate) }
    }
}

impl Body for GatedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(SendGate { not_before, sent }) = self.gate.take() {
            let cap = Moment::now().after(HOLD_CAP);
            while Moment::now() < not_before.min(cap) {
                std::hint::spin_loop(); // A timer would be late by as much as this is about.
            }
            let _ = sent.send(Moment::now()); // Whoever asked may have given up.
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_of_the_upstream_are_left_out() {
        let text = "verify failed for usersig=eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTm of admin";
        assert_eq!(plain_words(text, ""), "verify failed for [left out] of admin");
        assert_eq!(plain_words("cut off at eJyrVgr", "eJyrVgrxCdYrSy1"), "cut off at [left out]");
        assert_eq!(
            plain_words("签名错误，请检查签名 70003", "eJyrVgrxCdYrSy1"),
            "签名错误，请检查签名 70003"
        );
    }

    #[test]
    fn the_address_is_the_one_of_the_manual() {
        let endpoint = Endpoint {
            base_url: "https://console.tim.qq.com".into(),
            sdk_app_id: 88_888_888,
            admin: "a b&c".into(),
            timeout: Duration::from_secs(1),
        };
        let address = url(&endpoint, &SecretString::from("eJx*a-b_".to_owned()));
        let (start, random) = address.split_once("&random=").unwrap();
        let manual = "https://console.tim.qq.com/v4/timpush/all_member_push_trace?sdkappid=88888888&identifier=a%20b%26c\
                      &usersig=eJx*a-b_";
        assert_eq!(start, manual);
        let number: u32 = random.strip_suffix("&contenttype=json").unwrap().parse().unwrap();
        assert_ne!(address, url(&endpoint, &SecretString::from("eJx*a-b_".to_owned())), "{number} is random");
    }
}
