//! One look: sign, ask, read, record; and what its end means for pair and app.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::api::client::{Client, Departure, Failed, Question, Upstream};
use crate::api::code::Action;
use crate::budget::Moment;
use crate::ledger::{Ledger, LedgerClosed, Sighting, Verdict};
use crate::schedule::{Look, Slot};
use crate::trace::{Drift, Outcome, read};
use crate::usersig::Signed;
use crate::watch::LabelSet;
use crate::web::LatestFailure;

use super::clock::{wall_millis, wall_seconds};
use super::holdings::narrow;
use super::poller::{Done, Poller};
use super::told;
use super::trouble::Step;

/// All that a look needs, apart from the poller.
struct Task {
    slot: Slot,
    row: NonZero<i64>,
    /// Of [`super::trouble::Trouble::epoch`].
    epoch: u32,
    app: Arc<str>,
    task: String,
    user: String,
    labels: LabelSet,
    zone_offset_seconds: i32,
    signed: Signed,
    upstream: Arc<Upstream>,
    client: Client,
    ledger: Ledger,
}

/// What a look came to.
pub(super) struct Looked {
    slot: Slot,
    row: NonZero<i64>,
    epoch: u32,
    /// From the start to the answer or the failure.
    took: Duration,
    drift: Vec<Drift>,
    end: Result<Result<Verdict, LedgerClosed>, Failed>,
}

impl Poller {
    /// Starts the look at the pair that is next; the budget's slot is taken.
    pub(super) fn look(&mut self, not_before: Moment, now: i64) {
        let signed = match self.signer.current(now / 1000) {
            Ok(signed) => signed,
            Err(error) => return self.cannot_sign(&error, now),
        };
        self.tools.metrics.set_usersig_expiry(Some(signed.expires_at));
        self.status.usersig_expires_at = Some(signed.expires_at);
        let Some((slot, task)) = self.next_task(signed, now) else {
            return self.unused();
        };
        let (sent, sending) = oneshot::channel();
        let (answered, answering) = oneshot::channel();
        self.sending = Some(sending);
        self.next_answer = Some(answering);
        self.in_flight += 1;
        self.tools.metrics.request_sent();
        self.minute.sent(now / 1000);
        tracing::debug!(app = %self.name, slot, "look");
        self.work
            .spawn(async move { Done::Looked(task.run(Departure { not_before, sent }, answered).await) });
    }

    fn next_task(&mut self, signed: Signed, now: i64) -> Option<(Slot, Task)> {
        let slot = self.schedule.take(now)?;
        let pair = self.list.pair(slot)?;
        let task = Task {
            slot,
            row: self.held.get(slot)?.row,
            epoch: self.trouble.epoch(),
            app: self.name.clone(),
            task: pair.task.to_owned(),
            user: pair.user.to_owned(),
            labels: pair.labels.clone(),
            zone_offset_seconds: self.app.zone_offset_seconds,
            signed,
            upstream: self.upstream.clone(),
            client: self.tools.client.clone(),
            ledger: self.tools.ledger.clone(),
        };
        Some((slot, task))
    }

    /// Nothing was asked after all: gives the slot back as if it had been.
    fn unused(&mut self) {
        if let Err(error) = self.tools.budget.sent(Moment::now()) {
            tracing::error!(app = %self.name, %error, "cannot give the slot back");
        }
    }

    fn cannot_sign(&mut self, error: &crate::usersig::SignError, now: i64) {
        tracing::error!(app = %self.name, %error, "no signature; polling pauses");
        self.status.latest_failure = Some(LatestFailure { at: now / 1000, text: error.to_string() });
        self.status.up = Some(false);
        self.tools.metrics.cannot_ask();
        self.tools.metrics.set_usersig_expiry(None);
        self.status.usersig_expires_at = None;
        let generation = self.signer.credential_generation(now / 1000);
        self.trouble.stop(now, generation);
        self.unused();
    }

    /// A look ended.
    pub(super) fn looked(&mut self, looked: Looked) -> Result<(), LedgerClosed> {
        self.in_flight -= 1;
        let now = wall_millis();
        self.tools.metrics.request_ended(looked.took);
        for kind in &looked.drift {
            self.tools.metrics.drift(*kind);
        }
        let devices;
        let look = match &looked.end {
            Ok(verdict) => {
                let verdict = verdict.as_ref().map_err(|_| LedgerClosed)?;
                self.answered(&looked, now);
                self.tell_news(&looked, verdict, now);
                let (pushed_at, ends_at) = self.times(looked.slot, verdict.record.pushed_at());
                devices = told::devices(&verdict.record, &verdict.news);
                let (settled, pushed_at) = (verdict.settled, Some(pushed_at));
                Look::Answered { settled, pushed_at, ends_at, devices: &devices }
            }
            Err(failed) => self.failed(&looked, failed, now),
        };
        if self.held.is_of(looked.slot, looked.row) {
            self.schedule.looked(looked.slot, look, now);
        }
        Ok(())
    }

    /// Shows what is new of a pair.
    fn tell_news(&mut self, looked: &Looked, verdict: &Verdict, now: i64) {
        self.recent.count(&verdict.news, now / 1000);
        if !self.held.is_of(looked.slot, looked.row) {
            return; // It left while the look was on its way.
        }
        if let Some(held) = self.held.get_mut(looked.slot) {
            held.failed_devices = narrow(verdict.record.failed_devices());
        }
        if verdict.news.iter().any(|news| news.outcome == Outcome::Failure)
            && let Some(pair) = self.list.pair(looked.slot)
        {
            self.failures.see((pair.task, pair.user), &verdict.record);
        }
    }

    /// The upstream answered: whatever trouble there was is over.
    fn answered(&mut self, looked: &Looked, now: i64) {
        self.tools.metrics.exchange_worked(now / 1000);
        self.status.up = Some(true);
        self.status.last_success_at = Some(now / 1000);
        if self.tools.budget.pace_mut().narrow() {
            self.publish(now);
        }
        if self.trouble.is_probing() && self.trouble.epoch() == looked.epoch {
            tracing::info!(app = %self.name, "the upstream answers again");
            self.keep_pause();
        }
        if self.trouble.epoch() == looked.epoch {
            self.trouble.over();
        }
        if let Some(held) = self.held.get_mut(looked.slot) {
            held.doubts = 0;
        }
    }

    fn failed(&mut self, looked: &Looked, failed: &Failed, now: i64) -> Look<'static> {
        let failure = &failed.failure;
        tracing::warn!(
            app = %self.name, kind = failure.kind.as_str(), code = failure.code, detail = %failed.detail,
            "exchange failed"
        );
        self.status.latest_failure = Some(LatestFailure { at: now / 1000, text: failed.to_string() });
        let credential = (self.signer.credential_generation(now / 1000), self.signer.can_renew());
        let was_paused = self.trouble.resume_at();
        let mut step = self.trouble.about(failure.action, looked.epoch, now, credential);
        if let (Action::RetryThenGiveUp { tries }, Some(held)) =
            (failure.action, self.held.get_mut(looked.slot))
        {
            held.doubts = held.doubts.saturating_add(1);
            if u32::from(held.doubts) > tries {
                step = Step::Refuse;
            }
        }
        // A refusal that is about one pair is an exchange that worked.
        let is_about_pair = step == Step::Refuse && failure.action == Action::GiveUpPair;
        if is_about_pair {
            self.tools.metrics.pair_refused(failure.kind.as_str(), failure.code);
        } else {
            self.tools.metrics.exchange_failed(failure.kind.as_str(), failure.code);
        }
        self.status.up = Some(is_about_pair);
        let look = match step {
            Step::Again { at_least } => Look::Failed { at_least: millis(at_least) },
            Step::Refuse => Look::Refused,
            Step::SignAndAgain => {
                self.signer.renew();
                Look::Failed { at_least: 0 }
            }
            Step::Slower => {
                self.tools.budget.pace_mut().widen();
                Look::Failed { at_least: 0 }
            }
        };
        if self.trouble.resume_at() != was_paused {
            let seconds = (self.trouble.resume_at() - now) / 1000;
            tracing::warn!(
                app = %self.name, seconds, kind = failure.kind.as_str(), code = failure.code,
                "polling pauses, then probes with one request"
            );
            self.keep_pause();
        }
        self.publish(now);
        look
    }
}

impl Task {
    async fn run(self, departure: Departure, answered: oneshot::Sender<Moment>) -> Looked {
        let began = Moment::now();
        let question = Question { task: &self.task, user: &self.user };
        let answer = self.client.ask(&self.upstream, question, &self.signed.text, departure).await;
        let answered_at = Moment::now();
        let _ = answered.send(answered_at); // Of no use to the pace once a later request has started.
        let mut drift = Vec::new();
        let end = match answer {
            Err(failed) => Err(failed),
            Ok(answer) => {
                let polled_at = wall_seconds();
                let trace = read::read(&answer, self.zone_offset_seconds, polled_at);
                drift.clone_from(&trace.drift);
                let sighting = Sighting { row: self.row.get(), labels: self.labels, polled_at, trace };
                Ok(self.ledger.record(&self.app, sighting).await)
            }
        };
        Looked {
            slot: self.slot,
            row: self.row,
            epoch: self.epoch,
            took: answered_at.since(began),
            drift,
            end,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
