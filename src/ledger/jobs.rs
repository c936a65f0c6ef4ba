//! What the ledger is asked to do, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::trace::Trace;
use crate::watch::LabelSet;

use super::Ended;
use super::fold::{News, Record};
use super::pair::Enrol;
use super::posted::{OverCap, PostCounts, Posts};
use super::settle::{Lags, Outlook};

/// What the ledger knows of an enrolled pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Names the pair in later jobs.
    pub row: i64,
    /// When it was first enrolled, Unix seconds by the wall clock as it is now.
    pub added_at: i64,
    pub polled_at: Option<i64>,
    pub ended: Option<Ended>,
    /// Whether it is to be watched: its time is not over, and its record can be read. The ledger takes one that is not for a
    /// pair that has left.
    pub is_watched: bool,
    /// Its place in the random order in which pairs enter the sample.
    pub order: u32,
    /// What is known of its devices.
    pub record: Record,
}

/// One answer of the upstream about one pair.
#[derive(Debug)]
pub struct Sighting {
    pub row: i64,
    pub labels: LabelSet,
    /// Unix seconds.
    pub polled_at: i64,
    pub trace: Trace,
    /// How long the stages of the app take to report.
    pub lags: Arc<Lags>,
}

/// What an answer came to, once it is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is still expected of the pair.
    pub outlook: Outlook,
    /// What was known of the pair cannot be read: nothing was counted, and it is not to be watched any more.
    pub is_damaged: bool,
    /// Results that were never seen before.
    pub news: Vec<News>,
    /// Devices of the answer that the record has no place for: their results are not counted.
    pub left_out: usize,
    /// All that is known of its devices now.
    pub record: Record,
}

/// A pair that is no longer watched.
#[derive(Clone, Debug)]
pub struct Leave {
    pub row: i64,
    pub labels: LabelSet,
    /// `None` if its polling had ended before.
    pub reason: Option<Ended>,
}

/// A pair whose turn has come in the random order of all pairs.
#[derive(Clone, Debug)]
pub struct Draw {
    pub row: i64,
    pub labels: LabelSet,
}

/// One commit, told to whoever keeps figures about it.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    pub took: Duration,
    /// Unix seconds.
    pub at: i64,
    pub size_bytes: u64,
    /// Pairs whose records were found to be damaged.
    pub damaged_pairs: u64,
}

/// Commits fail: nothing is lost, and nothing new is shown until one works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Of the first commit that failed, Unix seconds.
    pub since: i64,
    /// Why the latest one failed.
    pub why: String,
}

/// The ledger is shut down and takes no more jobs.
#[derive(Debug, thiserror::Error)]
#[error("the ledger is closed")]
pub struct LedgerClosed;

pub(super) enum Job {
    Enrol {
        app: Arc<str>,
        pairs: Vec<Enrol>,
        now: i64,
        reply: oneshot::Sender<Vec<Option<Known>>>,
    },
    Record {
        app: Arc<str>,
        sighting: Sighting,
        reply: oneshot::Sender<Verdict>,
    },
    Leave {
        app: Arc<str>,
        pairs: Vec<Leave>,
        reply: oneshot::Sender<()>,
    },
    Draw {
        app: Arc<str>,
        pairs: Vec<Draw>,
        now: i64,
        reply: oneshot::Sender<Vec<bool>>,
    },
    Learn {
        app: Arc<str>,
        bytes: Vec<u8>,
        reply: oneshot::Sender<()>,
    },
    Learned {
        app: Arc<str>,
        reply: oneshot::Sender<Option<Vec<u8>>>,
    },
    Name {
        app: Arc<str>,
        pairs: Vec<(String, String)>,
        reply: oneshot::Sender<()>,
    },
    ShowLabels {
        app: Arc<str>,
        watch_labels: Arc<[Box<str>]>,
        now: i64,
        reply: oneshot::Sender<()>,
    },
    Forget {
        app: Arc<str>,
        reply: oneshot::Sender<bool>,
    },
    Dismiss {
        app: Arc<str>,
        removed: u64,
        reply: oneshot::Sender<()>,
    },
    Post {
        posts: Posts,
        now: i64,
        room: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<PostCounts, OverCap>>,
    },
    Unpost {
        app: Arc<str>,
        task: String,
        user: Option<String>,
        reply: oneshot::Sender<u64>,
    },
}

/// What a job came to; told once it is on disk.
pub(super) enum Answer {
    Enrolled(Vec<Option<Known>>),
    Recorded(Verdict),
    Drawn(Vec<bool>),
    Learned(Option<Vec<u8>>),
    Posted(Result<PostCounts, OverCap>),
    Unposted(u64),
    Forgot(bool),
    Done,
}

impl Job {
    /// Tells whoever waits; that they may have gone is their affair.
    pub(super) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Job::Enrol { reply, .. }, Answer::Enrolled(known)) => drop(reply.send(known)),
            (Job::Record { reply, .. }, Answer::Recorded(verdict)) => drop(reply.send(verdict)),
            (Job::Draw { reply, .. }, Answer::Drawn(closed)) => drop(reply.send(closed)),
            (Job::Learned { reply, .. }, Answer::Learned(bytes)) => drop(reply.send(bytes)),
            (Job::Post { reply, room, .. }, Answer::Posted(counts)) => {
                drop(room); // Whoever is answered may go on at once.
                drop(reply.send(counts));
            }
            (Job::Forget { reply, .. }, Answer::Forgot(more)) => drop(reply.send(more)),
            (Job::Unpost { reply, .. }, Answer::Unposted(pairs)) => drop(reply.send(pairs)),
            (
                Job::Leave { reply, .. }
                | Job::Name { reply, .. }
                | Job::ShowLabels { reply, .. }
                | Job::Dismiss { reply, .. }
                | Job::Learn { reply, .. },
                Answer::Done,
            ) => drop(reply.send(())),
            _ => unreachable!("a batch answers its jobs in order"),
        }
    }
}
