//! What is not as it should be, worked out in one place for the page and the API: plain values in, findings out.

mod app;
mod process;
mod sources;
#[cfg(test)]
mod tests;
mod watching;

use crate::view::{ReloadFailure, Status};

use super::house::{House, Readiness, unix_now};

/// How bad a finding is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Nothing to complain of; no finding has it.
    Ok,
    /// Good to know.
    Info,
    /// Somebody must act, not at once.
    Warning,
    /// Results are missing, or about to be lost.
    Critical,
}

impl Severity {
    /// The word of the API.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What a finding is about. The order is that in which an operator deals with them, where they are equally bad: causes
/// before what follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    LedgerNotWritten,
    RequestsFailing,
    Paused,
    SignatureExpired,
    NoAnswers,
    SourceNeverRead,
    SourceFailing,
    SourceMatchesNothing,
    SourceEmpty,
    NoSource,
    NothingPosted,
    NothingWatched,
    CredentialUnreadable,
    SignatureExpiring,
    TimesAhead,
    ConfigNotReloaded,
    WebConfigNotReloaded,
    CertificateExpiring,
    SourceDegraded,
    SourceEntriesRefused,
    SourceFilesSkipped,
    SourceWarnings,
    PairsOverLimit,
    AwaitingPush,
    PairsFailing,
    RateLowered,
    BacklogHigh,
    LedgerMovedAside,
    NoApp,
    Starting,
    Stopping,
}

impl Id {
    /// The word of the API; scripts compare it, so it stays.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Id::LedgerNotWritten => "ledger_not_written",
            Id::RequestsFailing => "requests_failing",
            Id::Paused => "paused",
            Id::SignatureExpired => "signature_expired",
            Id::NoAnswers => "no_answers",
            Id::SourceNeverRead => "source_never_read",
            Id::SourceFailing => "source_failing",
            Id::SourceMatchesNothing => "source_matches_nothing",
            Id::SourceEmpty => "source_empty",
            Id::NoSource => "no_source",
            Id::NothingPosted => "nothing_posted",
            Id::NothingWatched => "nothing_watched",
            Id::CredentialUnreadable => "credential_unreadable",
            Id::SignatureExpiring => "signature_expiring",
            Id::TimesAhead => "times_ahead",
            Id::ConfigNotReloaded => "config_not_reloaded",
            Id::WebConfigNotReloaded => "web_config_not_reloaded",
            Id::CertificateExpiring => "certificate_expiring",
            Id::SourceDegraded => "source_degraded",
            Id::SourceEntriesRefused => "source_entries_refused",
            Id::SourceFilesSkipped => "source_files_skipped",
            Id::SourceWarnings => "source_warnings",
            Id::PairsOverLimit => "pairs_over_limit",
            Id::AwaitingPush => "awaiting_push",
            Id::PairsFailing => "pairs_failing",
            Id::RateLowered => "rate_lowered",
            Id::BacklogHigh => "backlog_high",
            Id::LedgerMovedAside => "ledger_moved_aside",
            Id::NoApp => "no_app",
            Id::Starting => "starting",
            Id::Stopping => "stopping",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) id: Id,
    pub(super) severity: Severity,
    /// `None` for the process as a whole.
    pub(super) app: Option<String>,
    /// The watch source it is about.
    pub(super) source: Option<String>,
    /// What is the case, in a sentence or two.
    pub(super) text: String,
    /// What to do about it, in a sentence.
    pub(super) remedy: String,
    /// The cause in the words of whoever met it. It may hold what stands in a list: it is for those who may see user ids.
    pub(super) detail: Option<String>,
}

impl Finding {
    fn new(severity: Severity, id: Id, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        let (text, remedy) = (text.into(), remedy.into());
        Finding { id, severity, app: None, source: None, text, remedy, detail: None }
    }

    fn about(mut self, source: &str) -> Finding {
        self.source = Some(source.to_owned());
        self
    }

    fn because(mut self, detail: Option<&str>) -> Finding {
        self.detail = detail.map(str::to_owned);
        self
    }
}

/// What the findings are worked out from.
#[derive(Clone, Copy, Debug)]
struct State<'a> {
    status: &'a Status,
    readiness: Readiness,
    /// `None` while the web configuration is in force as its files are now.
    web_config_failure: Option<&'a ReloadFailure>,
    /// Unix seconds; `None` without TLS.
    certificate_expires_at: Option<i64>,
    /// Unix seconds.
    now: i64,
}

impl State<'_> {
    fn findings(&self) -> Vec<Finding> {
        let mut found = process::findings(self);
        for status in &self.status.apps {
            let of_app = app::findings(status, self.now).into_iter();
            found.extend(of_app.map(|finding| Finding { app: Some(status.name.clone()), ..finding }));
        }
        found.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.id));
        found
    }
}

/// All findings of this moment; what an operator must do first stands first.
pub(super) fn of_house(house: &House) -> Vec<Finding> {
    let (status, web_config_failure) = (house.status.load(), house.web_config_failure.load());
    let state = State {
        status: &status,
        readiness: house.readiness(),
        web_config_failure: web_config_failure.as_deref(),
        certificate_expires_at: house.server.certificate_expires_at(),
        now: unix_now(),
    };
    state.findings()
}

/// The worst of these.
pub(super) fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Severity {
    findings.into_iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}
