//! Reads an app's watch sources when they are due and hands each change of the list to its poller.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::metrics::{AppMetrics, Refused};
use crate::watch::feed::{Feed, Report};

use super::clock::{StepWatch, wall_millis};
use super::poller::Command;

/// Between two looks at the sources, whatever a clock that was set says.
const LEAST_WAIT_MS: u64 = 100;
const MOST_WAIT_MS: u64 = 60_000;

/// Feeds one poller.
pub(super) struct Feeder {
    pub app: Arc<str>,
    pub feed: Feed,
    pub commands: mpsc::Sender<Command>,
    pub metrics: Arc<AppMetrics>,
}

impl Feeder {
    /// Feeds until the poller ends, or for good if no source can change. `in_force` is told when the first list is.
    pub async fn run(mut self, in_force: oneshot::Sender<()>) {
        let mut in_force = Some(in_force);
        let mut clock = StepWatch::default();
        loop {
            self.feed.shift(clock.step());
            let refreshed = self.feed.refresh(wall_millis()).await;
            for report in &refreshed.reports {
                tell_report(&self.app, report, &self.metrics);
            }
            if refreshed.changed || in_force.is_some() {
                let list = Command::List { entries: self.feed.lists(), done: in_force.take() };
                if self.commands.send(list).await.is_err() {
                    return; // The poller ended.
                }
            }
            let Some(next_at) = self.feed.next_at() else {
                return;
            };
            let wait = u64::try_from(next_at.saturating_sub(wall_millis())).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(wait.clamp(LEAST_WAIT_MS, MOST_WAIT_MS))).await;
        }
    }
}

fn tell_report(app: &Arc<str>, report: &Report, metrics: &AppMetrics) {
    metrics.set_source(&report.source, report.entries, report.last_success_at);
    if report.refused > 0 {
        metrics.pairs_refused(Refused::Invalid, report.refused);
    }
    // Each fact once; that a source fails shows in the age of its last success as long as it lasts.
    for message in &report.messages {
        tracing::warn!(%app, source = report.source, "{message}");
    }
}
