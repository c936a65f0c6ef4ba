//! Findings about the process as a whole: its ledger, its configuration, its certificate.

use crate::view::{ReloadFailure, Status};

use super::super::app_state::Readiness;
use super::super::times::{counted, date_time, distance, span};
use super::{Finding, Id, Severity};

/// A certificate with less than this left is not being renewed: authorities renew weeks before.
const CERTIFICATE_LOW_SECONDS: i64 = 7 * 86_400;

/// What the findings are worked out from.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<'a> {
    pub(super) status: &'a Status,
    pub(super) readiness: Readiness,
    /// `None` while the web configuration is in force as its files are now.
    pub(super) web_config_failure: Option<&'a ReloadFailure>,
    /// Unix seconds; `None` without TLS.
    pub(super) certificate_expires_at: Option<i64>,
    /// Unix seconds.
    pub(super) now: i64,
}

pub(super) fn findings(state: &State<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let now = state.now;
    match state.readiness {
        Readiness::Ready => {}
        Readiness::Starting => found.push(Finding::new(
            Severity::Warning,
            Id::Starting,
            "It is starting: the ledger is opened and the watch lists are read.",
            "No action needed.",
        )),
        Readiness::Stopping => found.push(Finding::new(
            Severity::Warning,
            Id::Stopping,
            "It is shutting down.",
            "No action needed.",
        )),
    }
    if let Some(note) = &state.status.ledger_note {
        found.push(Finding::new(
            Severity::Warning,
            Id::LedgerMovedAside,
            note.clone(),
            "Look at the damaged file, then move it out of the storage folder.",
        ));
    }
    if let Some(stall) = &state.status.ledger_stall {
        let since = (distance(stall.since, now), date_time(stall.since));
        found.push(Finding::new(
            Severity::Critical,
            Id::LedgerNotWritten,
            format!(
                "The ledger cannot be written since {} ({} UTC): {}. Polling waits; nothing that was read is lost.",
                since.0, since.1, stall.why
            ),
            "Check that the disk of the storage folder has space and can be written.",
        ));
    }
    if state.status.apps.is_empty() && state.readiness == Readiness::Ready {
        found.push(Finding::new(
            Severity::Warning,
            Id::NoApp,
            "No app is watched: the configuration names none.",
            "Add an app to the configuration and reload.",
        ));
    }
    let reload = |failure, what, id| not_reloaded(failure, now, (what, id));
    let config = state.status.reload_failure.as_deref();
    found.extend(config.map(|failure| reload(failure, "configuration", Id::ConfigNotReloaded)));
    let web = state.web_config_failure;
    found.extend(web.map(|failure| reload(failure, "web configuration", Id::WebConfigNotReloaded)));
    found.extend(state.certificate_expires_at.and_then(|at| certificate(at, now)));
    found
}

fn not_reloaded(failure: &ReloadFailure, now: i64, (what, id): (&str, Id)) -> Finding {
    let text = format!(
        "The {what} could not be loaded {}: {}. The one before stays in force until the next restart, which would fail.",
        distance(failure.at, now),
        counted(failure.faults, "error"),
    );
    let remedy = match id {
        Id::ConfigNotReloaded => "Correct the file (--config.check names every error) and reload.",
        _ => "Correct the file; the log names every error. It is read again within a second.",
    };
    Finding::new(Severity::Warning, id, text, remedy).because(Some(&failure.first))
}

fn certificate(expires_at: i64, now: i64) -> Option<Finding> {
    let left = expires_at - now;
    let (severity, text) = match left {
        ..=0 => {
            (Severity::Critical, format!("The TLS certificate of this server expired {} ago.", span(-left)))
        }
        1..CERTIFICATE_LOW_SECONDS => {
            (Severity::Warning, format!("The TLS certificate of this server expires in {}.", span(left)))
        }
        _ => return None,
    };
    let remedy = "Replace the certificate files; they are read again within seconds.";
    Some(Finding::new(severity, Id::CertificateExpiring, text, remedy))
}
