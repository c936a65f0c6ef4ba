//! How the polls of one app go: which pair is polled when, and what the end of a poll means for pair and app.

use std::sync::Arc;
use std::time::Duration;

use crate::api::client::Failed;
use crate::api::code::Action;
use crate::budget::{Moment, SlotError, Start};
use crate::config::App;
use crate::ledger::LedgerClosed;
use crate::ledger::settle::Lags;
use crate::schedule::Look;
use crate::trace::Outcome;
use crate::usersig::CredentialRead;

use super::breaker::{Decision, FailedRequest};
use super::clock::wall_millis;
use super::convert;
use super::poll::{Poll, Polled};
use super::requests::Requests;
use super::roster::Roster;
use super::status::Status;
use super::work::Work;

/// Requests, roster and status of one app, and what is on its way.
pub(super) struct Polling {
    pub app: App,
    pub requests: Requests,
    pub roster: Roster,
    pub status: Status,
    pub work: Work,
    /// How long the stages take to report, as the schedule has learned it.
    pub lags: Arc<Lags>,
}

impl Polling {
    /// How long the stages take to report, from what was learned by now.
    pub fn refresh_lags(&mut self) {
        let lags = convert::lags(self.roster.schedule().learned());
        if lags != *self.lags {
            self.lags = Arc::new(lags);
        }
    }

    /// When the next poll may start: `None` while there is nothing to do that a wait could bring.
    pub fn start_at(&mut self) -> Option<Moment> {
        let now = wall_millis();
        let next_poll_at = self.roster.next_poll_at(now);
        self.requests.start_at(next_poll_at, now)
    }

    /// Starts the poll that is due, if the budget lets it through.
    pub fn start(&mut self) {
        let now = wall_millis();
        if !self.requests.lets_through(now) || self.roster.next_poll_at(now).is_none_or(|at| at > now) {
            return;
        }
        match self.requests.take_start() {
            Ok(Some(start)) => self.poll(start, now),
            Ok(None) => {}
            Err(error) => self.status.slot_failed(&error, now),
        }
    }

    /// Polls the pair that is next; the budget's slot is taken.
    fn poll(&mut self, start: Start, now: i64) {
        let signed = match self.requests.sign(now) {
            Ok(signed) => signed,
            Err(error) => {
                self.status.cannot_sign(&error, now);
                return self.return_unused(start);
            }
        };
        self.status.signature_expires(Some(signed.expires_at));
        let breaker = self.requests.breaker();
        let target = if breaker.is_probing() {
            self.roster.begin_probe(now, |task| breaker.suspects_task(task))
        } else {
            self.roster.begin_poll(now)
        };
        let Some(target) = target else {
            return self.return_unused(start);
        };
        tracing::debug!(app = %self.app.name, slot = target.slot, "poll");
        self.status.request_sent(now);
        let poll = Poll {
            app: self.app.name.clone(),
            target,
            request: self.requests.begin(start, signed),
            ledger: self.work.ledger.clone(),
            lags: self.lags.clone(),
            zone_offset_seconds: self.app.zone_offset_seconds,
        };
        self.work.poll(poll);
    }

    /// Nothing was sent after all: gives the slot back as if it had been.
    fn return_unused(&self, start: Start) {
        if let Err(error) = start.sent(Moment::now()) {
            tracing::error!(app = %self.app.name, %error, "cannot give the slot back");
        }
    }

    /// A poll ended.
    pub fn polled(&mut self, polled: Polled) -> Result<(), LedgerClosed> {
        let now = wall_millis();
        self.requests.end(polled.epoch);
        self.roster.end_poll(polled.row, polled.is_settled());
        self.status.poll_ended(&polled, now);
        let pair = (polled.slot, polled.row);
        let verdict = match &polled.end {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(LedgerClosed)) => return Err(LedgerClosed),
            Err(failed) => {
                self.poll_failed(&polled, failed, now);
                return Ok(());
            }
        };
        self.status.api_answered(now);
        self.recover(&polled, now);
        if verdict.is_damaged {
            self.roster.give_up(polled.slot, polled.row);
            return Ok(());
        }
        self.status.new_results(&verdict.news, now);
        if let Some(pair) = self.roster.answered(pair, verdict, now)
            && verdict.news.iter().any(|news| news.outcome == Outcome::Failure)
        {
            self.status.see_failures(pair, &verdict.record);
        }
        Ok(())
    }

    /// The API answered, with a trace or by saying that there is no such pair: whatever trouble there was is over.
    fn recover(&mut self, polled: &Polled, now: i64) {
        let recovery = self.requests.on_success(polled.epoch);
        if recovery.is_quicker {
            self.publish(now);
        }
        if recovery.has_resumed {
            tracing::info!(app = %self.app.name, "the upstream answers again");
            self.keep_pause(now);
        }
        if let Some(info) = self.roster.info_mut(polled.slot, polled.row) {
            info.doubts = 0;
            info.is_accused = false;
        }
    }

    fn poll_failed(&mut self, polled: &Polled, failed: &Failed, now: i64) {
        let failure = failed.failure;
        self.status.request_failed(failed, now);
        if failure.action == Action::GiveUpPair {
            self.recover(polled, now);
        }
        let accuses = self.requests.breaker().accuses(failure.action, polled.epoch);
        let info = self.roster.info_mut(polled.slot, polled.row);
        let (is_accused, has_doubts) =
            info.map_or((false, false), |info| info.accuse(failure.action, accuses));
        let (task, epoch) = (polled.task_number, polled.epoch);
        let request = FailedRequest { pair: polled.row, task, epoch, is_accused, failure };
        let (decision, resume_at) = self.requests.on_failure(request, now);
        let look = match decision {
            _ if has_doubts => Look::Refused,
            Decision::Refuse => Look::Refused,
            Decision::Again { at_least } => Look::Failed { at_least: millis(at_least) },
            Decision::SignAndAgain | Decision::Slower => Look::Failed { at_least: 0 },
        };
        if let Some(resume_at) = resume_at {
            tracing::warn!(
                app = %self.app.name, seconds = (resume_at - now) / 1000, kind = failure.kind.as_str(),
                code = failure.code, "polling pauses, then probes with one request"
            );
            self.keep_pause(now);
        }
        self.publish(now);
        self.roster.failed((polled.slot, polled.row), look, now);
    }

    pub fn credential_read(&mut self, read: CredentialRead) {
        let Some(news) = self.requests.credential_read(read) else {
            return;
        };
        if news.has_resumed {
            tracing::info!(app = %self.app.name, "the credential was replaced; polling goes on");
            self.keep_pause(wall_millis());
        }
        self.status.credential_read(news);
    }

    pub fn keep_pause(&mut self, now: i64) {
        let kept = self.requests.keep_pause(now);
        self.tell_slot(kept);
    }

    pub fn tell_slot(&mut self, result: Result<(), SlotError>) {
        if let Err(error) = result {
            self.status.slot_failed(&error, wall_millis());
        }
    }

    pub fn adopt_pause(&mut self) {
        let now = wall_millis();
        if let Some(pause) = self.requests.adopt_pause(now) {
            let seconds = pause.resume_at - now / 1000;
            tracing::warn!(app = %self.app.name, seconds, "polling pauses, as for another app of this host and SDKAppID");
            self.publish(now);
        }
    }

    pub fn publish(&mut self, now: i64) {
        self.status.publish(&self.app, &mut self.roster, &self.requests, now);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
