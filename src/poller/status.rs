//! What a poller shows of itself: metrics, the status that pages read, and the latest results.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::api::client::Failed;
use crate::api::code::Action;
use crate::budget::{Plan, SlotError};
use crate::config::{App, advice};
use crate::ledger::fold::{News, Record};
use crate::metrics::{AppMetrics, PairStates, Refused};
use crate::schedule::State;
use crate::trace::{Addition, Drift};
use crate::usersig::SignError;
use crate::view::{AppStatus, LatestFailure};

use super::additions::{Additions, Seen};
use super::failure_log::{FailureLog, Line};
use super::in_force::Refusals;
use super::poll::Polled;
use super::requests::{CredentialNews, Requests};
use super::roster::Roster;
use super::stats::{Failures, Minute, Recent};

/// The backlog is told if the budget needs more than this share of `watch_for` for it, and how often.
const TOO_MUCH_SHARE: f64 = 1.0 / 16.0;
const TOO_MUCH_EVERY: Duration = Duration::from_secs(3600);

/// What one poller shows.
pub(super) struct Status {
    app: Arc<str>,
    metrics: Arc<AppMetrics>,
    published: Arc<ArcSwap<AppStatus>>,
    shown: AppStatus,
    recent: Recent,
    failures: Failures,
    minute: Minute,
    additions: Additions,
    failure_log: FailureLog,
    /// Why the credential could not be read, once it was told.
    credential_trouble: Option<SignError>,
    /// When it was told last that more is due than the budget can follow.
    too_much_told_at: Option<Instant>,
}

impl Status {
    /// Shows an app that has not polled yet; `now` in Unix milliseconds, as everywhere here.
    pub fn new(app: &App, metrics: Arc<AppMetrics>, published: Arc<ArcSwap<AppStatus>>, now: i64) -> Status {
        let shown = AppStatus {
            name: app.name.to_string(),
            endpoint_host: app.host().to_owned(),
            rate_configured: app.requests_per_second,
            ..AppStatus::default()
        };
        published.store(Arc::new(shown.clone()));
        Status {
            app: app.name.clone(),
            metrics,
            published,
            shown,
            recent: Recent::new(now / 1000),
            failures: Failures::default(),
            minute: Minute::new(now / 1000),
            additions: Additions::default(),
            failure_log: FailureLog::default(),
            credential_trouble: None,
            too_much_told_at: None,
        }
    }

    /// The configuration has changed.
    pub fn configure(&mut self, app: &App, before: &App) {
        if app.zone_offset_seconds != before.zone_offset_seconds {
            self.shown.future_time_at = None;
        }
        app.host().clone_into(&mut self.shown.endpoint_host);
        self.metrics.set_info(app.sdk_app_id, app.region);
    }

    /// The wall clock was set; where `is_far`, what was counted by it before is worth nothing.
    pub fn clock_was_set(&mut self, is_far: bool, now: i64) {
        self.shown.future_time_at = None;
        if is_far {
            self.recent = Recent::new(now / 1000);
            self.minute = Minute::new(now / 1000);
            self.failures = Failures::default();
        }
    }

    /// Pairs that were left out.
    pub fn refused(&self, Refusals { over_limit, too_old }: Refusals, max_pairs: usize) {
        if over_limit > 0 {
            self.metrics.pairs_refused(Refused::OverLimit, over_limit);
            tracing::warn!(app = %self.app, pairs = over_limit, max_pairs, "pairs left out: max_pairs is reached");
        }
        if too_old > 0 {
            self.metrics.pairs_refused(Refused::TooOld, too_old);
            tracing::warn!(app = %self.app, pairs = too_old, "pairs left out: pushed longer ago than watch_for");
        }
    }

    /// Pairs that the watch API refused.
    pub fn refused_by_api(&self, pairs: u64) {
        self.metrics.pairs_refused(Refused::OverLimit, pairs);
    }

    /// The slot file cannot be used.
    pub fn slot_failed(&mut self, error: &SlotError, now: i64) {
        tracing::error!(app = %self.app, %error, "no request can start: the next process would not know of it");
        self.shown.latest_failure = Some(LatestFailure::own(now / 1000, error.to_string()));
    }

    pub fn cannot_sign(&mut self, error: &SignError, now: i64) {
        tracing::error!(app = %self.app, %error, "no signature; polling pauses");
        self.shown.latest_failure = Some(LatestFailure::own(now / 1000, error.to_string()));
        self.shown.up = Some(false);
        self.metrics.cannot_ask();
        self.signature_expires(None);
    }

    /// When the signature in use expires, Unix seconds.
    pub fn signature_expires(&mut self, at: Option<i64>) {
        self.metrics.set_usersig_expiry(at);
        self.shown.usersig_expires_at = at;
    }

    pub fn request_sent(&mut self, now: i64) {
        self.metrics.request_sent();
        self.minute.sent(now / 1000);
    }

    /// A poll ended, well or not.
    pub fn poll_ended(&mut self, polled: &Polled, now: i64) {
        self.metrics.request_ended(polled.took);
        for kind in &polled.drift {
            self.metrics.drift(*kind);
        }
        if polled.is_cut() && !polled.drift.contains(&Drift::Cut) {
            self.metrics.drift(Drift::Cut);
        }
        self.see_additions(&polled.additions);
        if polled.drift.contains(&Drift::FutureTime) {
            self.shown.future_time_at = Some(now / 1000);
        }
    }

    /// Counts and logs what the upstream has added to its answers, each once.
    fn see_additions(&mut self, additions: &[Addition]) {
        for addition in additions {
            let seen = self.additions.see(addition);
            if seen != Seen::Before {
                self.metrics.drift(addition.kind);
            }
            if seen == Seen::First {
                tracing::warn!(
                    app = %self.app, kind = addition.kind.as_str(), name = addition.name,
                    "the API answers with something that its documentation does not have; it is ignored, and counted once"
                );
            }
        }
    }

    /// Names what is new; sums up what goes on.
    fn log_failure(&mut self, failed: &Failed, now: i64) {
        let failure = &failed.failure;
        let (kind, code, host) = (failure.kind.as_str(), failure.code, &self.shown.endpoint_host);
        match self.failure_log.failed(failure.kind, code, now) {
            Line::Named => {
                tracing::warn!(app = %self.app, host, kind, code, detail = %failed.detail, "request failed");
            }
            Line::Sum { failures } => {
                tracing::warn!(app = %self.app, host, kind, code, failures, "more requests failed in the same way");
            }
            Line::Nothing => {}
        }
    }

    /// The API answered.
    pub fn api_answered(&mut self, now: i64) {
        if let Some(failed) = self.failure_log.answered() {
            tracing::info!(app = %self.app, failed, "requests are answered again");
        }
        self.metrics.exchange_worked(now / 1000);
        self.shown.up = Some(true);
        self.shown.last_success_at = Some(now / 1000);
    }

    /// The API answered, or did not, and it was no trace.
    pub fn request_failed(&mut self, failed: &Failed, now: i64) {
        let failure = &failed.failure;
        self.log_failure(failed, now);
        let upstream_text = failed.upstream_text.clone();
        let latest = LatestFailure { upstream_text, ..LatestFailure::own(now / 1000, failed.to_string()) };
        self.shown.latest_failure = Some(latest);
        if failure.action == Action::GiveUpPair {
            self.api_answered(now);
            self.metrics.pair_refused(failure.kind.as_str(), failure.code);
        } else {
            self.metrics.exchange_failed(failure.kind.as_str(), failure.code);
            self.shown.up = Some(false);
        }
    }

    /// Results that were never seen before.
    pub fn new_results(&mut self, news: &[News], now: i64) {
        self.recent.count(news, now / 1000);
    }

    /// What is known of a pair, for the list of the latest failures.
    pub fn see_failures(&mut self, pair: (&str, &str), record: &Record) {
        self.failures.see(pair, record);
    }

    /// The credential was read, or could not be.
    pub fn credential_read(&mut self, news: CredentialNews) {
        let CredentialNews { trouble, is_known, .. } = news;
        self.metrics.set_credential_readable(trouble.is_none());
        if trouble == self.credential_trouble {
            return;
        }
        if let Some(trouble) = &trouble {
            let kept = if is_known { "; the one before stays in use" } else { "" };
            tracing::warn!(app = %self.app, error = %trouble, "the credential cannot be read{kept}");
        }
        // Without one read before, requests fail, and that is told.
        self.shown.credential_trouble = trouble.as_ref().filter(|_| is_known).map(ToString::to_string);
        self.credential_trouble = trouble;
    }

    /// Shows the figures of this moment.
    pub fn publish(&mut self, app: &App, roster: &mut Roster, requests: &Requests, now: i64) {
        let count = |state| roster.schedule().count(state) as u64;
        let pairs = PairStates {
            new: count(State::New) + roster.waiting() as u64,
            active: count(State::Active),
            settled: count(State::Settled),
            failing: count(State::Failing),
        };
        let resume_at = Some(requests.breaker().resume_at() / 1000).filter(|at| *at > 0);
        let rate = requests.rate();
        let backlog_seconds = roster.schedule_mut().backlog(now) as f64 / rate;
        let (polled, out) = roster.schedule_mut().looked_of(now);
        let polled_ratio = (out > 0).then(|| polled as f64 / out as f64);
        self.shown.pairs = pairs;
        self.shown.resume_at = resume_at;
        self.shown.rate_in_force = rate;
        self.shown.rate_configured = requests.plan().part();
        self.shown.backlog_seconds = backlog_seconds;
        self.shown.budget_used = self.minute.share(rate, now / 1000);
        self.shown.list = roster.list_status();
        self.take_latest(now);
        self.metrics.set_watched_pairs(pairs);
        self.metrics.set_rate(rate);
        self.metrics.set_backlog_seconds(backlog_seconds);
        self.metrics.set_polled_ratio(polled_ratio);
        self.metrics.set_pairs_awaiting_push(self.shown.list.awaiting_push);
        self.metrics.set_sample_pairs(roster.schedule().sampled() as u64);
        self.metrics.set_pairs_over_limit(self.shown.list.over_limit);
        self.metrics.set_resume_at(resume_at);
        self.published.store(Arc::new(self.shown.clone()));
        if let Some(advice) = self.too_much(app, roster.list().len(), requests.plan()) {
            tracing::warn!(
                app = %self.app, backlog_seconds = backlog_seconds.round(), pairs = roster.list().len(),
                polled_ratio = polled_ratio.unwrap_or_default(), advice,
                "more is due than the budget can follow; polls come late, no pair is dropped"
            );
        }
    }

    fn take_latest(&mut self, now: i64) {
        if let Some((since, stages)) = self.recent.take(now / 1000) {
            self.shown.recent_since = since;
            self.shown.recent = stages;
        }
        if let Some(failures) = self.failures.take() {
            self.shown.push_failures = failures;
        }
    }

    /// Now and then, where more is due than the budget can follow: which number to change.
    fn too_much(&mut self, app: &App, pairs: usize, plan: Plan) -> Option<String> {
        let told = self.too_much_told_at.map(|at| at.elapsed());
        is_too_much(app, self.shown.backlog_seconds, told).then(|| {
            self.too_much_told_at = Some(Instant::now());
            what_to_change(app, pairs, plan)
        })
    }
}

/// Whether the budget needs so long for what is due that it is to be said, and was not said within the last hour: `told`
/// is how long ago.
fn is_too_much(app: &App, backlog_seconds: f64, told: Option<Duration>) -> bool {
    let much = app.watch_for.as_secs_f64() * TOO_MUCH_SHARE;
    backlog_seconds >= much && told.is_none_or(|ago| ago >= TOO_MUCH_EVERY)
}

/// Which number to change then.
fn what_to_change(app: &App, pairs: usize, plan: Plan) -> String {
    advice(app, pairs, plan).unwrap_or_else(|| {
        let rate = plan.requests_per_second;
        format!("it is worked off; to see it sooner raise requests_per_second from {rate}")
    })
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
        let said = |backlog, told: Option<u64>| is_too_much(&app(), backlog, told.map(Duration::from_secs));
        assert!(!said(0.0, None) && !said(MUCH_SECONDS - 1.0, None) && said(MUCH_SECONDS, None));
        assert!(!said(1e9, Some(0)) && !said(1e9, Some(3_599)) && said(1e9, Some(3_600)));
        assert!(!said(MUCH_SECONDS - 1.0, Some(9_999)));
    }

    #[test]
    fn what_is_said_names_the_number_to_change() {
        let alone = Plan { apps: 1, requests_per_second: 1.0 };
        let said = |pairs| what_to_change(&app(), pairs, alone);
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
        // Half of the budget is another app's.
        assert_eq!(
            what_to_change(&app(), 302_400, Plan { apps: 2, ..alone }),
            "only 1 looks per pair fit into watch_for 7d: raise requests_per_second from 1 to at least 2, or watch at \
             most 151200 pairs instead of 302400"
        );
    }
}
