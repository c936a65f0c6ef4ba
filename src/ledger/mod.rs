//! What we know: a pure fold of traces, and the disk that keeps it.
//!
//! One thread, the `keeper`, owns the store. It takes all jobs that have arrived, folds them, commits them together
//! and only then publishes the new [`Snapshot`] and answers. What a reader sees is therefore on disk.

mod backup;
mod batch;
mod clock;
mod count;
pub mod fold;
mod handle;
mod jobs;
mod keeper;
mod label_rows;
mod labels;
mod open;
mod pair;
mod posted;
mod posting;
mod records;
mod retain;
mod sample;
mod seal;
pub mod settle;
mod store;
mod sums;
mod tally;

pub use backup::{Backup, BackupError, Copying};
pub use handle::{Ledger, Opened};
pub use jobs::{Commit, Draw, Known, Leave, LedgerClosed, Sighting, Stall, Verdict};
pub use open::{OpenError, QUARANTINE_PREFIX};
pub use pair::{Damage, Enrol, PairRow};
pub use posted::{MAX_POSTED_PAIRS, OverCap, PostCounts, PostError, Posted, Posts};
pub use posting::{MAX_WAITING_POST_BYTES, PostedChanges};
pub use records::{Records, Unreadable};
pub use tally::{
    AppTally, Closed, CodeLabel, DELIVERY_BOUNDS_SECONDS, DETECTION_BOUNDS_SECONDS, Ended, Histogram,
    NEVER_DUE, PlatformLabel, STAGE_DELAY_BOUNDS_SECONDS, SampleTally, SetKey, SetTally, Snapshot,
    StageTally,
};

#[cfg(test)]
mod tests;
