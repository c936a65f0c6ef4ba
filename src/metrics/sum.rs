//! Adds sets that became one when a watch label left the configuration.

use crate::ledger::{Histogram, SetTally, StageTally};

/// Adds all of `more` to `to`.
pub(super) fn add_set(to: &mut SetTally, more: &SetTally) {
    for (to, more) in to.stages.iter_mut().zip(&more.stages) {
        add_stage(to, more);
    }
    add_counts(&mut to.devices, &more.devices);
    for (to, more) in to.sample.results.iter_mut().zip(&more.sample.results) {
        add_counts(to, more);
    }
    add_counts(&mut to.sample.closed, &more.sample.closed);
    add_histogram(&mut to.sample.delivery, &more.sample.delivery);
}

fn add_stage(to: &mut StageTally, more: &StageTally) {
    add_counts(&mut to.results, &more.results);
    add_counts(&mut to.devices, &more.devices);
    for (key, n) in &more.failures {
        *to.failures.entry(*key).or_default() += n;
    }
    for (minute, n) in &more.unreported {
        *to.unreported.entry(*minute).or_default() += n;
    }
    add_histogram(&mut to.delay, &more.delay);
}

fn add_histogram(to: &mut Histogram, more: &Histogram) {
    if to.counts.len() < more.counts.len() {
        to.counts.resize(more.counts.len(), 0);
    }
    add_counts(&mut to.counts, &more.counts);
    to.sum += more.sum;
}

fn add_counts(to: &mut [u64], more: &[u64]) {
    for (to, more) in to.iter_mut().zip(more) {
        *to += more;
    }
}
