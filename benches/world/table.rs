//! The table: each policy on each workload, beside the bound.

use std::fmt::Write;

use super::bound;
use super::loads::{self, Failing, Load};
use super::measure::{Measured, run};
use super::policies::{Backoff, Ours, RoundRobin};
use super::shapes::{BROKEN, EVEN, FIRST, SLOW};

/// How large the workloads are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub small_burst: usize,
    pub burst: usize,
    /// Tasks that the same burst has where it has several.
    pub burst_tasks: usize,
    pub large_burst: usize,
    pub large_burst_tasks: usize,
    pub stream_hours: i64,
    /// Users of a task in the outage.
    pub users: usize,
}

/// The size whose table is in `docs/scheduling.md`.
#[allow(dead_code, reason = "the test uses the other one")]
pub const FULL: Size = Size {
    small_burst: 50,
    burst: 5_000,
    burst_tasks: 50,
    large_burst: 100_000,
    large_burst_tasks: 200,
    stream_hours: 48,
    users: 200,
};

/// A size for a test.
#[allow(dead_code, reason = "the bench uses the other one")]
pub const TOY: Size = Size {
    small_burst: 20,
    burst: 200,
    burst_tasks: 4,
    large_burst: 400,
    large_burst_tasks: 4,
    stream_hours: 3,
    users: 50,
};

/// One workload, measured.
pub struct Row {
    pub load: Load,
    /// Seconds; `None` where no bound is known.
    pub bound: Option<f64>,
    pub round_robin: Measured,
    pub backoff: Measured,
    pub ours: Measured,
    /// Ours on the same load without the pairs that fail, where there are such.
    pub without_failing: Option<Measured>,
}

/// The workloads of that size.
pub fn loads(size: Size) -> Vec<Load> {
    let hours = |pairs: usize| 24 + 2 * pairs as i64 / 3600;
    vec![
        loads::burst(size.small_burst, size.small_burst, hours(size.small_burst), 1),
        loads::burst(size.burst, size.burst, hours(size.burst), 2),
        loads::burst(size.burst, size.burst / size.burst_tasks, hours(size.burst), 8),
        loads::stream(FIRST, 2.0, (100, size.stream_hours), 3),
        loads::stream(FIRST, 5.0, (100, size.stream_hours), 4),
        loads::stream(FIRST, 20.0, (100, size.stream_hours), 5),
        loads::burst(size.large_burst, size.large_burst, hours(size.large_burst), 6),
        loads::burst(size.large_burst, size.large_burst / size.large_burst_tasks, hours(size.large_burst), 9),
        loads::outage(size.users, 7),
    ]
}

/// Streams of worlds on which nothing was chosen.
#[allow(dead_code, reason = "the test runs the first world")]
pub fn other_loads(size: Size) -> Vec<Load> {
    let shapes = [EVEN, SLOW, BROKEN];
    let looks = [2.0, 5.0, 20.0];
    let each = shapes.into_iter().flat_map(|shape| looks.map(|looks| (shape, looks)));
    each.zip(31..)
        .map(|((shape, looks), seed)| loads::stream(shape, looks, (100, size.stream_hours), seed))
        .collect()
}

/// Streams of which a fifth fails for ever.
pub fn failing_loads(size: Size) -> Vec<Load> {
    let stream = |looks, seed| loads::stream(FIRST, looks, (100, size.stream_hours), seed);
    vec![
        loads::failing(stream(2.0, 3), Failing::Pairs),
        loads::failing(stream(5.0, 4), Failing::Pairs),
        loads::failing(stream(20.0, 5), Failing::Pairs),
        loads::failing(stream(5.0, 4), Failing::Tasks),
    ]
}

/// Runs the policies through one workload.
pub fn row(load: Load) -> Row {
    let some_fail = load.pairs.iter().any(|pair| pair.fails);
    let bound = match (load.looks_per_pair.filter(|_| !some_fail), load.outage) {
        (Some(looks), _) => Some(bound::stream(&load, looks)),
        (None, None) if load.tasks.len() == 1 && !some_fail => Some(bound::burst(&load)),
        _ => None,
    };
    Row {
        bound,
        round_robin: run(&load, &mut RoundRobin::default()),
        backoff: run(&load, &mut Backoff::default()),
        ours: run(&load, &mut Ours::new(7)),
        without_failing: some_fail.then(|| run(&loads::without_failing(&load), &mut Ours::new(7))),
        load,
    }
}

impl Row {
    /// Lines of the table.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        let policies = [
            ("round robin", &self.round_robin),
            ("exponential backoff", &self.backoff),
            ("this schedule", &self.ours),
        ];
        for (name, measured) in policies {
            let ratio = self.bound.map_or("".to_owned(), |bound| format!("{:.2}", measured.mean() / bound));
            // Writing to a string does not fail.
            let _ = writeln!(
                lines,
                "| {} | {name} | {:.1} | {ratio} | {:.1} | {:.0} | {} of {} |",
                self.load.name,
                measured.mean(),
                measured.quantile(0.5),
                measured.quantile(0.95),
                measured.unseen,
                measured.delays.len(),
            );
        }
        lines
    }
}

/// The mean delay beside the one without the pairs that fail, and the share of the polls that those took.
pub fn cost_of_failing(row: &Row) -> Option<(f64, f64)> {
    let without = row.without_failing.as_ref()?;
    Some((row.ours.mean() / without.mean(), row.ours.failed as f64 / row.ours.looks as f64))
}

/// How far the refusals seen by first looks are from the truth of each task, in standard errors: their mean and the
/// root of the mean of their squares, which are 0 and 1 for an unbiased sample.
pub fn bias(row: &Row) -> (f64, f64) {
    let vendor = row.load.shape.vendors[0].number;
    let mut errors = Vec::new();
    for (task, (refused, looked)) in row.ours.first_looks.iter().enumerate() {
        let elements = row.load.pairs.iter().filter(|pair| pair.task as usize == task);
        let elements = elements.flat_map(|pair| &pair.elements).filter(|element| element.vendor == vendor);
        let (mut all, mut bad) = (0.0, 0.0);
        for element in elements {
            all += 1.0;
            bad += f64::from(u8::from(element.events.iter().any(|event| event.stage == 2 && event.failed)));
        }
        let (truth, looked) = (bad / f64::max(all, 1.0), f64::from(*looked));
        // Drawn without putting back.
        let spread = truth * (1.0 - truth) / looked * (all - looked) / f64::max(all - 1.0, 1.0);
        if looked >= 10.0 && spread > 0.0 {
            errors.push((f64::from(*refused) / looked - truth) / spread.sqrt());
        }
    }
    let count = f64::max(errors.len() as f64, 1.0);
    let mean = errors.iter().sum::<f64>() / count;
    (mean * count.sqrt(), (errors.iter().map(|e| e * e).sum::<f64>() / count).sqrt())
}
