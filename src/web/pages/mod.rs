//! The pages for people: made on the server, escaped by construction, whole without a script.

mod apps;
mod chain;
mod fails;
mod health;
mod layout;
mod links;
mod status;
#[cfg(test)]
mod tests;
mod visit;
mod watches;

use crate::view::Status;

use super::app_state::Readiness;
use super::findings::Finding;

pub(super) use visit::{chain, forbidden, lost, status, watches};

/// What the front page is made from.
pub(super) struct Facts<'a> {
    pub(super) status: &'a Status,
    pub(super) findings: &'a [Finding],
    /// Unix seconds of the latest commit; 0 before the first.
    pub(super) committed_at: i64,
    pub(super) started_at: i64,
    pub(super) now: i64,
    pub(super) readiness: Readiness,
}
