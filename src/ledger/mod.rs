//! What we know: a pure fold of traces, and the disk that keeps it.
//!
//! One thread, the `keeper`, owns the store. It takes all jobs that have arrived, folds them, commits them together
//! and only then publishes the new [`Snapshot`] and answers. What a reader sees is therefore on disk.

mod batch;
mod count;
pub mod fold;
mod jobs;
mod keeper;
mod open;
mod posted;
mod records;
mod seal;
mod store;
mod sums;
mod tally;

pub use jobs::{Commit, Enrol, Known, Leave, Ledger, LedgerClosed, Opened, Sighting, Stall, Verdict};
pub use open::{OpenError, QUARANTINE_PREFIX};
pub use posted::{MAX_POSTED_PAIRS, OverCap, PostCounts, Posted, Posts};
pub use records::{Records, Unreadable};
pub use store::PairRow;
pub use tally::{
    AppTally, CodeLabel, DETECTION_BOUNDS_SECONDS, Ended, Histogram, NEVER_DUE, PlatformLabel,
    STAGE_DELAY_BOUNDS_SECONDS, SetKey, SetTally, Snapshot, StageTally,
};

#[cfg(test)]
mod tests;
