//! Traces for the tests of the ledger.

mod caps;
mod crash;
mod disk;
mod folding;
mod model;
mod play;
mod posted;
mod reference;
mod schemas;

use crate::trace::{Device, Event, Leaf, Notifications, Outcome, Platform, Reason, Route, Stage, Trace};

pub const PUSHED: i64 = 1_790_000_000;

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
    Trace { devices: vec![device], drift: vec![] }
}

pub fn success_up_to(stages: &[Stage]) -> Trace {
    trace(stages.iter().map(|stage| leaf(*stage, Outcome::Success, 2)).collect())
}
