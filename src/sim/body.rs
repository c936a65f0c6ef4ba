//! Bodies, whole and broken.
use std::{
    pin::Pin,
    task::{Context, Poll},
};

use hyper::{
    Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION},
};

/// What a huge body is made of.
const HUGE_PIECE: &[u8] = &[b' '; 64 * 1024];

/// The connection is cut on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the simulator cut this connection on purpose")]
pub(super) struct Cut;

/// What the simulator does with a request.
pub(super) enum Reply {
    Answer(Response<Matter>),
    /// Nothing, ever.
    Hang,
    /// A reset instead of an answer.
    Reset,
}

/// A body.
#[derive(Debug)]
pub(super) enum Matter {
    Whole(Option<Bytes>),
    /// Some bytes, then the connection breaks; `rested` once they had the time to leave.
    Torn {
        bytes: Option<Bytes>,
        rested: bool,
    },
    /// Blanks around `{}`: well-formed JSON of any size.
    Huge {
        bytes_left: u64,
    },
}

impl Body for Matter {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Matter::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Matter::Torn { bytes, rested } => match bytes.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None if *rested => Poll::Ready(Some(Err(Cut))),
                None => {
                    *rested = true;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            Matter::Huge { bytes_left: 0 } => Poll::Ready(None),
            Matter::Huge { bytes_left } => {
                // The last two bytes are the value, so that whoever reads it all has read it all.
                let size = (HUGE_PIECE.len() as u64).min(bytes_left.saturating_sub(2));
                let piece = if size == 0 {
                    Bytes::from_static(&b"{}"[..(*bytes_left).min(2) as usize])
                } else {
                    Bytes::from_static(&HUGE_PIECE[..size as usize])
                };
                *bytes_left -= piece.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Matter::Whole(None) | Matter::Huge { bytes_left: 0 })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Matter::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Matter::Torn { .. } => SizeHint::default(),
            Matter::Huge { bytes_left } => SizeHint::with_exact(*bytes_left),
        }
    }
}

fn answer(status: StatusCode, content_type: &'static str, matter: Matter) -> Response<Matter> {
    let mut response = Response::new(matter);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Matter> {
    answer(status, "application/json", Matter::Whole(Some(text.into())))
}

pub(super) fn html(status: StatusCode) -> Response<Matter> {
    let page = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n");
    answer(status, "text/html", Matter::Whole(Some(page.into())))
}

/// A page of its kind for any status; a redirect leads back to `path_and_query`.
pub(super) fn http(status: u16, path_and_query: &str) -> Response<Matter> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        let mut response = Response::new(Matter::Whole(None));
        *response.status_mut() = status;
        return response;
    }
    let mut response = html(status);
    if let (true, Ok(location)) = (status.is_redirection(), HeaderValue::from_str(path_and_query)) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

pub(super) fn huge(bytes: u64) -> Response<Matter> {
    answer(StatusCode::OK, "application/json", Matter::Huge { bytes_left: bytes })
}

/// The first half of a body, as if it were whole.
pub(super) fn half(whole: &Bytes) -> Response<Matter> {
    json(StatusCode::OK, whole.slice(..whole.len() / 2))
}

/// The first half of a body under the length of the whole.
pub(super) fn torn(whole: &Bytes) -> Response<Matter> {
    let half = whole.slice(..whole.len() / 2);
    let matter = Matter::Torn { bytes: Some(half), rested: false };
    let mut response = answer(StatusCode::OK, "application/json", matter);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    response
}
