//! What a feed leaves to the one that follows it after a reload: else lists would leave and come back, or be lost.

use std::sync::Arc;

use super::super::{Entry, HttpSource};
use super::http::HttpFeed;
use super::pattern::KeptPattern;

/// The lists in force of files and addresses, and when each source last succeeded.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub(super) given: Vec<Given>,
    pub(super) patterns: Vec<KeptPattern>,
}

/// A list that an address gave.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) source: Arc<HttpSource>,
    pub(super) list: Arc<Vec<Entry>>,
    /// Unix seconds.
    pub(super) last_success_at: Option<i64>,
}

impl Given {
    pub(super) fn is_of(&self, feed: &HttpFeed) -> bool {
        self.source.url == feed.source().url
    }
}
