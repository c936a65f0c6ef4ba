//! What one app's polling tells about itself; comes and goes with the app.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::metric::Metric;
use super::names;
use super::text::{self, Durations, Samples};
use super::words::{PairStates, Refused};
use crate::sys::lock;
use crate::trace::Drift;
use crate::watch::feed::Figures;

/// Distinct error codes shown for each kind of API failure of one app; later ones become the code `other`.
pub const MAX_CODES_PER_KIND: usize = 50;

/// Upper bounds of the buckets of `timpush_api_request_duration_seconds`.
const REQUEST_BOUNDS_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// An app of that name has metrics already.
#[derive(Debug, thiserror::Error)]
#[error("metrics of app \"{app}\" not registered: an app of that name holds them")]
pub struct AppExists {
    pub app: String,
}

/// The metrics of all apps, by name. A clone is the same metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Apps(Arc<Mutex<BTreeMap<String, Arc<Mutex<App>>>>>);

impl Apps {
    pub(super) fn add(&self, name: &str, sdk_app_id: u64, region: &str) -> Result<AppMetrics, AppExists> {
        let mut apps = lock(&self.0);
        if apps.contains_key(name) {
            return Err(AppExists { app: name.to_owned() });
        }
        let app = Arc::new(Mutex::new(App::new(sdk_app_id, region)));
        apps.insert(name.to_owned(), Arc::clone(&app));
        Ok(AppMetrics { app, name: name.to_owned(), apps: self.clone() })
    }

    /// How many API failures each app counted under the code `other`.
    pub(super) fn folded_failures(&self) -> Vec<(String, u64)> {
        lock(&self.0).iter().map(|(name, app)| (name.clone(), lock(app).failures.folded)).collect()
    }

    /// Appends all families that have samples.
    pub(super) fn write(&self, out: &mut String) {
        let apps = lock(&self.0).clone();
        for (metric, write) in FAMILIES {
            text::samples(out, metric, |out| {
                apps.iter().for_each(|(name, app)| write(&lock(app), name, out))
            });
        }
    }
}

/// The metrics about one app's polling, on `/metrics` until this is dropped.
#[derive(Debug)]
pub struct AppMetrics {
    app: Arc<Mutex<App>>,
    name: String,
    apps: Apps,
}

/// A code as its label: a number, nothing, or what lies beyond the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    None,
    Number(i64),
    Other,
}

#[derive(Debug, Default)]
struct Failures {
    by_kind: BTreeMap<&'static str, BTreeMap<Code, u64>>,
    folded: u64,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    figures: Figures,
    up: bool,
    last_success_at: Option<i64>,
}

/// Times are Unix seconds. What is `None` is not known and not shown: a 0 would say something that nobody knows.
#[derive(Debug)]
struct App {
    sdk_app_id: String,
    region: String,
    pairs: PairStates,
    refused: [u64; Refused::ALL.len()],
    awaiting_push: u64,
    sample_pairs: u64,
    over_limit: u64,
    backlog_seconds: Option<f64>,
    polled_ratio: Option<f64>,
    up: Option<bool>,
    requests: u64,
    failures: Failures,
    request_duration: Durations,
    drift: [u64; Drift::ALL.len()],
    last_success_at: Option<i64>,
    rate: Option<f64>,
    resume_at: i64,
    usersig_expires_at: Option<i64>,
    is_credential_readable: Option<bool>,
    /// Bounded by the sources that the configuration names.
    sources: BTreeMap<String, Source>,
}

/// Writes the samples of one family for the app of that name.
type Write = fn(&App, &str, &mut Samples);

/// One sample for each source of the app.
fn by_source(app: &App, name: &str, out: &mut Samples, value: fn(&Source) -> f64) {
    app.sources.iter().for_each(|(key, source)| out.add(&[name, key.as_str()], value(source)));
}

const FAMILIES: [(&Metric, Write); 24] = [
    (&names::WATCHED_PAIRS, |app, name, out| {
        app.pairs.by_name().iter().for_each(|(state, n)| out.add(&[name, *state], *n as f64));
    }),
    (&names::PAIRS_REFUSED, |app, name, out| {
        Refused::ALL.iter().zip(app.refused).for_each(|(why, n)| out.add(&[name, why.as_str()], n as f64));
    }),
    (&names::PAIRS_AWAITING_PUSH, |app, name, out| out.add(&[name], app.awaiting_push as f64)),
    (&names::SAMPLE_PAIRS, |app, name, out| out.add(&[name], app.sample_pairs as f64)),
    (&names::PAIRS_OVER_LIMIT, |app, name, out| out.add(&[name], app.over_limit as f64)),
    (&names::SCHEDULE_BACKLOG, |app, name, out| out.add_known(&[name], app.backlog_seconds)),
    (&names::SCHEDULE_POLLED, |app, name, out| out.add_known(&[name], app.polled_ratio)),
    (&names::UP, |app, name, out| out.add_known(&[name], app.up.map(f64::from))),
    (&names::API_REQUESTS, |app, name, out| out.add(&[name], app.requests as f64)),
    (&names::API_FAILURES, |app, name, out| app.failures.write(name, out)),
    (&names::API_REQUEST_DURATION, |app, name, out| out.add_durations(&[name], &app.request_duration)),
    (&names::API_DRIFT, |app, name, out| {
        Drift::ALL.iter().zip(app.drift).for_each(|(kind, n)| out.add(&[name, kind.as_str()], n as f64));
    }),
    (&names::API_LAST_SUCCESS, |app, name, out| {
        out.add_known(&[name], app.last_success_at.map(|at| at as f64))
    }),
    (&names::BUDGET_RATE, |app, name, out| out.add_known(&[name], app.rate)),
    (&names::BUDGET_RESUME, |app, name, out| out.add(&[name], app.resume_at as f64)),
    (&names::USERSIG_EXPIRY, |app, name, out| {
        out.add_known(&[name], app.usersig_expires_at.map(|at| at as f64))
    }),
    (&names::CREDENTIAL_READABLE, |app, name, out| {
        out.add_known(&[name], app.is_credential_readable.map(f64::from));
    }),
    (&names::APP_INFO, |app, name, out| out.add(&[name, &app.sdk_app_id, &app.region], 1.0)),
    (&names::SOURCE_LAST_SUCCESS, |app, name, out| {
        by_source(app, name, out, |source| source.last_success_at.unwrap_or(0) as f64)
    }),
    (&names::SOURCE_ENTRIES, |app, name, out| {
        by_source(app, name, out, |source| source.figures.entries as f64)
    }),
    (&names::SOURCE_UP, |app, name, out| by_source(app, name, out, |source| f64::from(source.up))),
    (&names::SOURCE_REFUSED, |app, name, out| {
        by_source(app, name, out, |source| source.figures.refused as f64)
    }),
    (&names::SOURCE_WARNINGS, |app, name, out| {
        by_source(app, name, out, |source| source.figures.warnings as f64)
    }),
    (&names::SOURCE_SKIPPED_FILES, |app, name, out| {
        by_source(app, name, out, |source| source.figures.skipped_files as f64)
    }),
];

impl AppMetrics {
    /// After a reload that changed them: counters go on.
    pub fn set_info(&self, sdk_app_id: u64, region: Option<&str>) {
        let mut app = lock(&self.app);
        app.sdk_app_id = sdk_app_id.to_string();
        region.unwrap_or_default().clone_into(&mut app.region);
    }

    /// The pairs of the watch list by state.
    pub fn set_watched_pairs(&self, pairs: PairStates) {
        lock(&self.app).pairs = pairs;
    }

    /// Pairs that did not enter the watch list.
    pub fn pairs_refused(&self, reason: Refused, pairs: u64) {
        lock(&self.app).refused[reason as usize] += pairs;
    }

    /// Listed pairs whose push time lies ahead.
    pub fn set_pairs_awaiting_push(&self, pairs: u64) {
        lock(&self.app).awaiting_push = pairs;
    }

    /// Listed pairs that are in the random sample.
    pub fn set_sample_pairs(&self, pairs: u64) {
        lock(&self.app).sample_pairs = pairs;
    }

    /// Pairs that the sources name beyond `max_pairs`.
    pub fn set_pairs_over_limit(&self, pairs: u64) {
        lock(&self.app).over_limit = pairs;
    }

    /// Time the budget needs for all that is due now.
    pub fn set_backlog_seconds(&self, seconds: f64) {
        lock(&self.app).backlog_seconds = Some(seconds);
    }

    /// Fraction of the pairs past their push time that were polled, if there are any.
    pub fn set_polled_ratio(&self, ratio: Option<f64>) {
        lock(&self.app).polled_ratio = ratio;
    }

    /// A request left.
    pub fn request_sent(&self) {
        lock(&self.app).requests += 1;
    }

    /// The exchange ended `duration` after the request left, well or not.
    pub fn request_ended(&self, duration: Duration) {
        lock(&self.app).request_duration.observe(duration);
    }

    /// The API answered as it should, at `now` in Unix seconds: `timpush_up` is 1.
    pub fn exchange_worked(&self, now: i64) {
        let mut app = lock(&self.app);
        app.up = Some(true);
        app.last_success_at = Some(now);
    }

    /// The exchange did not work: `timpush_up` is 0, and the failure is counted as by [`Self::failed`].
    pub fn exchange_failed(&self, kind: &'static str, code: Option<i64>) {
        lock(&self.app).up = Some(false);
        self.failed(kind, code);
    }

    /// Nothing can be asked, for want of a signature: `timpush_up` is 0.
    pub fn cannot_ask(&self) {
        lock(&self.app).up = Some(false);
    }

    /// The API refused one pair, which is an exchange that worked: `timpush_up` is 1, and the failure is counted.
    pub fn pair_refused(&self, kind: &'static str, code: Option<i64>) {
        lock(&self.app).up = Some(true);
        self.failed(kind, code);
    }

    /// Counts a failure that says nothing about the API as a whole. `kind` is of a
    /// closed set; codes beyond [`MAX_CODES_PER_KIND`] become `other` and `timpush_series_overflow_total`.
    pub fn failed(&self, kind: &'static str, code: Option<i64>) {
        lock(&self.app).failures.count(kind, code);
    }

    /// An answer left the documented contract in that way.
    pub fn drift(&self, kind: Drift) {
        lock(&self.app).drift[kind as usize] += 1;
    }

    /// The request rate in force now.
    pub fn set_rate(&self, requests_per_second: f64) {
        lock(&self.app).rate = Some(requests_per_second);
    }

    /// When polling goes on, Unix seconds; `None` when not paused.
    pub fn set_resume_at(&self, at: Option<i64>) {
        lock(&self.app).resume_at = at.unwrap_or(0);
    }

    /// When the signature in use expires, Unix seconds; `None` while there is none.
    pub fn set_usersig_expiry(&self, at: Option<i64>) {
        lock(&self.app).usersig_expires_at = at;
    }

    /// Whether the credential could be read at the latest attempt.
    pub fn set_credential_readable(&self, is_readable: bool) {
        lock(&self.app).is_credential_readable = Some(is_readable);
    }

    /// What is known of one watch source, and whether its latest read gave a usable list. `source` is a name such as
    /// `static` or `http[0]`, never a path or URL.
    pub fn set_source(&self, source: &str, figures: Figures, up: bool, last_success_at: Option<i64>) {
        let known = Source { figures, up, last_success_at };
        lock(&self.app).sources.insert(source.to_owned(), known);
    }

    /// Forgets the sources that are not in `names`, after a reload.
    pub fn retain_sources(&self, names: &[&str]) {
        lock(&self.app).sources.retain(|source, _| names.contains(&source.as_str()));
    }
}

impl Drop for AppMetrics {
    fn drop(&mut self) {
        lock(&self.apps.0).remove(&self.name);
    }
}

impl App {
    fn new(sdk_app_id: u64, region: &str) -> App {
        App {
            sdk_app_id: sdk_app_id.to_string(),
            region: region.to_owned(),
            pairs: PairStates::default(),
            refused: Default::default(),
            awaiting_push: 0,
            sample_pairs: 0,
            over_limit: 0,
            backlog_seconds: None,
            polled_ratio: None,
            up: None,
            requests: 0,
            failures: Failures::default(),
            request_duration: Durations::new(REQUEST_BOUNDS_SECONDS),
            drift: Default::default(),
            last_success_at: None,
            rate: None,
            resume_at: 0,
            usersig_expires_at: None,
            is_credential_readable: None,
            sources: BTreeMap::new(),
        }
    }
}

impl Failures {
    fn count(&mut self, kind: &'static str, code: Option<i64>) {
        let codes = self.by_kind.entry(kind).or_default();
        let mut code = code.map_or(Code::None, Code::Number);
        let numbers = codes.keys().filter(|code| matches!(code, Code::Number(_))).count();
        let folds =
            matches!(code, Code::Number(_)) && !codes.contains_key(&code) && numbers >= MAX_CODES_PER_KIND;
        if folds {
            code = Code::Other;
        }
        *codes.entry(code).or_default() += 1;
        self.folded += u64::from(folds);
    }

    fn write(&self, app: &str, out: &mut Samples) {
        for (kind, codes) in &self.by_kind {
            for (code, n) in codes {
                let code = match code {
                    Code::None => String::new(),
                    Code::Number(number) => number.to_string(),
                    Code::Other => "other".to_owned(),
                };
                out.add(&[app, kind, &code], *n as f64);
            }
        }
    }
}
