//! What the process tells about itself: ledger, configuration, connections, build.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, Registry};

use super::families::{self, LateGauge, MetricsError, VALID};
use super::names;

/// Upper bounds of the buckets of `timpush_ledger_commit_duration_seconds`.
const COMMIT_BOUNDS_SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What the program was built from.
#[derive(Clone, Copy, Debug)]
pub struct BuildInfo<'a> {
    pub version: &'a str,
    /// Commit of the source, where the build knew it.
    pub revision: Option<&'a str>,
}

/// Why a request was refused before anybody looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebRefusal {
    /// None, or a wrong one.
    Password,
    /// Too many passwords are being checked.
    Busy,
    /// More requests than `rate_limit` lets through.
    Rate,
}

impl WebRefusal {
    const ALL: [WebRefusal; 3] = [WebRefusal::Password, WebRefusal::Busy, WebRefusal::Rate];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            WebRefusal::Password => "password",
            WebRefusal::Busy => "busy",
            WebRefusal::Rate => "rate",
        }
    }
}

/// The metrics that belong to no app. A clone is the same metrics.
#[derive(Clone, Debug)]
pub struct ExporterMetrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    last_commit: LateGauge,
    size: LateGauge,
    commit_duration: Histogram,
    quarantined: LateGauge,
    connections_refused: IntCounter,
    connections_evicted: IntCounter,
    handshakes_failed: IntCounter,
    requests_refused: IntCounterVec,
    certificate_expiry: LateGauge,
    web_config_successful: LateGauge,
    reload_successful: LateGauge,
    reload_success_at: LateGauge,
    build: Gauge,
}

impl ExporterMetrics {
    /// Puts these metrics and `process_*` into `registry`, once.
    ///
    /// # Errors
    /// They are there already.
    pub fn register(registry: &Registry, build: BuildInfo<'_>) -> Result<ExporterMetrics, MetricsError> {
        let inner = Arc::new(Inner::new(build));
        let exporter = |source| MetricsError::Exporter { source };
        registry.register(Box::new(Shared(Arc::clone(&inner)))).map_err(exporter)?;
        registry.register(Box::new(ProcessCollector::for_self())).map_err(exporter)?;
        Ok(ExporterMetrics { inner })
    }

    /// A group of results became durable at `now`, Unix seconds, and that took `duration`.
    pub fn ledger_committed(&self, now: i64, duration: Duration) {
        self.inner.last_commit.set(now as f64);
        self.inner.commit_duration.observe(duration.as_secs_f64());
    }

    /// Size of the ledger's files.
    pub fn set_ledger_size_bytes(&self, bytes: u64) {
        self.inner.size.set(bytes as f64);
    }

    /// Damaged store files that were moved aside and are still in the storage folder.
    pub fn set_ledger_quarantined_files(&self, files: u64) {
        self.inner.quarantined.set(files as f64);
    }

    /// A connection was closed at once because too many are open.
    pub fn connection_refused(&self) {
        self.inner.connections_refused.inc();
    }

    /// A connection that waited was cut for a new one.
    pub fn connection_evicted(&self) {
        self.inner.connections_evicted.inc();
    }

    /// A connection did not get through the TLS handshake.
    pub fn handshake_failed(&self) {
        self.inner.handshakes_failed.inc();
    }

    /// A request was refused as the web configuration says.
    pub fn request_refused(&self, reason: WebRefusal) {
        self.inner.requests_refused.with_label_values(&[reason.as_str()]).inc();
    }

    /// A web configuration came into force; its certificate, if it has one, is good until then, Unix seconds.
    pub fn web_config_worked(&self, certificate_expires_at: Option<i64>) {
        self.inner.web_config_successful.set(1.0);
        match certificate_expires_at {
            Some(at) => self.inner.certificate_expiry.set(at as f64),
            None => self.inner.certificate_expiry.clear(),
        }
    }

    /// The web configuration as its files are now cannot be used; the one before stays in force.
    pub fn web_config_failed(&self) {
        self.inner.web_config_successful.set(0.0);
    }

    /// The configuration was loaded at `now`, Unix seconds.
    pub fn reload_worked(&self, now: i64) {
        self.inner.reload_successful.set(1.0);
        self.inner.reload_success_at.set(now as f64);
    }

    /// The configuration could not be loaded; the one before stays in force.
    pub fn reload_failed(&self) {
        self.inner.reload_successful.set(0.0);
    }
}

impl Inner {
    fn new(build: BuildInfo<'_>) -> Inner {
        let labels = [("version", Some(build.version)), ("revision", build.revision)];
        let mut opts = prometheus::Opts::new(names::BUILD_INFO.name, names::BUILD_INFO.help);
        for (name, value) in labels {
            if let Some(value) = value {
                opts = opts.const_label(name, value);
            }
        }
        let build = Gauge::with_opts(opts).expect(VALID);
        build.set(1.0);
        Inner {
            last_commit: LateGauge::new(&names::LEDGER_LAST_COMMIT, None),
            size: LateGauge::new(&names::LEDGER_SIZE, None),
            commit_duration: families::histogram(&names::LEDGER_COMMIT_DURATION, None, COMMIT_BOUNDS_SECONDS),
            quarantined: LateGauge::new(&names::LEDGER_QUARANTINED, None),
            connections_refused: families::counter(&names::CONNECTIONS_REFUSED, None),
            connections_evicted: families::counter(&names::CONNECTIONS_EVICTED, None),
            handshakes_failed: families::counter(&names::HANDSHAKES_FAILED, None),
            requests_refused: families::counters(
                &names::REQUESTS_REFUSED,
                None,
                &WebRefusal::ALL.map(WebRefusal::as_str),
            ),
            certificate_expiry: LateGauge::new(&names::CERTIFICATE_EXPIRY, None),
            web_config_successful: LateGauge::new(&names::WEB_CONFIG_SUCCESSFUL, None),
            reload_successful: LateGauge::new(&names::RELOAD_SUCCESSFUL, None),
            reload_success_at: LateGauge::new(&names::RELOAD_SUCCESS_AT, None),
            build,
        }
    }

    fn ready_made(&self) -> [&dyn Collector; 13] {
        [
            &self.last_commit,
            &self.size,
            &self.commit_duration,
            &self.quarantined,
            &self.connections_refused,
            &self.connections_evicted,
            &self.handshakes_failed,
            &self.requests_refused,
            &self.certificate_expiry,
            &self.web_config_successful,
            &self.reload_successful,
            &self.reload_success_at,
            &self.build,
        ]
    }
}

struct Shared(Arc<Inner>);

impl Collector for Shared {
    fn desc(&self) -> Vec<&Desc> {
        self.0.ready_made().into_iter().flat_map(|metric| metric.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.ready_made().iter().flat_map(|metric| metric.collect()).collect()
    }
}
