//! What we know: a pure fold of traces, and the disk that keeps it.

mod tally;

pub use tally::{
    AppTally, CodeLabel, DETECTION_BOUNDS_SECONDS, Ended, Histogram, LabelSet, NEVER_DUE, PlatformLabel,
    STAGE_DELAY_BOUNDS_SECONDS, SetKey, SetTally, Snapshot, StageTally,
};
