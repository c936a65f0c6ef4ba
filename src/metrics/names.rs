//! Every metric once: its name, type, labels and help.

/// What a metric is to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// The word of the `# TYPE` line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// Label names in the order in which they are written.
    pub labels: &'static [&'static str],
    /// True where the app's `watch_labels` follow [`Metric::labels`].
    pub carries_watch_labels: bool,
    /// Label names that come after the watch labels.
    pub trailing: &'static [&'static str],
    pub help: &'static str,
}

/// Label names that `watch_labels` may not use, because a metric sets them itself or Prometheus does.
pub const RESERVED_LABELS: &[&str] = &[
    "app",
    "route",
    "stage",
    "platform",
    "outcome",
    "reason",
    "code",
    "state",
    "notifications",
    "le",
    "quantile",
    "job",
    "instance",
];

const APP: &[&str] = &["app"];
const SET: &[&str] = &["app", "route", "stage", "platform"];

const fn metric(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, carries_watch_labels: false, trailing: &[], help }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    metric(Kind::Counter, name, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    metric(Kind::Gauge, name, labels, help)
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    metric(Kind::Histogram, name, labels, help)
}

impl Metric {
    const fn by_watch_labels(mut self, trailing: &'static [&'static str]) -> Metric {
        self.carries_watch_labels = true;
        self.trailing = trailing;
        self
    }
}

pub const STAGE_RESULTS: Metric = counter(
    "timpush_stage_results_total",
    SET,
    "Devices whose result at this stage has been seen, each counted once ever; learned by background polls.",
)
.by_watch_labels(&["outcome"]);

pub const STAGE_FAILURES: Metric = counter(
    "timpush_stage_failures_total",
    SET,
    "Failures among timpush_stage_results_total by who must act and error code; learned by background polls. \
     A series is born at 1, which increase() does not see.",
)
.by_watch_labels(&["reason", "code"]);

pub const STAGE_DEVICES: Metric = gauge(
    "timpush_stage_devices",
    SET,
    "Devices now watched by their last known result at this stage; unreported means that it may still come. \
     As of the latest background poll of each.",
)
.by_watch_labels(&["state"]);

pub const STAGE_OVERDUE_DEVICES: Metric = gauge(
    "timpush_stage_overdue_devices",
    SET,
    "Devices now watched without a result although the stage before succeeded longer ago than this stage may take. \
     As of the latest background poll of each.",
)
.by_watch_labels(&[]);

pub const STAGE_DELAY: Metric = histogram(
    "timpush_stage_delay_seconds",
    SET,
    "Time from the push to the success at this stage, by the upstream's clock in whole seconds; learned by \
     background polls.",
)
.by_watch_labels(&[]);

pub const DETECTION_DELAY: Metric = histogram(
    "timpush_detection_delay_seconds",
    APP,
    "Time from an event by the upstream's clock to the background poll that saw it.",
);

pub const DEVICES: Metric = gauge(
    "timpush_devices",
    &["app", "platform"],
    "Devices now watched by whether they show notifications at all. As of the latest background poll of each.",
)
.by_watch_labels(&["notifications"]);

pub const PAIRS_ENDED: Metric = counter(
    "timpush_pairs_ended_total",
    &["app", "reason"],
    "Pairs of task and user whose background polls ended: nothing more can come, watch_for is over, or removed \
     from the watch list.",
);

pub const SERIES_OVERFLOW: Metric = counter(
    "timpush_series_overflow_total",
    &["app", "metric"],
    "Results of background polls folded into the value other because a label set hit its cap.",
);

pub const WATCHED_PAIRS: Metric = gauge(
    "timpush_watched_pairs",
    &["app", "state"],
    "Pairs of task and user in the watch list: new (never polled), active, settled (nothing more can come), \
     failing (the API refuses the pair).",
);

pub const PAIRS_REFUSED: Metric = counter(
    "timpush_pairs_refused_total",
    &["app", "reason"],
    "Pairs of task and user that never entered the watch list.",
);

pub const SCHEDULE_BACKLOG: Metric = gauge(
    "timpush_schedule_backlog_seconds",
    APP,
    "Time the request budget needs to poll all that is due now.",
);

pub const SCHEDULE_LOOKED: Metric = gauge(
    "timpush_schedule_looked_ratio",
    APP,
    "Share of the listed pairs whose push is out that were looked at at least once; absent while there is none.",
);

pub const UP: Metric = gauge(
    "timpush_up",
    APP,
    "1 if the latest exchange with the API worked, else 0; absent until the first exchange.",
);

pub const API_REQUESTS: Metric = counter("timpush_api_requests_total", APP, "Requests sent to the API.");

pub const API_FAILURES: Metric = counter(
    "timpush_api_failures_total",
    &["app", "kind", "code"],
    "Requests to the API that failed, by kind and error code; the code is empty where there is none.",
);

pub const API_REQUEST_DURATION: Metric = histogram(
    "timpush_api_request_duration_seconds",
    APP,
    "Time from sending a request to the end of its answer or failure.",
);

pub const API_DRIFT: Metric = counter(
    "timpush_api_drift_total",
    &["app", "kind"],
    "Answers of the API that left its documented contract in some way, each once for a kind.",
);

pub const API_LAST_SUCCESS: Metric = gauge(
    "timpush_api_last_success_timestamp_seconds",
    APP,
    "When the latest exchange with the API that worked ended; absent until the first.",
);

pub const BUDGET_RATE: Metric = gauge(
    "timpush_budget_requests_per_second",
    APP,
    "The request rate in force now; below the configured one after the API asked for less.",
);

pub const BUDGET_RESUME: Metric = gauge(
    "timpush_budget_resume_timestamp_seconds",
    APP,
    "When polling goes on after a pause; 0 when not paused.",
);

pub const USERSIG_EXPIRY: Metric = gauge(
    "timpush_usersig_expiry_timestamp_seconds",
    APP,
    "When the signature in use expires; absent until there is one.",
);

pub const APP_INFO: Metric = gauge(
    "timpush_app_info",
    &["app", "sdk_app_id", "region"],
    "Always 1; the app's SDKAppID and region, empty where an endpoint is configured.",
);

pub const SOURCE_LAST_SUCCESS: Metric = gauge(
    "timpush_source_last_success_timestamp_seconds",
    &["app", "source"],
    "When the watch source was last read whole; absent until the first time.",
);

pub const SOURCE_ENTRIES: Metric = gauge(
    "timpush_source_entries",
    &["app", "source"],
    "Pairs that the watch source names, when it was last read whole.",
);

pub const LEDGER_LAST_COMMIT: Metric = gauge(
    "timpush_ledger_last_commit_timestamp_seconds",
    &[],
    "When results were last made durable; absent until the first time.",
);

pub const LEDGER_SIZE: Metric =
    gauge("timpush_ledger_size_bytes", &[], "Size of the ledger's files; absent until measured.");

pub const LEDGER_COMMIT_DURATION: Metric =
    histogram("timpush_ledger_commit_duration_seconds", &[], "Time to make one group of results durable.");

pub const LEDGER_QUARANTINED: Metric = gauge(
    "timpush_ledger_quarantined_files",
    &[],
    "Damaged store files that were moved aside and are still in the storage folder.",
);

pub const CONNECTIONS_REFUSED: Metric = counter(
    "timpush_web_connections_refused_total",
    &[],
    "Connections closed at once because the cap of open connections was hit.",
);

pub const CONNECTIONS_EVICTED: Metric = counter(
    "timpush_web_connections_evicted_total",
    &[],
    "Connections that waited or dawdled and were cut to make room for a new one when the cap of open connections was hit.",
);

pub const HANDSHAKES_FAILED: Metric = counter(
    "timpush_web_tls_handshakes_failed_total",
    &[],
    "Connections that did not get through the TLS handshake: plain HTTP, no version or cipher in common, a client \
     certificate that is not taken, too slow.",
);

pub const REQUESTS_REFUSED: Metric = counter(
    "timpush_web_requests_refused_total",
    &["reason"],
    "Requests refused as the web configuration says: password (none or a wrong one), busy (too many passwords are \
     being checked), rate (rate_limit).",
);

pub const CERTIFICATE_EXPIRY: Metric = gauge(
    "timpush_web_certificate_expiry_timestamp_seconds",
    &[],
    "When the TLS certificate that is served expires; absent without TLS.",
);

pub const WEB_CONFIG_SUCCESSFUL: Metric = gauge(
    "timpush_web_config_last_reload_successful",
    &[],
    "1 if the web configuration is in force as its files are now, else 0; absent without --web.config.file.",
);

pub const RELOAD_SUCCESSFUL: Metric = gauge(
    "timpush_exporter_config_last_reload_successful",
    &[],
    "1 if the latest load of the configuration worked, else 0.",
);

pub const RELOAD_SUCCESS_AT: Metric = gauge(
    "timpush_exporter_config_last_reload_success_timestamp_seconds",
    &[],
    "When the configuration in force was loaded.",
);

pub const BUILD_INFO: Metric = gauge(
    "timpush_exporter_build_info",
    &["version", "revision"],
    "Always 1; what this program was built from. A label is absent where the build did not tell.",
);

/// Every metric that `/metrics` may show, `process_*` aside: those are as every exporter has them.
pub fn catalogue() -> &'static [Metric] {
    const ALL: &[Metric] = &[
        STAGE_RESULTS,
        STAGE_FAILURES,
        STAGE_DEVICES,
        STAGE_OVERDUE_DEVICES,
        STAGE_DELAY,
        DETECTION_DELAY,
        DEVICES,
        PAIRS_ENDED,
        SERIES_OVERFLOW,
        WATCHED_PAIRS,
        PAIRS_REFUSED,
        SCHEDULE_BACKLOG,
        SCHEDULE_LOOKED,
        UP,
        API_REQUESTS,
        API_FAILURES,
        API_REQUEST_DURATION,
        API_DRIFT,
        API_LAST_SUCCESS,
        BUDGET_RATE,
        BUDGET_RESUME,
        USERSIG_EXPIRY,
        APP_INFO,
        SOURCE_LAST_SUCCESS,
        SOURCE_ENTRIES,
        LEDGER_LAST_COMMIT,
        LEDGER_SIZE,
        LEDGER_COMMIT_DURATION,
        LEDGER_QUARANTINED,
        CONNECTIONS_REFUSED,
        CONNECTIONS_EVICTED,
        HANDSHAKES_FAILED,
        REQUESTS_REFUSED,
        CERTIFICATE_EXPIRY,
        WEB_CONFIG_SUCCESSFUL,
        RELOAD_SUCCESSFUL,
        RELOAD_SUCCESS_AT,
        BUILD_INFO,
    ];
    ALL
}
