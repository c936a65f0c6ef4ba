//! Findings about the watch sources of an app, one by one.

use super::super::times::{count, counted, distance};
use super::{Finding, Id, Severity};
use crate::view::{API_SOURCE, AppStatus, SourceStatus};
use crate::watch::ListFormat;

/// A list of which one pair in this many was refused, or more, is degraded.
const DEGRADED_ONE_IN: u64 = 2;

pub(super) fn findings(app: &AppStatus, now: i64) -> Vec<Finding> {
    // Where nothing else is watched, the source that fails is the cause.
    let severity = if app.pairs.total() == 0 { Severity::Critical } else { Severity::Warning };
    let mut found = Vec::new();
    for source in app.sources.iter().filter(|source| source.is_read) {
        let of_source = match failing(source, now, severity).or_else(|| without_pairs(source)) {
            Some(finding) => vec![finding],
            None => refused(source).into_iter().chain(skipped(source)).chain(warnings(source)).collect(),
        };
        found.extend(of_source.into_iter().map(|finding| finding.about(&source.name)));
    }
    found
}

fn failing(source: &SourceStatus, now: i64, severity: Severity) -> Option<Finding> {
    let error = source.error.as_deref()?;
    let name = &source.name;
    let (id, text) = match source.last_success_at {
        None if source.figures.entries == 0 => (
            Id::SourceNeverRead,
            format!("The watch source {name} has given no usable list yet: none of its pairs is watched."),
        ),
        None => (
            Id::SourceFailing,
            format!(
                "The watch source {name} cannot be read whole; {} that could be read are in force.",
                counted(source.figures.entries, "pair")
            ),
        ),
        Some(at) => (
            Id::SourceFailing,
            format!(
                "The watch source {name} fails; its last good list of {} stays in force, with {}. Pairs added since \
                 are not watched.",
                distance(at, now),
                counted(source.figures.entries, "pair"),
            ),
        ),
    };
    let remedy = "Correct the source; the log has the error.";
    Some(Finding::new(severity, id, text, remedy).because(Some(error)))
}

fn without_pairs(source: &SourceStatus) -> Option<Finding> {
    // That nobody has posted anything is said of the app, where it matters.
    if source.figures.entries > 0 || source.name == API_SOURCE {
        return None;
    }
    let name = &source.name;
    if source.figures.lists == 0 {
        let text = format!("The pattern of the watch source {name} matches no file.");
        let remedy = "Correct the pattern, or put a list where it leads.";
        return Some(Finding::new(Severity::Warning, Id::SourceMatchesNothing, text, remedy));
    }
    let text = format!("The list of the watch source {name} is empty.");
    let remedy = "No action needed if nothing is to be watched; otherwise correct whatever writes the list.";
    Some(Finding::new(Severity::Warning, Id::SourceEmpty, text, remedy))
}

fn refused(source: &SourceStatus) -> Option<Finding> {
    let (refused, entries) = (source.figures.refused, source.figures.entries);
    if refused == 0 {
        return None;
    }
    let is_degraded = refused * DEGRADED_ONE_IN >= refused + entries;
    let id = if is_degraded { Id::SourceDegraded } else { Id::SourceEntriesRefused };
    let text = format!(
        "{} of {} of the watch source {} were refused and are not watched.",
        count(refused),
        counted(refused + entries, "pair"),
        source.name
    );
    let remedy = "Correct the refused entries; the log names each with its error.";
    Some(Finding::new(Severity::Warning, id, text, remedy))
}

fn skipped(source: &SourceStatus) -> Option<Finding> {
    let skipped = source.figures.skipped_files;
    let text = format!(
        "{} in the pattern of the watch source {} {} not read: the name of a list ends in .{}.",
        counted(skipped, "file"),
        source.name,
        if skipped == 1 { "is" } else { "are" },
        ListFormat::EXTENSIONS.join(" .")
    );
    let remedy = "Rename what is a list, and narrow the pattern to lists, such as *.yaml.";
    (skipped > 0).then(|| Finding::new(Severity::Warning, Id::SourceFilesSkipped, text, remedy))
}

fn warnings(source: &SourceStatus) -> Option<Finding> {
    let text = format!(
        "{} about the latest list of the watch source {}: its pairs are watched, but may not be what was meant.",
        counted(source.figures.warnings, "warning"),
        source.name
    );
    let remedy =
        "Look at the warnings in the log. The API answers an id that it does not know with an empty trace.";
    (source.figures.warnings > 0).then(|| Finding::new(Severity::Info, Id::SourceWarnings, text, remedy))
}
