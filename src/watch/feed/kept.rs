//! What a feed leaves to the one that follows it after a reload: else lists would leave and come back, or be lost.

use std::sync::Arc;

use super::super::{Entry, HttpSource};
use super::files::{FilePattern, Known};
use super::{Address, Pattern};
use crate::sys::Blocking;

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
    pub(super) fn is_of(&self, address: &Address) -> bool {
        self.source.url == address.feed.source().url
    }
}

/// What is known of the files of a pattern.
#[derive(Clone, Debug)]
pub(super) struct KeptPattern {
    files: Arc<FilePattern>,
    known: Arc<Known>,
    /// Unix seconds.
    last_success_at: Option<i64>,
    reader: Blocking,
}

impl Pattern {
    pub(super) fn keep(&self) -> KeptPattern {
        KeptPattern {
            files: Arc::clone(&self.files),
            known: Arc::clone(&self.known),
            last_success_at: self.account.last_success_at(),
            reader: self.reader.clone(),
        }
    }

    /// Goes on where the same pattern ended; by other watch labels its files are read anew.
    pub(super) fn go_on(&mut self, before: &[KeptPattern]) {
        let Some(before) = before.iter().find(|before| before.files.is_same_pattern(&self.files)) else {
            return;
        };
        self.account.go_on(before.last_success_at);
        // A look that hangs is not begun again.
        self.reader = before.reader.clone();
        self.known = if before.files.has_same_labels(&self.files) {
            Arc::clone(&before.known)
        } else {
            Arc::new(Known::clone(&before.known).parsed_anew())
        };
    }
}
