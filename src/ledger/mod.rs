//! What we know: a pure fold of traces, and the disk that keeps it.
//!
//! One thread, the `keeper`, owns the store. It takes all jobs that have arrived, folds them, commits them together
//! and only then publishes the new [`Snapshot`] and answers. What a reader sees is therefore on disk.

mod backup;
mod batch;
mod clock;
mod count;
pub mod fold;
mod jobs;
mod keeper;
mod labels;
mod open;
mod posted;
mod posting;
mod records;
mod retain;
mod seal;
pub mod settle;
mod store;
mod sums;
mod tally;

pub use backup::{Backup, BackupError, Copying};
pub use jobs::{Commit, Enrol, Known, Leave, Ledger, LedgerClosed, Opened, Sighting, Stall, Verdict};
pub use open::{OpenError, QUARANTINE_PREFIX};
pub use posted::{MAX_POSTED_PAIRS, OverCap, PostCounts, PostError, Posted, Posts};
pub use posting::{MAX_WAITING_POST_BYTES, PostedChanges};
pub use records::{Records, Unreadable};
pub use store::{Damage, PairRow};
pub use tally::{
    AppTally, CodeLabel, DETECTION_BOUNDS_SECONDS, Ended, Histogram, NEVER_DUE, PlatformLabel,
    STAGE_DELAY_BOUNDS_SECONDS, SetKey, SetTally, Snapshot, StageTally,
};

#[cfg(test)]
mod tests;
