//! One thing that is not as it should be: how bad it is, what it is about, and what to do about it.

/// How bad a finding is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

impl Severity {
    /// The word of the API.
    pub(in crate::web) const fn as_str(self) -> &'static str {
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

impl Id {
    /// The word of the API; scripts compare it, so it stays.
    pub(in crate::web) const fn as_str(self) -> &'static str {
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
