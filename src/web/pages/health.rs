//! How findings look on a page: the class that colours one, the sign that tells it without colour, its lines.

use maud::{Markup, html};

use super::super::findings::{Finding, Severity};
use super::super::privacy::Visitor;
use super::links::part;
use crate::trace::visible;

/// The class that colours it.
pub(super) const fn class(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "well",
        Severity::Info => "note",
        Severity::Warning => "look",
        Severity::Critical => "broken",
    }
}

/// The sign that tells it without colour.
pub(super) const fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "✓",
        Severity::Info => "i",
        Severity::Warning => "!",
        Severity::Critical => "✕",
    }
}

/// One finding as an item of a list, with the name of its app where `names_app`.
pub(super) fn item(finding: &Finding, names_app: bool, visitor: Visitor) -> Markup {
    let app = finding.app.as_deref().filter(|_| names_app);
    let detail = finding.detail.as_deref().filter(|_| visitor.sees_users);
    html! {
        li.(class(finding.severity)) {
            span.sign aria-hidden="true" { (sign(finding.severity)) }
            @if let Some(app) = app { a href={ "#app-" (part(app)) } { (app) } ": " }
            (visible(&finding.text)) " "
            @if let Some(detail) = detail { code { (visible(detail)) } " " }
            span.remedy { (finding.remedy) }
        }
    }
}
