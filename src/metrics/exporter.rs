//! What the process tells about itself: ledger, configuration, connections, build.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::metric::Metric;
use super::names;
use super::text::{self, Durations, Samples};
use crate::sys::lock;

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
    /// Too many passwords are being checked, or too many requests answered.
    Busy,
    /// More requests than `rate_limit` lets through.
    Rate,
    /// The watch API holds as many bytes as may wait.
    QueueFull,
}

impl WebRefusal {
    const ALL: [WebRefusal; 4] =
        [WebRefusal::Password, WebRefusal::Busy, WebRefusal::Rate, WebRefusal::QueueFull];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            WebRefusal::Password => "password",
            WebRefusal::Busy => "busy",
            WebRefusal::Rate => "rate",
            WebRefusal::QueueFull => "queue_full",
        }
    }
}

/// The metrics that belong to no app. A clone is the same metrics.
#[derive(Clone, Debug)]
pub struct ExporterMetrics(Arc<Mutex<Exporter>>);

/// Times are Unix seconds. What is `None` is not known and not shown.
#[derive(Debug)]
struct Exporter {
    version: String,
    revision: Option<String>,
    last_commit_at: Option<i64>,
    size_bytes: Option<u64>,
    commit_duration: Durations,
    quarantined_files: Option<u64>,
    damaged_records: u64,
    connections_refused: u64,
    connections_evicted: u64,
    handshakes_failed: u64,
    requests_refused: [u64; WebRefusal::ALL.len()],
    certificate_expires_at: Option<i64>,
    web_config_works: Option<bool>,
    reload_works: Option<bool>,
    reload_success_at: Option<i64>,
}

type Write = fn(&Exporter, &mut Samples);

const FAMILIES: [(&Metric, Write); 14] = [
    (&names::LEDGER_LAST_COMMIT, |exporter, out| {
        out.add_known(&[], exporter.last_commit_at.map(|at| at as f64))
    }),
    (&names::LEDGER_SIZE, |exporter, out| out.add_known(&[], exporter.size_bytes.map(|bytes| bytes as f64))),
    (&names::LEDGER_COMMIT_DURATION, |exporter, out| out.add_durations(&[], &exporter.commit_duration)),
    (&names::LEDGER_QUARANTINED, |exporter, out| {
        out.add_known(&[], exporter.quarantined_files.map(|files| files as f64))
    }),
    (&names::LEDGER_DAMAGED, |exporter, out| out.add(&[], exporter.damaged_records as f64)),
    (&names::CONNECTIONS_REFUSED, |exporter, out| out.add(&[], exporter.connections_refused as f64)),
    (&names::CONNECTIONS_EVICTED, |exporter, out| out.add(&[], exporter.connections_evicted as f64)),
    (&names::HANDSHAKES_FAILED, |exporter, out| out.add(&[], exporter.handshakes_failed as f64)),
    (&names::REQUESTS_REFUSED, |exporter, out| {
        let refused = WebRefusal::ALL.iter().zip(exporter.requests_refused);
        refused.for_each(|(reason, n)| out.add(&[reason.as_str()], n as f64));
    }),
    (&names::CERTIFICATE_EXPIRY, |exporter, out| {
        out.add_known(&[], exporter.certificate_expires_at.map(|at| at as f64))
    }),
    (&names::WEB_CONFIG_SUCCESSFUL, |exporter, out| {
        out.add_known(&[], exporter.web_config_works.map(f64::from))
    }),
    (&names::RELOAD_SUCCESSFUL, |exporter, out| out.add_known(&[], exporter.reload_works.map(f64::from))),
    (&names::RELOAD_SUCCESS_AT, |exporter, out| {
        out.add_known(&[], exporter.reload_success_at.map(|at| at as f64))
    }),
    (&names::BUILD_INFO, |exporter, out| match &exporter.revision {
        Some(revision) => out.add(&[&exporter.version, revision], 1.0),
        None => out.add(&[&exporter.version], 1.0),
    }),
];

impl ExporterMetrics {
    pub(super) fn new(build: BuildInfo) -> ExporterMetrics {
        ExporterMetrics(Arc::new(Mutex::new(Exporter {
            version: build.version.to_owned(),
            revision: build.revision.map(str::to_owned),
            last_commit_at: None,
            size_bytes: None,
            commit_duration: Durations::new(COMMIT_BOUNDS_SECONDS),
            quarantined_files: None,
            damaged_records: 0,
            connections_refused: 0,
            connections_evicted: 0,
            handshakes_failed: 0,
            requests_refused: Default::default(),
            certificate_expires_at: None,
            web_config_works: None,
            reload_works: None,
            reload_success_at: None,
        })))
    }

    /// Appends all families that have samples.
    pub(super) fn write(&self, out: &mut String) {
        let exporter = lock(&self.0);
        for (metric, write) in FAMILIES {
            text::samples(out, metric, |out| write(&exporter, out));
        }
    }

    /// A group of results became durable at `now`, Unix seconds, and that took `duration`.
    pub fn ledger_committed(&self, now: i64, duration: Duration) {
        let mut exporter = lock(&self.0);
        exporter.last_commit_at = Some(now);
        exporter.commit_duration.observe(duration);
    }

    /// Size of the ledger's files.
    pub fn set_ledger_size_bytes(&self, bytes: u64) {
        lock(&self.0).size_bytes = Some(bytes);
    }

    /// Damaged store files that were moved aside and are still in the storage folder.
    pub fn set_ledger_quarantined_files(&self, files: u64) {
        lock(&self.0).quarantined_files = Some(files);
    }

    /// Pairs whose records were found damaged.
    pub fn ledger_records_damaged(&self, pairs: u64) {
        lock(&self.0).damaged_records += pairs;
    }

    /// A connection was closed at once because too many are open.
    pub fn connection_refused(&self) {
        lock(&self.0).connections_refused += 1;
    }

    /// A connection that waited was cut for a new one.
    pub fn connection_evicted(&self) {
        lock(&self.0).connections_evicted += 1;
    }

    /// A connection did not get through the TLS handshake.
    pub fn handshake_failed(&self) {
        lock(&self.0).handshakes_failed += 1;
    }

    /// A request was refused as the web configuration says.
    pub fn request_refused(&self, reason: WebRefusal) {
        lock(&self.0).requests_refused[reason as usize] += 1;
    }

    /// A web configuration came into force; its certificate, if it has one, is good until then, Unix seconds.
    pub fn web_config_worked(&self, certificate_expires_at: Option<i64>) {
        let mut exporter = lock(&self.0);
        exporter.web_config_works = Some(true);
        exporter.certificate_expires_at = certificate_expires_at;
    }

    /// The web configuration as its files are now cannot be used; the one before stays in force.
    pub fn web_config_failed(&self) {
        lock(&self.0).web_config_works = Some(false);
    }

    /// The configuration was loaded at `now`, Unix seconds.
    pub fn reload_worked(&self, now: i64) {
        let mut exporter = lock(&self.0);
        exporter.reload_works = Some(true);
        exporter.reload_success_at = Some(now);
    }

    /// The configuration could not be loaded; the one before stays in force.
    pub fn reload_failed(&self) {
        lock(&self.0).reload_works = Some(false);
    }
}
