//! The UserSig as text: made from a secret key, and read back without one.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Identity;

/// Most bytes that a UserSig may unfold to; a real one has about 250.
const MAX_UNFOLDED_BYTES: u64 = 64 * 1024;

/// What a UserSig says of itself, as JSON. Not `Debug`: `sig` is part of a credential.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(rename = "TLS.ver")]
    ver: String,
    #[serde(rename = "TLS.identifier")]
    identifier: String,
    #[serde(rename = "TLS.sdkappid")]
    sdk_app_id: u64,
    /// Seconds.
    #[serde(rename = "TLS.expire")]
    expire: u64,
    /// Unix seconds.
    #[serde(rename = "TLS.time")]
    time: i64,
    /// Standard base64. Signed if present, but no request of the REST API needs it: [`sign`] leaves it out.
    #[serde(rename = "TLS.userbuf", skip_serializing_if = "Option::is_none", default)]
    pub(super) userbuf: Option<String>,
    /// Standard base64 of the HMAC; empty until sealed.
    #[serde(rename = "TLS.sig")]
    sig: String,
}

impl Claims {
    pub(super) fn new(identity: &Identity, now_unix: i64, lifetime_seconds: u64) -> Claims {
        Claims {
            ver: "2.0".to_owned(),
            identifier: identity.admin.clone(),
            sdk_app_id: identity.sdk_app_id,
            expire: lifetime_seconds,
            time: now_unix,
            userbuf: None,
            sig: String::new(),
        }
    }

    /// The text under the signature: lines in an order of its own.
    pub(super) fn content(&self) -> String {
        let mut content = format!(
            "TLS.identifier:{}\nTLS.sdkappid:{}\nTLS.time:{}\nTLS.expire:{}\n",
            self.identifier, self.sdk_app_id, self.time, self.expire
        );
        if let Some(userbuf) = &self.userbuf {
            content.push_str(&format!("TLS.userbuf:{userbuf}\n"));
        }
        content
    }

    /// Signs the claims and folds them into the text that goes into a URL.
    pub(super) fn seal(mut self, key: &SecretString) -> SecretString {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
            .expect("HMAC takes keys of any length");
        mac.update(self.content().as_bytes());
        self.sig = STANDARD.encode(mac.finalize().into_bytes());
        let json = serde_json::to_vec(&self).expect("a struct of texts and whole numbers is always JSON");
        let mut folder = ZlibEncoder::new(Vec::new(), Compression::default());
        folder.write_all(&json).expect("a Vec takes every byte");
        let folded = folder.finish().expect("a Vec takes every byte");
        SecretString::from(url_alphabet(&STANDARD.encode(folded)))
    }
}

/// Standard base64 in Tencent's own alphabet, which is not the URL-safe one of RFC 4648.
pub(super) fn url_alphabet(standard: &str) -> String {
    standard.replace('+', "*").replace('/', "-").replace('=', "_")
}

/// Makes a UserSig, version 2, that is good from `now_unix` (Unix seconds) for `lifetime_seconds`.
///
/// The key is text: its 64 hex digits are not decoded. The result is safe in a query string as it is. Source: the
/// official `tls-sig-api-v2` libraries (domain sheet, section 7.1).
pub fn sign(identity: &Identity, key: &SecretString, now_unix: i64, lifetime_seconds: u64) -> SecretString {
    Claims::new(identity, now_unix, lifetime_seconds).seal(key)
}

/// What can be read from a UserSig without its key. Nothing here is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    pub identity: Identity,
    /// Unix seconds (`TLS.time`).
    pub issued_at: i64,
    /// Unix seconds (`TLS.time` + `TLS.expire`); the last second in which the signature is still good.
    pub expires_at: i64,
}

/// Why a text is no UserSig of version 2. Never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedUserSig {
    #[error("it is not base64 in the alphabet of UserSig (A-Z a-z 0-9 * - _)")]
    Base64,
    #[error("what the base64 holds is not a zlib stream")]
    Zlib,
    #[error("it unfolds to more than {MAX_UNFOLDED_BYTES} bytes")]
    TooLong,
    #[error(
        "what it unfolds to is not the JSON of a UserSig of version 2 (TLS.identifier, TLS.sdkappid, TLS.time, TLS.expire, TLS.sig)"
    )]
    Claims,
    #[error("its time and lifetime add up to no possible moment")]
    Moment,
}

/// Reads a UserSig without checking its signature, for which the key is needed.
pub fn inspect(usersig: &str) -> Result<Inspected, MalformedUserSig> {
    let claims = unfold(usersig)?;
    let lifetime = i64::try_from(claims.expire).map_err(|_| MalformedUserSig::Moment)?;
    let expires_at = claims.time.checked_add(lifetime).ok_or(MalformedUserSig::Moment)?;
    Ok(Inspected {
        identity: Identity { sdk_app_id: claims.sdk_app_id, admin: claims.identifier },
        issued_at: claims.time,
        expires_at,
    })
}

/// The last second in which a UserSig is good, in Unix seconds.
pub fn expiry(usersig: &str) -> Result<i64, MalformedUserSig> {
    inspect(usersig).map(|inspected| inspected.expires_at)
}

fn unfold(usersig: &str) -> Result<Claims, MalformedUserSig> {
    // As in the official verifier, the standard alphabet is accepted beside Tencent's own.
    let standard = usersig.replace('*', "+").replace('-', "/").replace('_', "=");
    let folded = STANDARD.decode(standard).map_err(|_| MalformedUserSig::Base64)?;
    let mut json = Vec::new();
    ZlibDecoder::new(folded.as_slice())
        .take(MAX_UNFOLDED_BYTES + 1)
        .read_to_end(&mut json)
        .map_err(|_| MalformedUserSig::Zlib)?;
    if json.len() as u64 > MAX_UNFOLDED_BYTES {
        return Err(MalformedUserSig::TooLong);
    }
    serde_json::from_slice(&json).map_err(|_| MalformedUserSig::Claims)
}
