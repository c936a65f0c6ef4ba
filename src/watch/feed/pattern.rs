//! One pattern of files: what it is known to match, and the look at it.

use std::sync::Arc;

use super::files::{FilePattern, KnownFiles};
use super::report::{SourceAccount, SourceNews};
use crate::sys::Blocking;

/// One pattern of files.
pub(super) struct Pattern {
    pub(super) files: Arc<FilePattern>,
    pub(super) known: Arc<KnownFiles>,
    pub(super) account: SourceAccount,
    /// Where its files are looked at.
    pub(super) reader: Blocking,
}

impl Pattern {
    /// A look at its files; where it hangs, that is what it comes to.
    pub(super) fn look(&self) -> impl Future<Output = (KnownFiles, SourceNews)> + use<> {
        let (files, known, reader) = (self.files.clone(), self.known.clone(), self.reader.clone());
        async move {
            let (looking, before) = (files.clone(), known.clone());
            let looked = reader.run(move || looking.look(&before)).await;
            looked.unwrap_or_else(|hung| files.hung(&known, hung))
        }
    }

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
            Arc::new(KnownFiles::clone(&before.known).parsed_anew())
        };
    }
}

/// What is known of the files of a pattern.
#[derive(Clone, Debug)]
pub(super) struct KeptPattern {
    files: Arc<FilePattern>,
    known: Arc<KnownFiles>,
    /// Unix seconds.
    last_success_at: Option<i64>,
    reader: Blocking,
}
