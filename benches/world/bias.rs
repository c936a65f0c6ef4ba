//! What the random sample says of each vendor, beside the truth of the world, in standard errors.

use super::loads::{self, Load};
use super::measure::run;
use super::policies::Ours;

/// The window over which a rule looks at results, and the share that its lower bound must pass.
const WINDOW: i64 = 900_000;
const TOLD_SHARE: f64 = 0.2;
/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.96;

/// One vendor in one run.
#[derive(Clone, Copy, Debug)]
pub struct Vendor {
    /// Devices of the sample on which the channel has answered, and the share of failures among them.
    pub answers: usize,
    pub share: f64,
    /// The same share of all results that polls have found.
    pub found: f64,
    /// Of all devices of the world.
    pub truth: f64,
}

impl Vendor {
    /// By how many standard errors of the sample it differs from the truth, and by how many all results do.
    pub fn errors(&self) -> (f64, f64) {
        let spread = (self.truth * (1.0 - self.truth) / self.answers.max(1) as f64).sqrt().max(1e-9);
        ((self.share - self.truth) / spread, (self.found - self.truth) / spread)
    }
}

/// The root of the mean square of distances.
pub fn distance(errors: &[f64]) -> f64 {
    (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt()
}

/// One answer of the channel on the offline route.
struct Answer {
    vendor: i64,
    failed: bool,
    /// When polls found it, and when it was counted for the sample, if they were.
    found_at: Option<i64>,
    sampled_at: Option<i64>,
}

/// All answers of the channel in a workload that our schedule has run through, and how many pairs are in the sample.
fn answers(load: &Load, seed: u64) -> (Vec<Answer>, usize) {
    let mut ours = Ours::new(seed);
    let measured = run(load, &mut ours);
    let mut entered: Vec<Option<i64>> = vec![None; load.pairs.len()];
    for (slot, at) in ours.sampled {
        entered[slot as usize].get_or_insert(at);
    }
    let mut looks: Vec<Vec<i64>> = vec![Vec::new(); load.pairs.len()];
    measured.log.into_iter().for_each(|(pair, at)| looks[pair].push(at));
    let listed = load.pairs.iter().enumerate().filter(|(_, pair)| pair.listed_at < load.end);
    let of_pair = |(at, pair): (usize, &loads::Pair)| {
        let elements = pair.elements.iter().filter(|element| !element.online);
        let events = elements.flat_map(|element| element.events.iter().map(|event| (element.vendor, *event)));
        let channel = events.filter(|(_, event)| event.stage == 2).map(|(vendor, event)| {
            let found_at = looks[at].iter().copied().find(|look| *look >= event.at);
            let sampled_at = found_at.zip(entered[at]).map(|(found, entered)| found.max(entered));
            Answer { vendor, failed: event.failed, found_at, sampled_at }
        });
        channel.collect::<Vec<_>>()
    };
    let all = listed.flat_map(of_pair).collect();
    (all, entered.iter().filter(|entered| entered.is_some()).count())
}

/// Failures and all.
fn counted<'a>(answers: impl Iterator<Item = &'a Answer>) -> (usize, usize) {
    answers.fold((0, 0), |sum, answer| (sum.0 + usize::from(answer.failed), sum.1 + 1))
}

fn share((failed, all): (usize, usize)) -> f64 {
    failed as f64 / all.max(1) as f64
}

/// Runs our schedule through a workload; gives the share of the pairs that is in the sample, and what it says.
pub fn bias(load: &Load, seed: u64) -> (f64, Vec<Vendor>) {
    let (answers, sampled) = answers(load, seed);
    let vendors = load.shape.vendors.iter().map(|vendor| {
        let own = || answers.iter().filter(|answer| answer.vendor == vendor.number);
        let sample = counted(own().filter(|answer| answer.sampled_at.is_some()));
        Vendor {
            answers: sample.1,
            share: share(sample),
            found: share(counted(own().filter(|answer| answer.found_at.is_some()))),
            truth: share(counted(own())),
        }
    });
    (sampled as f64 / load.pairs.len() as f64, vendors.collect())
}

/// How many seconds after an outage began the sample alone tells of it: the lower bound of the share of failures among the
/// vendor's results of the last quarter of an hour passes a fifth.
pub fn outage_told(load: &Load, seed: u64) -> Option<i64> {
    let outage = load.outage?;
    let (answers, _) = answers(load, seed);
    let own: Vec<&Answer> = answers.iter().filter(|answer| answer.vendor == outage.vendor).collect();
    let ends = (outage.from..outage.until).step_by(1000);
    let told = ends.into_iter().find(|end| {
        let is_in = |at: i64| (*end - WINDOW..=*end).contains(&at);
        let window = own.iter().copied().filter(|answer| answer.sampled_at.is_some_and(is_in));
        lower_bound(counted(window)) > TOLD_SHARE
    });
    told.map(|at| (at - outage.from) / 1000)
}

/// The lower end of the Wilson interval of 95 %.
fn lower_bound((failed, all): (usize, usize)) -> f64 {
    let (n, share) = (all.max(1) as f64, share((failed, all)));
    let spread = (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    (share + Z * Z / (2.0 * n) - Z * spread) / (1.0 + Z * Z / n)
}
