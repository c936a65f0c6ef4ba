//! The other side of the wire, written from the upstream's manual; shares no code with the client.
//!
//! [`start`] serves `POST /v4/timpush/all_member_push_trace` for the apps of [`Options`]: it checks signatures, keeps
//! each app's rate by its own clock, and tells what has become of the pushes of a made-up population of devices. Nothing of
//! the population is kept: the fate of a push is thrown again from the seed whenever it is asked for, so that a thousand apps
//! cost nothing until somebody asks. What was handed out is kept in an account, for tests to compare with.
//!
//! A known pair before its push has an empty trace. A pair whose push is older than seven days is unknown.
//!
//! Tests in the same process use [`Simulator`]; tests in another use these paths, JSON in and out:
//!
//! | request | body or query | answer |
//! |---|---|---|
//! | `GET /sim/account` | | [`Sums`] of what was handed out |
//! | `GET /sim/truth` | | [`Sums`] of what has happened up to now |
//! | `GET /sim/pairs` | `?sdk_app_id=N` | list of [`Pair`] |
//! | `GET /sim/arrivals` | `?sdk_app_id=N`, optional | [`Arrivals`] |
//! | `GET /sim/faults` | | the [`FaultOrder`]s in force |
//! | `POST /sim/faults` | [`FaultOrder`]: `{"fault": {"kind": "error", "code": 60008}, "sdk_app_id": 1400000001, "requests": 3}` | |
//! | `DELETE /sim/faults` | | |
//! | `POST /sim/answers` | [`CannedAnswer`]: `{"task": "t", "user": "u", "json": {}}`, or `text`, or `base64` | |
//! | `DELETE /sim/answers` | | |
//! | `POST /sim/outage` | [`OutageOrder`]: `{"platform": 3, "kind": "fail"}`, or `silent`; optional `sdk_app_id` | |
//! | `DELETE /sim/outage` | | |
//!
//! The kinds of faults are `slow` (`milliseconds`), `error` (`code`), `http` (`status`), `html`, `half_json`, `hang`,
//! `reset` (`mid_response`, false if left out), `forget`, `huge` (`bytes`, 64 MiB if left out), `drift` and
//! `secret_echo`; see [`Fault`]. An order that is taken is answered with `{"done": true}`, one that is not with 400 and
//! `{"error": "…"}`.

/// The account: which distinct results were handed out.
mod account;
/// Deliveries as the upstream's JSON, up to a moment.
mod answer;
/// Bodies, whole and broken.
mod body;
/// The upstream's time strings.
mod calendar;
/// The handles under `/sim/`.
mod control;
/// What becomes of one push on one device.
mod delivery;
/// The ways in which the simulator misbehaves when told to.
mod fault;
/// What a simulator is started with.
mod options;
/// Who is in an app's population.
mod population;
/// One question of the trace path.
mod question;
/// When questions came: the rate, and the lock-out.
mod rate_limiter;
/// What the simulator tells a test about itself.
mod report;
/// Chance that repeats itself.
mod rng;
/// Good answers bent out of the documented shape.
mod schema_drift;
/// The listener and the wire.
mod server;
/// Checks a UserSig as the official verifier does.
mod signature;
/// What the vendors say when they refuse.
mod vendor;
/// Routes, stages and platforms as reports name them.
mod words;
/// All that the simulator remembers between two requests.
mod world;

#[cfg(test)]
mod tests;

pub use delivery::{OutageKind, OutageOrder};
pub use fault::{Fault, FaultOrder};
pub use options::{Account, Options, PopulationOptions, UnknownPairs};
pub use report::{AppArrivals, Arrivals, FailureSum, Pair, Refusal, ResultSum, Sums};
pub use server::{Simulator, start};
pub use world::CannedAnswer;
