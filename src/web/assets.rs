//! Style and script of the pages, and what a browser may do with them.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use sha2::{Digest as _, Sha256};

pub(super) const STYLE: &str = include_str!("pages/style.css");
/// Refreshes what is marked as live; the pages are whole without it.
pub(super) const SCRIPT: &str = include_str!("pages/refresh.js");

/// Lets a browser take nothing but our one inline style and our one inline script, which their hashes name, and the
/// script ask nobody but us.
pub(super) static SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).expect("base64 and our own words are visible ASCII")
});
