//! One address that answers with a list: when it is asked, and the last good list it gave.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
};
use reqwest::{Response, StatusCode};

use super::super::{HttpSource, ListFormat, MAX_LIST_BYTES};
use super::dial::{Dialer, Proof, words};
use super::held::{Document, Held};
use super::report::SourceNews;
use crate::document::shown;
use crate::sys::{Blocking, gunzip, run_blocking};

/// The longest exchange, from connecting to the last byte; a source with a shorter `refresh` has only that.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// One address and what it gave.
#[derive(Clone)]
pub(super) struct HttpFeed {
    source: Arc<HttpSource>,
    watch_labels: Arc<[Box<str>]>,
    /// How the log names it: without the query.
    shown: String,
    max_bytes: usize,
    /// Where the files that it names are read.
    reader: Blocking,
    state: State,
}

/// What a look may change; a look begun and dropped leaves it as it was.
#[derive(Clone)]
struct State {
    dialer: Dialer,
    /// Of the list in force.
    etag: Option<HeaderValue>,
    held: Held,
}

/// What a look came to.
pub(super) struct Looked {
    state: State,
    news: SourceNews,
}

/// What the other side answered.
enum Answer {
    /// Still the list of the `ETag` that was sent.
    Same,
    List(List),
}

struct List {
    body: Vec<u8>,
    is_gzip: bool,
    etag: Option<HeaderValue>,
}

impl HttpFeed {
    /// Builds the client; asks nothing yet.
    ///
    /// # Errors
    /// What is wrong with the URL or with `tls_config`.
    pub(super) fn new(source: &HttpSource, watch_labels: Arc<[Box<str>]>) -> Result<HttpFeed, String> {
        let dialer = Dialer::new(source)?;
        Ok(HttpFeed {
            shown: source.shown_url(),
            source: Arc::new(source.clone()),
            watch_labels,
            max_bytes: MAX_LIST_BYTES,
            reader: Blocking::new(TIMEOUT),
            state: State { dialer, etag: None, held: Held::default() },
        })
    }

    #[cfg(test)]
    pub(super) fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
    }

    pub(super) fn source(&self) -> &Arc<HttpSource> {
        &self.source
    }

    /// Time between two looks.
    pub(super) fn refresh(&self) -> Duration {
        self.source.refresh
    }

    pub(super) fn held(&self) -> &Held {
        &self.state.held
    }

    /// Takes over what a look came to.
    pub(super) fn take(&mut self, looked: Looked) -> SourceNews {
        self.state = looked.state;
        looked.news
    }

    /// Asks once.
    pub(super) async fn look(&self) -> Looked {
        let mut state = self.state.clone();
        let mut news = SourceNews::default();
        let outcome = match self.ask(&mut state).await {
            Ok(Answer::Same) => Ok(()),
            Ok(Answer::List(list)) => {
                let read;
                (state, news, read) = self.read(state, list).await;
                read
            }
            Err(trouble) => Err(trouble),
        };
        state.held.end_look(&self.shown, outcome, &mut news);
        Looked { state, news }
    }

    async fn read(&self, mut state: State, list: List) -> (State, SourceNews, Result<(), String>) {
        let (shown, labels) = (self.shown.clone(), Arc::clone(&self.watch_labels));
        let max = self.max_bytes;
        run_blocking(move || {
            let mut news = SourceNews::default();
            let unpacked = if list.is_gzip { gunzip(&list.body, max) } else { Ok(list.body) };
            let bytes = match unpacked {
                Ok(bytes) => bytes,
                Err(error) => {
                    state.etag = None;
                    return (state, news, Err(format!("answered with a body that {error}")));
                }
            };
            let document = Document { shown: &shown, format: ListFormat::Json, bytes: &bytes };
            state.held.read(document, &labels, &mut news);
            // An answer that is no list must come whole again.
            state.etag = list.etag.filter(|_| state.held.is_good());
            (state, news, Ok(()))
        })
        .await
    }

    /// One exchange; a trouble is a text for the log.
    async fn ask(&self, state: &mut State) -> Result<Answer, String> {
        let (source, dialer) = (Arc::clone(&self.source), state.dialer.clone());
        let prepared = self.reader.run(move || {
            let dialer = if dialer.is_stale(&source) { Dialer::new(&source)? } else { dialer };
            Ok((dialer, Proof::read(&source)?))
        });
        let prepared = prepared.await.unwrap_or_else(|hung| Err(format!("reading its secrets: {hung}")));
        let (dialer, proof) = prepared?;
        state.dialer = dialer;
        self.exchange(state, proof).await
    }

    async fn exchange(&self, state: &State, proof: Option<Proof>) -> Result<Answer, String> {
        let timeout = TIMEOUT.min(self.source.refresh);
        let mut request = state.dialer.get().timeout(timeout);
        request = request.header(ACCEPT, "application/json").header(ACCEPT_ENCODING, "gzip");
        if let Some(etag) = &state.etag {
            request = request.header(IF_NONE_MATCH, etag.clone());
        }
        if let Some(proof) = proof {
            request = proof.put(request)?;
        }
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                format!("gave no whole answer within {} ms", timeout.as_millis())
            } else {
                words(error)
            }
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        match status {
            StatusCode::NOT_MODIFIED if state.etag.is_some() => Ok(Answer::Same),
            StatusCode::OK => {
                let etag = response.headers().get(ETAG).cloned();
                let is_gzip = is_gzip(response.headers())?;
                let body = self.body(response).await?.map_err(failed)?;
                Ok(Answer::List(List { body, is_gzip, etag }))
            }
            status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => Err(format!(
                "answered {status}; redirects are not followed, the URL itself would have to be the right one"
            )),
            status => Err(format!("answered {status}; expected 200 OK with a list as JSON")),
        }
    }

    /// The whole body; the outer error is one that is too long.
    async fn body(&self, mut response: Response) -> Result<Result<Vec<u8>, reqwest::Error>, String> {
        let max = self.max_bytes;
        let too_long = || Err(format!("answered with more than {max} bytes; expected at most that"));
        if response.content_length().is_some_and(|length| length > max as u64) {
            return too_long();
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(Ok(body)),
                Ok(Some(chunk)) if chunk.len() > max - body.len() => return too_long(),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

/// Whether a body is packed by gzip; another encoding is none that can be read.
fn is_gzip(headers: &HeaderMap) -> Result<bool, String> {
    let mut is_gzip = false;
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        for encoding in value.split(',').map(|encoding| encoding.trim().to_ascii_lowercase()) {
            match encoding.as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" if !is_gzip => is_gzip = true,
                _ => {
                    let value = shown(&value);
                    return Err(format!("answered with Content-Encoding {value}; expected gzip or none"));
                }
            }
        }
    }
    Ok(is_gzip)
}
