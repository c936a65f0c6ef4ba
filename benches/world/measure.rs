//! Runs a policy through a workload in virtual time and measures what it saw, and how late.

use super::BEGIN;
use super::loads::Load;
use super::policies::{self, Policy};

/// What a run came to. Delays in seconds.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From each failure to the look that saw it, sorted; unseen ones until the end of the run.
    pub delays: Vec<f64>,
    pub unseen: usize,
    pub looks: usize,
    /// Those of pairs that fail.
    pub failed: usize,
    /// Those of pairs whose devices were all complete at the poll before.
    pub confirming: usize,
    /// All looks that were answered: pair and time.
    pub log: Vec<(usize, i64)>,
    /// Of the first 100 failures of the vendor that is out, under tasks that were looked at: seen within 5 minutes.
    pub outage_seen: usize,
    /// Pairs that were never looked at when the outage began.
    pub backlog: usize,
    /// By task: refusals of the channel and first looks that showed a result of the channel.
    pub first_looks: Vec<(u32, u32)>,
}

impl Measured {
    pub fn mean(&self) -> f64 {
        self.delays.iter().sum::<f64>() / self.delays.len() as f64
    }

    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.delays.len() - 1;
        self.delays[(last as f64 * share) as usize]
    }
}

/// One look a second.
pub fn run(load: &Load, policy: &mut dyn Policy) -> Measured {
    let mut last_look: Vec<Option<i64>> = vec![None; load.pairs.len()];
    let mut seen: Vec<Option<i64>> = Vec::new();
    let mut failures: Vec<(usize, i64, i64)> = Vec::new();
    let mut of_pair: Vec<Vec<usize>> = vec![Vec::new(); load.pairs.len()];
    for (at, pair) in load.pairs.iter().enumerate() {
        for element in &pair.elements {
            for event in element.events.iter().filter(|event| event.failed) {
                of_pair[at].push(failures.len());
                failures.push((at, event.at, element.vendor));
                seen.push(None);
            }
        }
    }
    let mut measured = Measured { first_looks: vec![(0, 0); load.tasks.len()], ..Measured::default() };
    let (mut listed, mut new, mut now) = (0, 0usize, BEGIN);
    while now < load.end {
        while listed < load.pairs.len() && load.pairs[listed].listed_at <= now {
            policy.list(listed as u32, &load.pairs[listed], now);
            listed += 1;
            new += 1;
        }
        if load.outage.is_some_and(|outage| outage.from == now) {
            measured.backlog = new;
        }
        if let Some(slot) = policy.take(now) {
            let at = slot as usize;
            let pair = &load.pairs[at];
            measured.looks += 1;
            if pair.fails {
                measured.failed += 1;
                policy.failed(slot, now);
                now += 1000;
                continue;
            }
            if last_look[at].is_none() {
                new -= 1;
                count_first(&mut measured, load, at, now);
            }
            for failure in &of_pair[at] {
                if failures[*failure].1 <= now {
                    seen[*failure].get_or_insert(now);
                }
            }
            measured.log.push((at, now));
            let before = last_look[at].replace(now);
            let was_complete =
                before.is_some_and(|before| policies::poll_from(pair, None, before, None).is_some());
            measured.confirming += usize::from(was_complete);
            policy.looked(slot, pair, before, now);
        }
        now += 1000;
    }
    for ((_, at, _), seen) in failures.iter().zip(&seen) {
        if *at < load.until {
            measured.unseen += usize::from(seen.is_none());
            measured.delays.push((seen.unwrap_or(load.end) - at) as f64 / 1000.0);
        }
    }
    measured.delays.sort_by(f64::total_cmp);
    measured.outage_seen = outage_seen(load, &failures, &seen, &last_look);
    measured
}

fn count_first(measured: &mut Measured, load: &Load, at: usize, now: i64) {
    let pair = &load.pairs[at];
    let counted = &mut measured.first_looks[pair.task as usize];
    for element in pair.elements.iter().filter(|element| element.vendor == load.shape.vendors[0].number) {
        // When the channel speaks says nothing of what it says, so that those that have spoken are a fair sample.
        if let Some(event) = element.events.iter().find(|event| event.stage == 2 && event.at <= now) {
            counted.0 += u32::from(event.failed);
            counted.1 += 1;
        }
    }
}

fn outage_seen(
    load: &Load,
    failures: &[(usize, i64, i64)],
    seen: &[Option<i64>],
    last_look: &[Option<i64>],
) -> usize {
    let Some(outage) = load.outage else {
        return 0;
    };
    let mut polled = vec![false; load.tasks.len()];
    for (at, pair) in load.pairs.iter().enumerate() {
        polled[pair.task as usize] |= last_look[at].is_some();
    }
    let suits = |(failure, _): &(&(usize, i64, i64), _)| {
        let (pair, at, vendor) = **failure;
        vendor == outage.vendor
            && (outage.from..outage.until).contains(&at)
            && polled[load.pairs[pair].task as usize]
    };
    let mut hit: Vec<_> = failures.iter().zip(seen).filter(suits).collect();
    hit.sort_by_key(|((_, at, _), _)| *at);
    let soon = |(failure, seen): &&(&(usize, i64, i64), &Option<i64>)| {
        seen.is_some_and(|s| s - failure.1 <= 300_000)
    };
    hit.iter().take(100).filter(soon).count()
}
