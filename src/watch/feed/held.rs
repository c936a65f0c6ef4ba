//! The last good list of one document, kept while the document is unusable.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use super::super::{Entry, ListFormat, Parsed, parse_list};
use super::report::SourceNews;
use crate::document::Warnings;

/// Warnings of one list that the log holds.
const MAX_LIST_WARNINGS: usize = 10;

/// One content of a document.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    /// How the log names it.
    pub(super) shown: &'a str,
    pub(super) format: ListFormat,
    pub(super) bytes: &'a [u8],
}

/// What is kept of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    has_read: bool,
    /// Of the content read last, good or bad; `None` if the next is to be parsed in any case.
    digest: Option<u64>,
    /// Why that content is no list.
    fault: Option<String>,
    /// Of the last content that was a list.
    list: Arc<Vec<Entry>>,
    pairs: u64,
    /// Pairs that were refused of the latest content that could be read entry by entry.
    refused: u64,
    /// Of that content.
    warnings: Warnings,
    /// What the log was last told to be wrong.
    told: Option<String>,
}

impl Held {
    /// The last good list; empty before the first.
    pub(super) fn list(&self) -> &Arc<Vec<Entry>> {
        &self.list
    }

    /// How many pairs of task and user the list holds.
    pub(super) fn pairs(&self) -> u64 {
        self.pairs
    }

    /// How many pairs of the latest content that could be read entry by entry were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// How many places of that content were taken with a warning.
    pub(super) fn warnings(&self) -> u64 {
        self.warnings.count() as u64
    }

    /// Whether a content was read, good or bad.
    pub(super) fn is_read(&self) -> bool {
        self.has_read
    }

    /// Has the next content parsed, even if it is the one read last.
    pub(super) fn forget_content(&mut self) {
        self.digest = None;
    }

    /// True if the content read last is a list.
    pub(super) fn is_good(&self) -> bool {
        self.digest.is_some() && self.fault.is_none()
    }

    /// Takes over a content, unless it is the one read last.
    pub(super) fn read(&mut self, document: Document<'_>, watch_labels: &[Box<str>], news: &mut SourceNews) {
        let digest = digest(document.bytes);
        if self.digest == Some(digest) {
            return;
        }
        self.digest = Some(digest);
        self.has_read = true;
        let now = jiff::Timestamp::now().as_second();
        let parsed = match parse_list(document.format, document.bytes, watch_labels, now) {
            Ok(parsed) => parsed,
            Err(fault) => {
                self.fault = Some(fault.to_string());
                return;
            }
        };
        // Most of what is refused was refused in the content before, too: only what is more is counted.
        news.newly_refused += parsed.refused_pairs.saturating_sub(self.refused);
        self.refused = parsed.refused_pairs;
        self.fault = none_usable(&parsed);
        news.tell_refused(document.shown, &parsed);
        // So many of one list that its warnings leave room for what is refused in others.
        let lines: Vec<String> =
            parsed.warnings.lines_beyond(&self.warnings).into_iter().map(|line| line.to_string()).collect();
        for line in lines.iter().take(MAX_LIST_WARNINGS) {
            news.tell(format!("{}: {line}", document.shown));
        }
        if lines.len() > MAX_LIST_WARNINGS {
            news.tell(format!("{}: and {} more warnings", document.shown, lines.len() - MAX_LIST_WARNINGS));
        }
        self.warnings = parsed.warnings;
        if self.fault.is_some() {
            return;
        }
        if parsed.entries.is_empty() {
            news.tell(format!("{}: is an empty list", document.shown));
        }
        if parsed.entries != *self.list {
            self.pairs = pairs_of(&parsed.entries);
            self.replace(parsed.entries, news);
        }
    }

    /// The document is gone, and its list with it.
    pub(super) fn leave(mut self, shown: &str, news: &mut SourceNews) {
        news.tell(format!("{shown}: is gone; its {} pairs leave the list", self.pairs));
        if !self.list.is_empty() {
            self.replace(Vec::new(), news);
        }
    }

    fn replace(&mut self, entries: Vec<Entry>, news: &mut SourceNews) {
        news.changed = true;
        news.replaced.push(std::mem::replace(&mut self.list, Arc::new(entries)));
    }

    /// Ends a look that saw a document being written: whatever was wrong still is, and nothing is new.
    pub(super) fn stay(&self, shown: &str, news: &mut SourceNews) {
        if let Some(trouble) = &self.told {
            news.trouble(format!("{shown}: {trouble}"));
        }
    }

    /// Ends a look: what went wrong in it, or what is wrong with the content; the log is told where that is new.
    pub(super) fn end_look(&mut self, shown: &str, outcome: Result<(), String>, news: &mut SourceNews) {
        let trouble = outcome.err().or_else(|| self.fault.clone());
        if let Some(trouble) = &trouble {
            news.trouble(format!("{shown}: {trouble}"));
        }
        if trouble == self.told {
            return;
        }
        let kept = self.pairs;
        news.tell(match &trouble {
            Some(trouble) if kept > 0 => format!("{shown}: {trouble}; the {kept} pairs known before stay"),
            Some(trouble) => format!("{shown}: {trouble}"),
            None => format!("{shown}: can be read again"),
        });
        self.told = trouble;
    }
}

/// How many pairs of task and user the entries hold.
pub(super) fn pairs_of(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.users.len() as u64).sum()
}

/// Why a list is none although it can be read: it has entries, and every one was refused. Whoever writes it means
/// something by them; to take it for an empty list would end all watching.
fn none_usable(parsed: &Parsed) -> Option<String> {
    let first = parsed.refused.first().filter(|_| parsed.entries.is_empty())?;
    Some(format!("no entry is usable ({} refused), the first: {first}", parsed.refused_pairs))
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
