//! Every metric once: its name, type, labels and help.

use super::metric::{Metric, counter, gauge, histogram};

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
    "result",
    "le",
    "quantile",
    "job",
    "instance",
];

const APP: &[&str] = &["app"];
const SET: &[&str] = &["app", "route", "stage", "platform"];
const PLACE: &[&str] = &["app", "route", "platform"];

pub const STAGE_RESULTS: Metric = counter(
    "timpush_stage_results_total",
    SET,
    "Devices with a result at this stage, each counted once. Values come from background polls.",
)
.by_watch_labels(&["outcome"]);

pub const STAGE_FAILURES: Metric = counter(
    "timpush_stage_failures_total",
    SET,
    "Failures in timpush_stage_results_total by reason (who must act) and error code. A series starts at 1, which \
     increase() does not see. Values come from background polls.",
)
.by_watch_labels(&["reason", "code"]);

pub const STAGE_DEVICES: Metric = gauge(
    "timpush_stage_devices",
    SET,
    "Devices of listed pairs by result at this stage; unreported means no result yet, and one can still come. As of \
     the last background poll of each pair.",
)
.by_watch_labels(&["state"]);

pub const STAGE_OVERDUE_DEVICES: Metric = gauge(
    "timpush_stage_overdue_devices",
    SET,
    "Devices of listed pairs without a result although the previous stage succeeded longer ago than this stage may \
     take. As of the last background poll of each pair.",
)
.by_watch_labels(&[]);

pub const STAGE_DELAY: Metric = histogram(
    "timpush_stage_delay_seconds",
    SET,
    "Time from the push to the success at this stage, by the upstream's clock, in whole seconds. Values come from \
     background polls.",
)
.by_watch_labels(&[]);

pub const SAMPLE_RESULTS: Metric = counter(
    "timpush_sample_results_total",
    SET,
    "Devices of the pairs in the random sample with a result at this stage, each counted once. Make ratios of these. Values \
     come from background polls.",
)
.by_watch_labels(&["outcome"]);

pub const SAMPLE_CLOSED_DEVICES: Metric = counter(
    "timpush_sample_closed_devices_total",
    PLACE,
    "Devices of the pairs in the random sample, counted once, by how far the push had come an hour after it: tapped, \
     delivered, accepted (by the vendor, no receipt), failed, unreported. Values come from background polls.",
)
.by_watch_labels(&["result"]);

pub const SAMPLE_DELIVERY: Metric = histogram(
    "timpush_sample_delivery_seconds",
    PLACE,
    "Time from the push to its receipt, by the upstream's clock, in whole seconds, of the devices of the random sample that \
     had a receipt within an hour. Values come from background polls.",
)
.by_watch_labels(&[]);

pub const DETECTION_DELAY: Metric = histogram(
    "timpush_detection_delay_seconds",
    APP,
    "Time from an event, by the upstream's clock, to the background poll that saw it.",
);

pub const DEVICES: Metric = gauge(
    "timpush_devices",
    &["app", "platform"],
    "Devices of listed pairs by notification setting. As of the last background poll of each pair.",
)
.by_watch_labels(&["notifications"]);

pub const PAIRS_ENDED: Metric = counter(
    "timpush_pairs_ended_total",
    &["app", "reason"],
    "Pairs of task and user no longer polled: settled (no more results can come), expired (watch_for is over), \
     removed (left the watch list).",
);

pub const SERIES_OVERFLOW: Metric = counter(
    "timpush_series_overflow_total",
    &["app", "metric"],
    "Results of background polls counted under the label value other because a label set hit its cap.",
);

pub const LABEL_SETS_RETURNED: Metric = gauge(
    "timpush_label_sets_returned_timestamp_seconds",
    APP,
    "Latest time at which series of watch labels came back with counts of more than 30 days ago; 0 if none did.",
);

pub const WATCHED_PAIRS: Metric = gauge(
    "timpush_watched_pairs",
    &["app", "state"],
    "Pairs of task and user on the watch list: new (never polled successfully), active, settled (no more results can \
     come), failing (the API refuses the pair, or its polls keep failing).",
);

pub const PAIRS_REFUSED: Metric = counter(
    "timpush_pairs_refused_total",
    &["app", "reason"],
    "Pairs of task and user that did not enter the watch list.",
);

pub const SAMPLE_PAIRS: Metric =
    gauge("timpush_sample_pairs", APP, "Listed pairs that are in the random sample.");

pub const PAIRS_AWAITING_PUSH: Metric =
    gauge("timpush_pairs_awaiting_push", APP, "Listed pairs whose push time is in the future.");

pub const PAIRS_OVER_LIMIT: Metric = gauge(
    "timpush_pairs_over_limit",
    APP,
    "Pairs that the watch sources name and that are not watched, because max_pairs is reached.",
);

pub const SCHEDULE_BACKLOG: Metric = gauge(
    "timpush_schedule_backlog_seconds",
    APP,
    "Time the request budget needs to poll everything that is due now.",
);

pub const SCHEDULE_POLLED: Metric = gauge(
    "timpush_schedule_polled_ratio",
    APP,
    "Fraction of listed pairs past their push time that were polled at least once; absent if there are none.",
);

pub const UP: Metric = gauge(
    "timpush_up",
    APP,
    "1 if the last request to the API succeeded, else 0; absent before the first request.",
);

pub const API_REQUESTS: Metric = counter("timpush_api_requests_total", APP, "Requests sent to the API.");

pub const API_FAILURES: Metric = counter(
    "timpush_api_failures_total",
    &["app", "kind", "code"],
    "Failed requests to the API by kind and error code; code is empty if there is none.",
);

pub const API_REQUEST_DURATION: Metric = histogram(
    "timpush_api_request_duration_seconds",
    APP,
    "Time from sending a request to the end of its response, or to its failure.",
);

pub const API_DRIFT: Metric = counter(
    "timpush_api_drift_total",
    &["app", "kind"],
    "API responses that do not match the documented schema; a response counts once per kind, an added field or number once per name.",
);

pub const API_LAST_SUCCESS: Metric = gauge(
    "timpush_api_last_success_timestamp_seconds",
    APP,
    "Time of the last successful request to the API; absent before the first.",
);

pub const BUDGET_RATE: Metric = gauge(
    "timpush_budget_requests_per_second",
    APP,
    "Request rate in force; below the configured rate after the API returned a rate-limit error. Apps that share a \
     budget each show their part.",
);

pub const BUDGET_RESUME: Metric = gauge(
    "timpush_budget_resume_timestamp_seconds",
    APP,
    "Time at which polling resumes after a pause; 0 when not paused.",
);

pub const USERSIG_EXPIRY: Metric = gauge(
    "timpush_usersig_expiry_timestamp_seconds",
    APP,
    "Expiry time of the UserSig in use; absent until there is one.",
);

pub const CREDENTIAL_READABLE: Metric = gauge(
    "timpush_credential_readable",
    APP,
    "1 if the key or UserSig could be read again at the last attempt, else 0; absent before the first.",
);

pub const APP_INFO: Metric = gauge(
    "timpush_app_info",
    &["app", "sdk_app_id", "region"],
    "Always 1. SDKAppID and region of the app; region is empty if an endpoint is configured.",
);

pub const SOURCE_LAST_SUCCESS: Metric = gauge(
    "timpush_source_last_success_timestamp_seconds",
    &["app", "source"],
    "Time at which the watch source was last read successfully; 0 before the first.",
);

pub const SOURCE_UP: Metric = gauge(
    "timpush_source_up",
    &["app", "source"],
    "1 if the last read of the watch source gave a usable list, else 0.",
);

pub const SOURCE_REFUSED: Metric = gauge(
    "timpush_source_refused_entries",
    &["app", "source"],
    "Pairs of the latest list of the watch source that were refused, whether the list came into use or not.",
);

pub const SOURCE_WARNINGS: Metric = gauge(
    "timpush_source_warnings",
    &["app", "source"],
    "Warnings about the latest list of the watch source, such as an id that another program has probably changed.",
);

pub const SOURCE_SKIPPED_FILES: Metric = gauge(
    "timpush_source_skipped_files",
    &["app", "source"],
    "Files that match the pattern of the watch source and are not read, because their names are not those of lists.",
);

pub const SOURCE_ENTRIES: Metric =
    gauge("timpush_source_entries", &["app", "source"], "Pairs of the watch source's lists in use.");

pub const LEDGER_LAST_COMMIT: Metric = gauge(
    "timpush_ledger_last_commit_timestamp_seconds",
    &[],
    "Time of the last commit to the ledger; absent before the first.",
);

pub const LEDGER_SIZE: Metric =
    gauge("timpush_ledger_size_bytes", &[], "Size of the ledger's files; absent until measured.");

pub const LEDGER_COMMIT_DURATION: Metric =
    histogram("timpush_ledger_commit_duration_seconds", &[], "Duration of a commit to the ledger.");

pub const LEDGER_QUARANTINED: Metric = gauge(
    "timpush_ledger_quarantined_files",
    &[],
    "Damaged ledgers that were moved aside and are still in the storage folder.",
);

pub const LEDGER_DAMAGED: Metric = counter(
    "timpush_ledger_damaged_records_total",
    &[],
    "Pairs no longer watched because their record in the ledger was found damaged while the exporter ran.",
);

pub const CONNECTIONS_REFUSED: Metric = counter(
    "timpush_web_connections_refused_total",
    &[],
    "Connections closed at once because the connection limit was reached.",
);

pub const CONNECTIONS_EVICTED: Metric = counter(
    "timpush_web_connections_evicted_total",
    &[],
    "Waiting or slow connections closed to make room for a new one because the connection limit was reached.",
);

pub const HANDSHAKES_FAILED: Metric = counter(
    "timpush_web_tls_handshakes_failed_total",
    &[],
    "Failed TLS handshakes: plain HTTP, no common version or cipher, a client certificate that is not accepted, too \
     slow.",
);

pub const REQUESTS_REFUSED: Metric = counter(
    "timpush_web_requests_refused_total",
    &["reason"],
    "Requests refused: password (missing or wrong), busy (too many password checks or other requests at once), rate \
     (rate_limit).",
);

pub const CERTIFICATE_EXPIRY: Metric = gauge(
    "timpush_web_certificate_expiry_timestamp_seconds",
    &[],
    "Expiry time of the TLS server certificate; absent without TLS.",
);

pub const WEB_CONFIG_SUCCESSFUL: Metric = gauge(
    "timpush_web_config_last_reload_successful",
    &[],
    "1 if the web configuration file, as it is now, is in force, else 0; absent without --web.config.file.",
);

pub const RELOAD_SUCCESSFUL: Metric = gauge(
    "timpush_exporter_config_last_reload_successful",
    &[],
    "1 if the last load of the configuration succeeded, else 0.",
);

pub const RELOAD_SUCCESS_AT: Metric = gauge(
    "timpush_exporter_config_last_reload_success_timestamp_seconds",
    &[],
    "Time at which the configuration in force was loaded.",
);

pub const BUILD_INFO: Metric = gauge(
    "timpush_exporter_build_info",
    &["version", "revision"],
    "Always 1. Version and revision of the build; a label is absent if it is not known.",
);

/// Every metric that `/metrics` may show, `process_*` aside: those are as every exporter has them.
pub fn catalogue() -> &'static [Metric] {
    const ALL: &[Metric] = &[
        STAGE_RESULTS,
        STAGE_FAILURES,
        STAGE_DEVICES,
        STAGE_OVERDUE_DEVICES,
        STAGE_DELAY,
        SAMPLE_RESULTS,
        SAMPLE_CLOSED_DEVICES,
        SAMPLE_DELIVERY,
        DETECTION_DELAY,
        DEVICES,
        PAIRS_ENDED,
        SERIES_OVERFLOW,
        LABEL_SETS_RETURNED,
        WATCHED_PAIRS,
        PAIRS_REFUSED,
        PAIRS_AWAITING_PUSH,
        SAMPLE_PAIRS,
        PAIRS_OVER_LIMIT,
        SCHEDULE_BACKLOG,
        SCHEDULE_POLLED,
        UP,
        API_REQUESTS,
        API_FAILURES,
        API_REQUEST_DURATION,
        API_DRIFT,
        API_LAST_SUCCESS,
        BUDGET_RATE,
        BUDGET_RESUME,
        USERSIG_EXPIRY,
        CREDENTIAL_READABLE,
        APP_INFO,
        SOURCE_LAST_SUCCESS,
        SOURCE_ENTRIES,
        SOURCE_UP,
        SOURCE_REFUSED,
        SOURCE_WARNINGS,
        SOURCE_SKIPPED_FILES,
        LEDGER_LAST_COMMIT,
        LEDGER_SIZE,
        LEDGER_COMMIT_DURATION,
        LEDGER_QUARANTINED,
        LEDGER_DAMAGED,
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
