//! The name and password that a request brings.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretSlice};

/// The name and password of a request.
pub(super) struct Credentials {
    /// `name:password`.
    text: SecretSlice<u8>,
    /// Bytes of the name.
    split: usize,
}

impl Credentials {
    /// Those of the header `Authorization`, where it holds some.
    pub(super) fn of(headers: &HeaderMap) -> Option<Credentials> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text: SecretSlice<u8> = BASE64_STANDARD.decode(token.trim()).ok()?.into();
        let split = text.expose_secret().iter().position(|byte| *byte == b':')?;
        Some(Credentials { text, split })
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.text.expose_secret()[..self.split]
    }

    pub(super) fn password(&self) -> &[u8] {
        &self.text.expose_secret()[self.split + 1..]
    }

    pub(super) fn name_and_password(&self) -> &[u8] {
        self.text.expose_secret()
    }
}
