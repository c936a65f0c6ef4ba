//! How much of everything requests may use beside what the server kit caps.

use crate::http::MAX_BODY_BYTES;

/// Scrapes rendered at once; more wait.
pub(super) const MAX_RENDERS: usize = 4;
/// Bytes of bodies that are read or parsed at once, over all requests; one that has more is refused.
pub(super) const MAX_BODIES_BYTES: usize = 16 * 1024 * 1024;
const _: () = assert!(MAX_BODY_BYTES < MAX_BODIES_BYTES, "else no body is read");
/// Bodies parsed at once; more wait. What is made of a body takes many times its bytes.
pub(super) const MAX_PARSES: usize = 1;
