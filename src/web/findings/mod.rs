//! What is not as it should be, worked out in one place for the page and the API: plain values in, findings out.

mod app;
mod finding;
mod process;
mod sources;
#[cfg(test)]
mod tests;
mod watching;

use self::process::State;
use super::app_state::{AppState, unix_now};

pub(super) use finding::{Finding, Id, Severity};

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
pub(super) fn of_state(app_state: &AppState) -> Vec<Finding> {
    let (status, web_config_failure) = (app_state.status.load(), app_state.web_config_failure.load());
    let state = State {
        status: &status,
        readiness: app_state.readiness(),
        web_config_failure: web_config_failure.as_deref(),
        certificate_expires_at: app_state.server.certificate_expires_at(),
        now: unix_now(),
    };
    state.findings()
}

/// The worst of these.
pub(super) fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Severity {
    findings.into_iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}
