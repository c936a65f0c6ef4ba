//! One thing that is not as it should be: how bad it is, what it is about, and what to do about it.

use serde::Serialize;
use utoipa::ToSchema;

/// How bad a finding is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::web) enum Severity {
    /// Nothing to complain of; no finding has it.
    Ok,
    /// Good to know.
    Info,
    /// Somebody must act, not at once.
    Warning,
    /// Results are missing, or about to be lost.
    Critical,
}

// The order is that in which an operator deals with them, where they are equally bad: causes before what follows from them.
// Scripts compare the names that the API gives in snake case, so they stay.
/// What it is about. More may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::web) enum Id {
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

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct Finding {
    pub(in crate::web) id: Id,
    pub(in crate::web) severity: Severity,
    /// `None` for the process as a whole.
    pub(in crate::web) app: Option<String>,
    /// The watch source it is about.
    pub(in crate::web) source: Option<String>,
    /// What is the case, in a sentence or two.
    pub(in crate::web) text: String,
    /// What to do about it, in a sentence.
    pub(in crate::web) remedy: String,
    /// The cause in the words of whoever met it. It may hold what stands in a list: it is for those who may see user ids.
    pub(in crate::web) detail: Option<String>,
}

impl Finding {
    pub(super) fn new(
        severity: Severity,
        id: Id,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let (text, remedy) = (text.into(), remedy.into());
        Finding { id, severity, app: None, source: None, text, remedy, detail: None }
    }

    pub(super) fn about(mut self, source: &str) -> Finding {
        self.source = Some(source.to_owned());
        self
    }

    pub(super) fn because(mut self, detail: Option<&str>) -> Finding {
        self.detail = detail.map(str::to_owned);
        self
    }
}
