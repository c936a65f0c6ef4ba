//! What a poller does beside asking: figures, clock, credential, configuration, and what its schedule has learned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{App, advice};
use crate::ledger::LedgerClosed;
use crate::metrics::PairStates;
use crate::schedule::{Learned, Schedule, State};

use super::clock::wall_millis;
use super::poller::{Done, Poller};

/// How often what the schedule has learned is kept.
const LEARN_EVERY: Duration = Duration::from_secs(60);
/// The backlog is told if the budget needs more than this share of `watch_for` for it, and how often.
const TOO_MUCH_SHARE: f64 = 1.0 / 16.0;
const TOO_MUCH_EVERY: Duration = Duration::from_secs(3600);

impl Poller {
    /// Begins the schedule with what it had learned before the restart.
    pub(super) async fn recall(&mut self) -> Result<(), LedgerClosed> {
        // Gauges of a poller before, that could not tell its end, are none of this one's.
        self.tools.ledger.dismiss(&self.name, 0).await?;
        let kept = self.tools.ledger.learned(&self.name).await?;
        let learned = kept.map_or_else(|| Ok(Learned::default()), |bytes| Learned::from_bytes(&bytes));
        let learned = learned.unwrap_or_else(|error| {
            tracing::warn!(app = %self.name, %error, "the schedule learns anew");
            Learned::default()
        });
        self.schedule = Schedule::new(fastrand::u64(..), learned);
        Ok(())
    }

    /// Keeps what the schedule has learned, now and then.
    fn remember(&mut self) {
        // A ledger that stands still gets no more to keep.
        if self.learned_at.elapsed() < LEARN_EVERY || self.is_learning {
            return;
        }
        self.learned_at = Instant::now();
        self.is_learning = true;
        let (ledger, name) = (self.tools.ledger.clone(), self.name.clone());
        let bytes = self.schedule.learned().to_bytes();
        self.work.spawn(async move { Done::Learned(ledger.learn(&name, bytes).await) });
    }

    /// Once a second: figures, the clock, the credential.
    pub(super) async fn tick(&mut self) {
        let step = self.clock.step();
        if step != 0 {
            tracing::warn!(app = %self.name, seconds = step / 1000, "the wall clock was set; looks move along");
            self.schedule.shift(step);
            self.trouble.shift(step);
            if step < 0 {
                self.reconsider_over();
            }
        }
        let now = wall_millis();
        let generation = self.signer.credential_generation(now / 1000);
        if self.trouble.credential_is(generation) {
            tracing::info!(app = %self.name, "the credential was replaced; polling goes on");
            self.signer.renew();
            self.keep_pause();
        }
        let trouble = self.signer.trouble().cloned();
        if trouble != self.credential_trouble {
            if let Some(trouble) = &trouble {
                tracing::warn!(
                    app = %self.name, error = %trouble,
                    "the credential cannot be read; the one before stays in use"
                );
            }
            self.credential_trouble = trouble;
        }
        self.trouble.may_go_on(now);
        self.remember();
        self.fill_up();
        self.publish(now);
    }

    /// Carries the pause in force, or its end, over a restart.
    pub(super) fn keep_pause(&mut self) {
        if let Err(error) = self.tools.budget.keep_pause(self.trouble.pause()) {
            self.slot_failed(&error);
        }
    }

    /// Shows the figures of this moment.
    pub(super) fn publish(&mut self, now: i64) {
        let count = |state| self.schedule.count(state) as u64;
        let pairs = PairStates {
            new: count(State::New) + self.enrolment.waiting() as u64,
            active: count(State::Active),
            settled: count(State::Settled),
            failing: count(State::Failing),
        };
        let resume_at = Some(self.trouble.resume_at() / 1000).filter(|at| *at > 0);
        let rate = self.tools.budget.pace().rate();
        let backlog_seconds = self.schedule.backlog(now) as f64 / rate;
        self.status.pairs = pairs;
        self.status.resume_at = resume_at;
        self.status.rate_in_force = rate;
        self.status.backlog_seconds = backlog_seconds;
        self.status.budget_used = self.minute.share(rate, now / 1000);
        if let Some((since, stages)) = self.recent.take(now / 1000) {
            self.status.recent_since = since;
            self.status.recent = stages;
        }
        if let Some(failures) = self.failures.take() {
            self.status.push_failures = failures;
        }
        let metrics = &self.tools.metrics;
        metrics.set_watched_pairs(pairs);
        metrics.set_rate(rate);
        metrics.set_backlog_seconds(backlog_seconds);
        let (looked, out) = self.schedule.looked_of(now);
        let looked_ratio = (out > 0).then(|| looked as f64 / out as f64);
        metrics.set_looked_ratio(looked_ratio);
        metrics.set_resume_at(resume_at);
        self.tools.status.store(Arc::new(self.status.clone()));
        self.tell_too_much(backlog_seconds, looked_ratio);
    }

    /// Says now and then that more is due than the budget can follow, and which number to change.
    fn tell_too_much(&mut self, backlog_seconds: f64, looked_ratio: Option<f64>) {
        let told = self.too_much_told_at.map(|at| at.elapsed());
        let pairs = self.list.len();
        let Some(advice) = too_much(&self.app, pairs, backlog_seconds, told) else { return };
        self.too_much_told_at = Some(Instant::now());
        tracing::warn!(
            app = %self.name, backlog_seconds = backlog_seconds.round(), pairs,
            looked_ratio = looked_ratio.unwrap_or_default(), advice,
            "more is due than the budget can follow; looks come late, no pair is dropped"
        );
    }

    /// Takes over a changed configuration; the budget goes on under the new rate.
    pub(super) fn configure(&mut self, app: App) {
        self.tools.budget.pace_mut().set_rate(app.requests_per_second);
        let (before, identity) = (&self.app, |app: &App| (app.sdk_app_id, app.admin.clone()));
        let signs_anew = identity(&app) != identity(before) || app.credential != before.credential;
        if (&app.endpoint, app.sdk_app_id) != (&before.endpoint, before.sdk_app_id) {
            self.trouble.forget();
            self.keep_pause();
        } else if signs_anew && self.trouble.somebody_acted() {
            self.keep_pause();
        }
        if signs_anew {
            self.signer = app.signer();
        }
        if app.watch_for != self.app.watch_for {
            self.change_ends(app.watch_for > self.app.watch_for);
        }
        self.upstream = Arc::new(app.upstream());
        self.status.endpoint_host = app.host().to_owned();
        self.status.rate_configured = app.requests_per_second;
        self.tools.metrics.set_info(app.sdk_app_id, app.region);
        self.app = app;
    }
}

/// Which number to change, where the budget needs so long for what is due that it is to be said, and was not said within
/// the last hour: `told` is how long ago.
fn too_much(app: &App, pairs: usize, backlog_seconds: f64, told: Option<Duration>) -> Option<String> {
    let much = app.watch_for.as_secs_f64() * TOO_MUCH_SHARE;
    if backlog_seconds < much || told.is_some_and(|ago| ago < TOO_MUCH_EVERY) {
        return None;
    }
    Some(advice(app, pairs).unwrap_or_else(|| {
        format!(
            "it is worked off; to see it sooner raise requests_per_second from {}",
            app.requests_per_second
        )
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn app() -> App {
        let text = "apps: [{name: shop, sdk_app_id: 7, region: seoul, secret_key_env: PATH, watch_for: 7d}]";
        crate::config::parse(text, Path::new("c.yaml")).unwrap().apps.remove(0)
    }

    /// A sixteenth of seven days.
    const MUCH_SECONDS: f64 = 37_800.0;

    #[test]
    fn too_much_is_said_from_a_sixteenth_of_watch_for_on_and_once_an_hour() {
        let said = |backlog, told: Option<u64>| {
            too_much(&app(), 300_000, backlog, told.map(Duration::from_secs)).is_some()
        };
        assert!(!said(0.0, None) && !said(MUCH_SECONDS - 1.0, None) && said(MUCH_SECONDS, None));
        assert!(!said(1e9, Some(0)) && !said(1e9, Some(3_599)) && said(1e9, Some(3_600)));
        assert!(!said(MUCH_SECONDS - 1.0, Some(9_999)));
    }

    #[test]
    fn what_is_said_names_the_number_to_change() {
        let said = |pairs| too_much(&app(), pairs, MUCH_SECONDS, None).unwrap();
        // Two looks at each fit into watch_for: it will be over.
        assert_eq!(said(302_400), "it is worked off; to see it sooner raise requests_per_second from 1");
        assert_eq!(
            said(600_000),
            "only 1 looks per pair fit into watch_for 7d: raise requests_per_second from 1 to at least 1.985, or \
             watch at most 302400 pairs instead of 600000"
        );
        assert_eq!(
            said(2_000_000),
            "only 0.3 looks per pair fit into watch_for 7d, 69.76% of the pairs get none: raise \
             requests_per_second from 1 to at least 6.614, or watch at most 302400 pairs instead of 2000000"
        );
    }
}
