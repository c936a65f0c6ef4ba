//! What the simulator tells a test about itself, as plain values.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many devices have a result at one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultSum {
    pub sdk_app_id: u64,
    /// `offline` or `online`.
    pub route: String,
    /// `im`, `offline`, `channel`, `device` or `click`.
    pub stage: String,
    /// The vendor's name; `im` on the online route.
    pub platform: String,
    /// `success` or `failure`.
    pub outcome: String,
    pub count: u64,
}

/// How many devices failed at one stage with one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureSum {
    pub sdk_app_id: u64,
    pub route: String,
    pub stage: String,
    pub platform: String,
    /// `ErrorCode` of the leaf.
    pub code: i64,
    pub count: u64,
}

/// Distinct results, summed; the account of what was handed out and the truth of what has happened have this shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Distinct (app, task, user, InstanceId, EventType) with at least one result.
    pub devices: u64,
    pub results: Vec<ResultSum>,
    pub failures: Vec<FailureSum>,
}

impl Sums {
    /// All results with this outcome, `success` or `failure`.
    pub fn total(&self, outcome: &str) -> u64 {
        self.results.iter().filter(|sum| sum.outcome == outcome).map(|sum| sum.count).sum()
    }
}

/// A pair of the population.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub task: String,
    pub user: String,
    /// Unix seconds.
    pub pushed_at: i64,
}

/// When the questions of one app came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AppArrivals {
    pub sdk_app_id: u64,
    pub requests: u64,
    /// Those that came sooner after the one before than the rate allows.
    pub early_requests: u64,
    /// `None` before the second request.
    pub smallest_gap_seconds: Option<f64>,
    /// The latest 4096 arrivals, microseconds after the start of the simulator.
    pub arrivals_micros: Vec<u64>,
    /// Well-formed answers that were made, by `ErrorCode` as text. Answers that a fault replaced are not among them.
    pub answers: BTreeMap<String, u64>,
}

/// When the questions came, of all apps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    pub apps: Vec<AppArrivals>,
    /// Requests of the trace path that name no app of this simulator.
    pub stranger_requests: u64,
}

/// Why an order to the simulator was not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("sdk_app_id {0} is not an app of this simulator")]
    UnknownApp(u64),
    #[error("platform {0} has no vendor; must be 1 to 8")]
    UnknownPlatform(u8),
    #[error("status {0} is not an HTTP status; must be 200 to 599")]
    BadStatus(u16),
    #[error("more than {limit} {what} are not kept; clear some first")]
    Full { what: &'static str, limit: usize },
    #[error("an answer needs exactly one of json, text and base64")]
    BadAnswer,
    #[error("error code 0 is no error; use forget, drift or an answer of your own")]
    NoError,
}
