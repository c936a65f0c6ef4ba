//! Traces for the tests of the ledger.

mod caps;
mod crash;
mod damage;
mod disk;
mod folding;
mod labels;
mod model;
mod play;
mod posted;
mod reference;
mod retain;
mod schemas;
mod settling;

use crate::trace::{Device, Event, Leaf, Notifications, Outcome, Platform, Reason, Route, Stage, Trace};

use super::PairRow;
use super::fold::Record;

pub const PUSHED: i64 = 1_790_000_000;

/// A pair with that record, polled last at that time.
pub fn polled(record: Record, polled_at: i64) -> PairRow {
    PairRow { id: 1, added_at: PUSHED, polled_at: Some(polled_at), record, ..PairRow::default() }
}

pub fn leaf(stage: Stage, outcome: Outcome, after: i64) -> Leaf {
    let failure = outcome == Outcome::Failure;
    Leaf {
        route: Route::Offline,
        stage,
        outcome,
        code: if failure { 410 } else { 0 },
        reason: failure.then_some(Reason::InvalidToken),
        at: Some(PUSHED + after),
    }
}

pub fn trace(leaves: Vec<Leaf>) -> Trace {
    let device = Device {
        instance: "74224656".into(),
        event: Event::Offline,
        platform: Platform::Vendor(1),
        notifications: Notifications::On,
        pushed_at: Some(PUSHED),
        leaves,
    };
    Trace { devices: vec![device], ..Trace::default() }
}

pub fn success_up_to(stages: &[Stage]) -> Trace {
    trace(stages.iter().map(|stage| leaf(*stage, Outcome::Success, 2)).collect())
}
