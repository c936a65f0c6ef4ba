//! What one app's polling tells about itself; comes and goes with the app.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGaugeVec, Registry};

use super::families::{self, LateGauge, MetricsError};
use super::names;
use super::words::{PairStates, Refused};
use crate::trace::Drift;

/// Distinct error codes shown for each kind of API failure of one app; later ones become the code `other`.
pub const MAX_CODES_PER_KIND: usize = 50;

/// Upper bounds of the buckets of `timpush_api_request_duration_seconds`.
const REQUEST_BOUNDS_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The metrics about one app's polling, in a registry until this is dropped.
#[derive(Debug)]
pub struct AppMetrics {
    inner: Arc<Inner>,
    registry: Registry,
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
    entries: u64,
    last_success_at: Option<i64>,
}

#[derive(Debug)]
struct Inner {
    app: String,
    /// `SDKAppID` and region as label values.
    info: Mutex<(String, String)>,
    failures: Mutex<Failures>,
    /// Bounded by the sources that the configuration names.
    sources: Mutex<BTreeMap<String, Source>>,
    watched_pairs: IntGaugeVec,
    pairs_refused: IntCounterVec,
    requests: IntCounter,
    request_duration: Histogram,
    drift: IntCounterVec,
    resume_at: Gauge,
    backlog: LateGauge,
    looked: LateGauge,
    up: LateGauge,
    last_success: LateGauge,
    rate: LateGauge,
    usersig_expiry: LateGauge,
    /// Stands for all of them in the registry.
    desc: Desc,
}

impl AppMetrics {
    /// Puts the metrics of `app` into `registry`. `region` is `None` where an endpoint is configured.
    ///
    /// # Errors
    /// An app of that name is in the registry already: drop its metrics first, or keep them and [`Self::set_info`].
    pub fn register(
        registry: &Registry,
        app: &str,
        sdk_app_id: u64,
        region: Option<&str>,
    ) -> Result<AppMetrics, MetricsError> {
        let inner = Arc::new(Inner::new(app));
        *lock(&inner.info) = (sdk_app_id.to_string(), region.unwrap_or_default().to_owned());
        registry
            .register(Box::new(Shared(Arc::clone(&inner))))
            .map_err(|source| MetricsError::App { app: app.to_owned(), source })?;
        Ok(AppMetrics { inner, registry: registry.clone() })
    }

    /// After a reload that changed them: counters go on.
    pub fn set_info(&self, sdk_app_id: u64, region: Option<&str>) {
        *lock(&self.inner.info) = (sdk_app_id.to_string(), region.unwrap_or_default().to_owned());
    }

    /// The pairs of the watch list by state.
    pub fn set_watched_pairs(&self, pairs: PairStates) {
        for (state, n) in pairs.by_name() {
            let n = i64::try_from(n).unwrap_or(i64::MAX);
            self.inner.watched_pairs.with_label_values(&[state]).set(n);
        }
    }

    /// Pairs that did not enter the watch list.
    pub fn pairs_refused(&self, reason: Refused, pairs: u64) {
        self.inner.pairs_refused.with_label_values(&[reason.as_str()]).inc_by(pairs);
    }

    /// Time the budget needs for all that is due now.
    pub fn set_backlog_seconds(&self, seconds: f64) {
        self.inner.backlog.set(seconds);
    }

    /// Share of the pairs whose push is out that were looked at, if there are any.
    pub fn set_looked_ratio(&self, ratio: Option<f64>) {
        match ratio {
            Some(ratio) => self.inner.looked.set(ratio),
            None => self.inner.looked.clear(),
        }
    }

    /// A request left.
    pub fn request_sent(&self) {
        self.inner.requests.inc();
    }

    /// The exchange ended `duration` after the request left, well or not.
    pub fn request_ended(&self, duration: Duration) {
        self.inner.request_duration.observe(duration.as_secs_f64());
    }

    /// The API answered as it should, at `now` in Unix seconds: `timpush_up` is 1.
    pub fn exchange_worked(&self, now: i64) {
        self.inner.up.set(1.0);
        self.inner.last_success.set(now as f64);
    }

    /// The exchange did not work: `timpush_up` is 0, and the failure is counted as by [`Self::failed`].
    pub fn exchange_failed(&self, kind: &'static str, code: Option<i64>) {
        self.inner.up.set(0.0);
        self.failed(kind, code);
    }

    /// Nothing can be asked, for want of a signature: `timpush_up` is 0.
    pub fn cannot_ask(&self) {
        self.inner.up.set(0.0);
    }

    /// The API refused one pair, which is an exchange that worked: `timpush_up` is 1, and the failure is counted.
    pub fn pair_refused(&self, kind: &'static str, code: Option<i64>) {
        self.inner.up.set(1.0);
        self.failed(kind, code);
    }

    /// Counts a failure that says nothing about the API as a whole. `kind` is of a
    /// closed set; codes beyond [`MAX_CODES_PER_KIND`] become `other` and `timpush_series_overflow_total`.
    pub fn failed(&self, kind: &'static str, code: Option<i64>) {
        let mut failures = lock(&self.inner.failures);
        let codes = failures.by_kind.entry(kind).or_default();
        let mut code = code.map_or(Code::None, Code::Number);
        let numbers = codes.keys().filter(|code| matches!(code, Code::Number(_))).count();
        let folds =
            matches!(code, Code::Number(_)) && !codes.contains_key(&code) && numbers >= MAX_CODES_PER_KIND;
        if folds {
            code = Code::Other;
        }
        *codes.entry(code).or_default() += 1;
        failures.folded += u64::from(folds);
    }

    /// An answer left the documented contract in that way.
    pub fn drift(&self, kind: Drift) {
        self.inner.drift.with_label_values(&[kind.as_str()]).inc();
    }

    /// The request rate in force now.
    pub fn set_rate(&self, requests_per_second: f64) {
        self.inner.rate.set(requests_per_second);
    }

    /// When polling goes on, Unix seconds; `None` when not paused.
    pub fn set_resume_at(&self, at: Option<i64>) {
        self.inner.resume_at.set(at.unwrap_or(0) as f64);
    }

    /// When the signature in use expires, Unix seconds; `None` while there is none.
    pub fn set_usersig_expiry(&self, at: Option<i64>) {
        match at {
            Some(at) => self.inner.usersig_expiry.set(at as f64),
            None => self.inner.usersig_expiry.clear(),
        }
    }

    /// What is known of one watch source. `source` is a name such as `static` or `http[0]`, never a path or URL.
    pub fn set_source(&self, source: &str, entries: u64, last_success_at: Option<i64>) {
        let known = Source { entries, last_success_at };
        lock(&self.inner.sources).insert(source.to_owned(), known);
    }

    /// Forgets the sources that are not in `names`, after a reload.
    pub fn retain_sources(&self, names: &[&str]) {
        lock(&self.inner.sources).retain(|source, _| names.contains(&source.as_str()));
    }
}

impl Drop for AppMetrics {
    fn drop(&mut self) {
        // Cannot fail: it was registered at birth, and nobody else holds the collector.
        if let Err(error) = self.registry.unregister(Box::new(Shared(Arc::clone(&self.inner)))) {
            tracing::error!(app = self.inner.app, %error, "metrics of the app were not in the registry");
        }
    }
}

/// What was counted stays right when a thread died while it held the lock: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn new(app: &str) -> Inner {
        let some = Some(app);
        Inner {
            app: app.to_owned(),
            info: Mutex::default(),
            failures: Mutex::default(),
            sources: Mutex::default(),
            watched_pairs: families::gauges(&names::WATCHED_PAIRS, app, &PairStates::NAMES),
            pairs_refused: families::counters(
                &names::PAIRS_REFUSED,
                Some(app),
                &Refused::ALL.map(Refused::as_str),
            ),
            requests: families::counter(&names::API_REQUESTS, some),
            request_duration: families::histogram(&names::API_REQUEST_DURATION, some, REQUEST_BOUNDS_SECONDS),
            drift: families::counters(&names::API_DRIFT, Some(app), &Drift::ALL.map(Drift::as_str)),
            resume_at: families::gauge(&names::BUDGET_RESUME, some),
            backlog: LateGauge::new(&names::SCHEDULE_BACKLOG, some),
            looked: LateGauge::new(&names::SCHEDULE_LOOKED, some),
            up: LateGauge::new(&names::UP, some),
            last_success: LateGauge::new(&names::API_LAST_SUCCESS, some),
            rate: LateGauge::new(&names::BUDGET_RATE, some),
            usersig_expiry: LateGauge::new(&names::USERSIG_EXPIRY, some),
            desc: families::desc(&names::APP_INFO, some),
        }
    }

    fn ready_made(&self) -> [&dyn Collector; 12] {
        [
            &self.watched_pairs,
            &self.pairs_refused,
            &self.requests,
            &self.request_duration,
            &self.drift,
            &self.resume_at,
            &self.backlog,
            &self.looked,
            &self.up,
            &self.last_success,
            &self.rate,
            &self.usersig_expiry,
        ]
    }

    fn info(&self) -> MetricFamily {
        let info = lock(&self.info);
        let row = families::sample(&names::APP_INFO, &[&self.app, &info.0, &info.1], 1.0);
        families::family(&names::APP_INFO, vec![row])
    }

    fn failures(&self) -> [MetricFamily; 2] {
        let failures = lock(&self.failures);
        let mut rows = Vec::new();
        for (kind, codes) in &failures.by_kind {
            for (code, n) in codes {
                let code = match code {
                    Code::None => String::new(),
                    Code::Number(number) => number.to_string(),
                    Code::Other => "other".to_owned(),
                };
                rows.push(families::sample(&names::API_FAILURES, &[&self.app, kind, &code], *n as f64));
            }
        }
        let labels = [self.app.as_str(), names::API_FAILURES.name];
        let folded = families::sample(&names::SERIES_OVERFLOW, &labels, failures.folded as f64);
        [
            families::family(&names::API_FAILURES, rows),
            families::family(&names::SERIES_OVERFLOW, vec![folded]),
        ]
    }

    fn sources(&self) -> [MetricFamily; 2] {
        let sources = lock(&self.sources);
        let mut read = Vec::new();
        let mut entries = Vec::new();
        for (name, source) in &*sources {
            let labels = [self.app.as_str(), name.as_str()];
            entries.push(families::sample(&names::SOURCE_ENTRIES, &labels, source.entries as f64));
            if let Some(at) = source.last_success_at {
                read.push(families::sample(&names::SOURCE_LAST_SUCCESS, &labels, at as f64));
            }
        }
        [
            families::family(&names::SOURCE_LAST_SUCCESS, read),
            families::family(&names::SOURCE_ENTRIES, entries),
        ]
    }
}

/// One collector for the whole app, so that it enters and leaves a registry in one step.
struct Shared(Arc<Inner>);

impl Collector for Shared {
    /// One for all: the registry of `prometheus` 0.14 tells collectors apart by the *sum* of the hashes of their
    /// descriptions, and over two dozen metrics those sums are equal for names as common as app3 and app5.
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families: Vec<_> = self.0.ready_made().iter().flat_map(|metric| metric.collect()).collect();
        families.push(self.0.info());
        families.extend(self.0.failures());
        families.extend(self.0.sources());
        families
    }
}
