//! The body of a request, read whole, with a cap for one and a cap for all that are in memory.

use std::error::Error;
use std::sync::Arc;

use axum::body::Body;
use http_body_util::{BodyExt as _, LengthLimitError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body in memory.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    /// Room for its bytes; given back when dropped.
    _room: OwnedSemaphorePermit,
}

/// Why a body is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It has more bytes than one may have.
    TooLong,
    /// There is no room for it beside all others.
    NoRoom,
    /// The client did not send all of it.
    Cut,
}

/// Reads a body. Each byte takes its room when it comes, so that clients which only announce many bytes take none. What finds no
/// room is read to its end and dropped: a client that still sends would not see the answer.
pub(super) async fn read(mut body: Body, room: &Arc<Semaphore>) -> Result<Whole, Unread> {
    let none = Arc::clone(room).try_acquire_many_owned(0).map_err(|_| Unread::NoRoom)?;
    let mut whole = Some(Whole { bytes: Vec::new(), _room: none });
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(unread)?.into_data() else {
            continue; // Trailers.
        };
        let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
        whole = whole.and_then(|mut whole| {
            whole._room.merge(Arc::clone(room).try_acquire_many_owned(bytes).ok()?);
            whole.bytes.extend_from_slice(&data);
            Some(whole)
        });
    }
    whole.ok_or(Unread::NoRoom)
}

fn unread(error: axum::Error) -> Unread {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Unread::TooLong;
        }
        cause = error.source();
    }
    Unread::Cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_take_room_for_their_bytes_and_give_it_back() {
        let room = Arc::new(Semaphore::new(10));
        let read = async |text: &'static str| read(Body::from(text), &room).await;
        let first = read("123456").await.unwrap();
        assert_eq!(first.bytes, b"123456");
        assert_eq!(read("78901").await.err(), Some(Unread::NoRoom));
        let second = read("7890").await.unwrap();
        assert_eq!((room.available_permits(), second.bytes.len()), (0, 4));
        assert!(read("").await.is_ok());
        drop((first, second));
        assert_eq!(room.available_permits(), 10);
    }
}
