//! One poll: send the request, read the answer, have the ledger record it.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use crate::api::client::{Failed, TraceRequest};
use crate::budget::Moment;
use crate::ledger::settle::{Lags, Outlook};
use crate::ledger::{Ledger, LedgerClosed, Sighting, Verdict};
use crate::schedule::Slot;
use crate::trace::{Addition, Drift, read};

use super::clock::wall_seconds;
use super::polled_pairs::PollTarget;
use super::requests::Request;

/// All that a poll needs, apart from the poller.
pub(super) struct Poll {
    pub app: Arc<str>,
    pub target: PollTarget,
    pub request: Request,
    pub ledger: Ledger,
    pub lags: Arc<Lags>,
    /// Of the times that the upstream writes.
    pub zone_offset_seconds: i32,
}

/// What a poll came to.
pub(super) struct Polled {
    pub slot: Slot,
    pub row: NonZero<i64>,
    /// See [`super::breaker::CircuitBreaker::epoch`].
    pub epoch: u32,
    /// See [`PollTarget::task_number`].
    pub task_number: u32,
    /// From the start to the answer or the failure.
    pub took: Duration,
    pub drift: Vec<Drift>,
    pub additions: Vec<Addition>,
    pub end: Result<Result<Verdict, LedgerClosed>, Failed>,
}

impl Polled {
    /// Whether its answer ended the polling of its pair.
    pub fn is_settled(&self) -> bool {
        matches!(&self.end, Ok(Ok(verdict)) if verdict.outlook == Outlook::Settled)
    }

    /// Whether the ledger left out something of the answer.
    pub fn is_cut(&self) -> bool {
        matches!(&self.end, Ok(Ok(verdict)) if verdict.left_out > 0)
    }
}

impl Poll {
    pub async fn run(self) -> Polled {
        let began = Moment::now();
        let Poll { app, target, request, ledger, lags, zone_offset_seconds } = self;
        let PollTarget { slot, row, task_number, name, labels } = target;
        let Request { client, endpoint, signed, gate, answered, epoch } = request;
        let trace_request = TraceRequest { task: &name.task, user: &name.user };
        let answer = client.ask(&endpoint, trace_request, &signed.text, gate).await;
        let answered_at = Moment::now();
        let _ = answered.send(answered_at); // Of no use to the pace once a later request has started.
        let (mut drift, mut additions) = (Vec::new(), Vec::new());
        let end = match answer {
            Err(failed) => Err(failed),
            Ok(answer) => {
                let polled_at = wall_seconds();
                let trace = read::read(&answer, zone_offset_seconds, polled_at);
                drift.clone_from(&trace.drift);
                additions.clone_from(&trace.additions);
                let sighting = Sighting { row: row.get(), labels, polled_at, trace, lags };
                Ok(ledger.record(&app, sighting).await)
            }
        };
        Polled { slot, row, epoch, task_number, took: answered_at.since(began), drift, additions, end }
    }
}
