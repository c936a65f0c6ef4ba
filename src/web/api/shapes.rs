//! What the API shows of pairs, devices and apps: names and forms of the fields, with the words of the document.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::words;
use crate::web::findings::{Id, Severity};

/// A watched pair of task and user.
#[derive(Serialize, ToSchema)]
#[schema(as = Watch)]
pub(super) struct WatchShape {
    /// Name of the app.
    pub(super) app: String,
    /// TaskID of the push.
    pub(super) task: String,
    /// UserID.
    pub(super) user: String,
    #[schema(schema_with = words::states)]
    pub(super) state: &'static str,
    /// The watch labels that the entry sets.
    pub(super) labels: BTreeMap<String, String>,
    /// When the push was: as listed, else as the upstream says; null where neither is known.
    pub(super) pushed_at: Option<Timestamp>,
    /// The latest answer of the upstream about the pair; null before the first.
    pub(super) last_polled_at: Option<Timestamp>,
    /// When it is asked next, as far as that is planned. A time that has come means that its turn comes as soon as
    /// the budget allows; null where it is asked no more.
    pub(super) next_poll_at: Option<Timestamp>,
    /// Devices that failed at some stage.
    pub(super) failed_devices: u32,
}

/// A page of the watch lists.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct PageShape {
    /// All pairs that the parameters let through, on every page.
    pub(super) total: u64,
    /// Give it as after to get the next page; null on the last one. Good until the daemon restarts.
    pub(super) next: Option<String>,
    /// Pairs that stay listed keep their order, so that paging neither repeats nor skips them while the list changes.
    pub(super) watches: Vec<WatchShape>,
}

/// One pair and all that is known of its devices.
#[derive(Serialize, ToSchema)]
#[schema(as = Pair)]
pub(super) struct PairShape {
    #[serde(flatten)]
    pub(super) watch: WatchShape,
    /// When it was first listed.
    pub(super) added_at: Timestamp,
    /// When its watching ends.
    pub(super) ends_at: Timestamp,
    pub(super) devices: Vec<DeviceShape>,
}

/// One device on one route.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
pub(super) struct DeviceShape {
    /// InstanceId.
    pub(super) instance: String,
    #[schema(schema_with = words::routes)]
    pub(super) route: &'static str,
    /// The platform, as the label of that name: a vendor, unknown, platform_ and a number, or im on the online route.
    pub(super) platform: String,
    #[schema(schema_with = words::notifications)]
    pub(super) notifications: &'static str,
    /// PushTime.
    pub(super) pushed_at: Option<Timestamp>,
    /// In the order in which a push passes them.
    pub(super) stages: Vec<StageShape>,
}

/// How a device stands at one stage.
#[derive(Serialize, ToSchema)]
#[schema(as = Stage)]
pub(super) struct StageShape {
    #[schema(schema_with = words::stages)]
    pub(super) stage: &'static str,
    #[schema(schema_with = words::outcomes)]
    pub(super) outcome: &'static str,
    /// ErrorCode of a failure.
    pub(super) code: Option<i64>,
    #[schema(schema_with = words::reasons_or_none)]
    pub(super) reason: Option<&'static str>,
    /// Who must act on it and what they would do, in words for people.
    pub(super) who: Option<&'static str>,
    /// EventTime.
    pub(super) at: Option<Timestamp>,
    /// The poll that saw the result first.
    pub(super) seen_at: Option<Timestamp>,
    /// From PushTime to EventTime.
    pub(super) delay_seconds: Option<i64>,
    /// Unreported, and a result may still come: no stage before it failed.
    pub(super) awaited: bool,
    /// Awaited, and it counts as overdue from this time on.
    pub(super) overdue_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
pub(super) struct StatusShape {
    /// Of the program.
    pub(super) version: &'static str,
    #[schema(schema_with = words::readiness)]
    pub(super) readiness: &'static str,
    /// Start of the process.
    pub(super) started_at: Timestamp,
    /// Whether users and what may name them are left out: they are shown to clients that gave a password and to
    /// clients on loopback.
    pub(super) users_hidden: bool,
    #[schema(schema_with = words::severities)]
    pub(super) severity: Severity,
    /// Whatever is not as it should be; what must be done first stands first. The same as on the status page.
    pub(super) findings: Vec<FindingShape>,
    pub(super) ledger: LedgerShape,
    pub(super) apps: Vec<AppShape>,
}

/// One thing that is not as it should be.
#[derive(Serialize, ToSchema)]
#[schema(as = Finding)]
pub(super) struct FindingShape {
    #[schema(inline)]
    pub(super) id: Id,
    #[schema(schema_with = words::finding_severities)]
    pub(super) severity: Severity,
    /// Name of the app; null for the process as a whole.
    pub(super) app: Option<String>,
    /// Name of the watch source it is about.
    pub(super) source: Option<String>,
    /// What is the case, in a sentence or two.
    pub(super) text: String,
    /// What to do about it.
    pub(super) remedy: String,
    /// The error as it was reported. It may contain parts of a list: null where users_hidden is true.
    pub(super) detail: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Ledger)]
pub(super) struct LedgerShape {
    /// The latest commit since the start.
    pub(super) last_commit_at: Option<Timestamp>,
    /// Size of the store on disk.
    pub(super) size_bytes: u64,
    /// What an operator must know of the ledger.
    pub(super) note: Option<String>,
    /// Since when it cannot be written; null while it can.
    pub(super) failing_since: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = App)]
pub(super) struct AppShape {
    /// Name of the app.
    pub(super) name: String,
    /// Host and port of the upstream.
    pub(super) endpoint_host: String,
    /// Whether the latest exchange worked; null before the first.
    pub(super) up: Option<bool>,
    /// The latest exchange that worked.
    pub(super) last_success_at: Option<Timestamp>,
    pub(super) pairs: PairsShape,
    /// Time the budget needs for all that is due now.
    pub(super) backlog_seconds: f64,
    pub(super) budget: BudgetShape,
    pub(super) latest_failure: Option<LatestShape>,
    /// When the signature in use ends.
    pub(super) usersig_expires_at: Option<Timestamp>,
    pub(super) sources: Vec<SourceShape>,
    pub(super) recent: RecentShape,
    /// The latest first, 50 at most.
    pub(super) push_failures: Vec<FailureShape>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Budget)]
pub(super) struct BudgetShape {
    /// The rate in force now.
    pub(super) requests_per_second: f64,
    /// The rate of the configuration.
    pub(super) requests_per_second_configured: f64,
    /// Requests of the latest minute as a share of what the rate allows, 0 to 1.
    pub(super) used: f64,
    /// When polling goes on; null when it is not paused.
    pub(super) resume_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LatestFailure)]
pub(super) struct LatestShape {
    /// When.
    pub(super) at: Timestamp,
    /// What went wrong in the latest exchange that failed.
    pub(super) text: String,
    /// What the upstream says of it. It may name users: null for clients that may not see user ids.
    pub(super) upstream_text: Option<String>,
}

/// A watch source.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
pub(super) struct SourceShape {
    /// static, files[0], http[0] by their order in the configuration, or api.
    pub(super) name: String,
    /// Pairs in its list in force.
    pub(super) entries: u64,
    /// Pairs of its latest list that were refused, whether the list came into force or not.
    pub(super) refused_entries: u64,
    /// Places in its latest list that were taken with a warning, such as an id that another program has probably
    /// changed.
    pub(super) warnings: u64,
    /// Files that match its pattern and are not read, because their names are not those of lists.
    pub(super) skipped_files: u64,
    /// When it was last read without trouble.
    pub(super) last_success_at: Option<Timestamp>,
    /// Whether the latest read gave a usable list; null before the first.
    pub(super) up: Option<bool>,
    /// Whether the latest read failed; then its last good list stays in force.
    pub(super) failing: bool,
}

/// What the polls of the latest hour brought.
#[derive(Serialize, ToSchema)]
#[schema(as = Recent)]
pub(super) struct RecentShape {
    /// An hour ago, to five minutes, or the start.
    pub(super) since: Timestamp,
    pub(super) stages: Vec<RecentStageShape>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RecentStage)]
pub(super) struct RecentStageShape {
    #[schema(schema_with = words::routes)]
    pub(super) route: &'static str,
    /// The platform, as the label of that name: a vendor, unknown, platform_ and a number, or im on the online route.
    pub(super) platform: String,
    #[schema(schema_with = words::stages)]
    pub(super) stage: &'static str,
    /// Results never seen before.
    pub(super) successes: u64,
    /// Results never seen before; may be more than the reasons add up to, of which 64 codes are told apart in five
    /// minutes.
    pub(super) failures: u64,
    /// Most first.
    pub(super) reasons: Vec<ReasonShape>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Reason)]
pub(super) struct ReasonShape {
    #[schema(schema_with = words::reasons)]
    pub(super) reason: &'static str,
    /// ErrorCode.
    pub(super) code: i64,
    /// Failures.
    pub(super) count: u64,
    /// Who must act on it and what they would do, in words for people.
    pub(super) who: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PushFailure)]
pub(super) struct FailureShape {
    /// TaskID of the push.
    pub(super) task: String,
    /// UserID; null where users_hidden is true.
    pub(super) user: Option<String>,
    #[schema(schema_with = words::routes)]
    pub(super) route: &'static str,
    /// The platform, as the label of that name: a vendor, unknown, platform_ and a number, or im on the online route.
    pub(super) platform: String,
    #[schema(schema_with = words::stages)]
    pub(super) stage: &'static str,
    /// ErrorCode.
    pub(super) code: i64,
    #[schema(schema_with = words::reasons)]
    pub(super) reason: &'static str,
    /// Who must act on it and what they would do, in words for people.
    pub(super) who: &'static str,
    /// EventTime.
    pub(super) at: Option<Timestamp>,
    /// The poll that saw it first.
    pub(super) seen_at: Timestamp,
}

/// How many pairs are in each state.
#[derive(Serialize, ToSchema)]
#[schema(as = Pairs)]
pub(super) struct PairsShape {
    /// Pairs in that state.
    pub(super) new: u64,
    /// Pairs in that state.
    pub(super) active: u64,
    /// Pairs in that state.
    pub(super) settled: u64,
    /// Pairs in that state.
    pub(super) failing: u64,
}

/// What a request to add came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Added)]
pub(super) struct AddedShape {
    /// Pairs new to the API's list.
    pub(super) added: u64,
    /// Pairs that were in it with other labels or another push time; the new ones stand now.
    pub(super) changed: u64,
    /// Pairs that were in it just so.
    pub(super) known: u64,
    /// What is odd about the entries although they were taken, a line each with its key path, and which pairs are not polled
    /// and why; not there where nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
}

/// What a request to remove came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Removed)]
pub(super) struct RemovedShape {
    /// Pairs that were in the API's list and are no more.
    pub(super) removed: u64,
    /// Pairs among those named that stand in another source, too: static, files or http. They stay watched.
    pub(super) still_listed: u64,
}
