//! A lower bound on the mean delay of any policy: each look has a price, and what remains is solved for each pair.
//!
//! Relaxed three ways, each of which only helps a policy: looks may be made at any time as long as there are enough of
//! them on average (a price per look, chosen as large as the bound allows); between the first look of a pair and the
//! channels' answers each of its elements may be asked alone for its share of the price; the refusals of each vendor
//! under each task are known in advance. What is left is solved by dynamic programming over the age at the last look,
//! for the elements of a pair that wait for receipts together.

use std::sync::LazyLock;

use fastrand::Rng;

use super::loads::Load;
use super::log_normal;
use super::shapes::Shape;

/// Ages at which a look may be made: each 3 % after the one before, and at most two minutes in the first day.
static AGES: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let step = |age: &f64| Some(age + (age * 0.03).min(if *age < 86_400.0 { 120.0 } else { f64::MAX }));
    std::iter::successors(Some(FIRST_AGE), step).take_while(|age| *age < 700_000.0).collect()
});
const FIRST_AGE: f64 = 0.25;
/// Ages that are tried at most for the look after one that came before the channel's answer.
const EARLY_TRIES: usize = 200;
/// Times of the channel's answer that stand for its distribution.
const TIMES: usize = 50;
const ELEMENTS: usize = 3;
const SAMPLE: usize = 6000;
const REFUSALS: [f64; 9] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.9, 1.0];

/// Lower bound in seconds for a steady stream with that many looks per pair.
pub fn stream(load: &Load, looks: f64) -> f64 {
    let failures: usize =
        load.pairs.iter().flat_map(|p| &p.elements).flat_map(|e| &e.events).filter(|e| e.failed).count();
    let per_pair = failures as f64 / load.pairs.len() as f64;
    let tasks = by_task(load);
    let costs = Costs {
        times: channel_times(&load.shape),
        receipts: Receipts::of(&load.shape),
        longest: load.shape.bad_after.longest(),
    };
    let worth = |price: f64| (costs.mean(&tasks, price) - price * looks) / per_pair;
    // The value of a price rises up to the best one and falls behind it.
    let mut best = (0.0, 0.0);
    for price in (0..14).map(|at| 0.05 * 3.0f64.powi(at)) {
        let value = worth(price);
        if value < best.0 {
            break;
        }
        best = (value, price);
    }
    let (value, price) = best;
    let finer = [-3, -2, -1, 1, 2, 3].map(|at| worth(price * 3.0f64.powf(f64::from(at) / 4.0)));
    finer.into_iter().fold(value, f64::max)
}

/// Lower bound for pairs that are all pushed at once: the n-th first look is not made before second n, and who is
/// looked at first says nothing of who failed.
pub fn burst(load: &Load) -> f64 {
    let begin = load.pairs[0].pushed_at;
    let pairs = load.pairs.len();
    let mut sum = 0.0;
    let mut count = 0.0;
    for event in load.pairs.iter().flat_map(|p| &p.elements).flat_map(|e| &e.events).filter(|e| e.failed) {
        // Looks are made at seconds 0, 1, 2 …; the mean over all turns n of (n - at), where that is positive.
        let at = (event.at - begin) as f64 / 1000.0;
        let late = (pairs as f64 - 1.0 - at.ceil()).max(-1.0) as i64;
        if event.at < load.until {
            let turns = (late + 1) as f64;
            sum += turns * ((at.ceil() - at) + late.max(0) as f64 / 2.0) / pairs as f64;
            count += 1.0;
        }
    }
    sum / count
}

/// An offline element as the bound sees it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    refusals: f64,
    receipts: bool,
}

/// Pairs by task, each with its offline elements; so many of them that the sum is exact to a percent.
fn by_task(load: &Load) -> Vec<Vec<Vec<Asked>>> {
    let every = (load.pairs.len() / SAMPLE).max(1);
    let mut tasks = vec![Vec::new(); load.tasks.len()];
    for pair in load.pairs.iter().step_by(every) {
        let task = &load.tasks[pair.task as usize];
        let asked = |vendor: i64| {
            let vendor = load.shape.vendors.iter().position(|v| v.number == vendor).unwrap_or(0);
            Asked { refusals: task.refusals[vendor], receipts: load.shape.vendors[vendor].receipts }
        };
        let offline = pair.elements.iter().filter(|element| !element.online);
        tasks[pair.task as usize].push(offline.map(|element| asked(element.vendor)).collect());
    }
    tasks
}

/// What costs are made of.
struct Costs {
    /// Times of the channel's answer that stand for its distribution.
    times: Vec<f64>,
    receipts: Receipts,
    /// By then every failure of a receipt is there.
    longest: f64,
}

impl Costs {
    /// Mean cost of a pair at that price of a look: delays and prices.
    fn mean(&self, tasks: &[Vec<Vec<Asked>>], price: f64) -> f64 {
        // By the number of elements that share a look, by receipts, by refusals.
        let tables: Vec<[Vec<Early>; 2]> = (1..=ELEMENTS)
            .map(|sharing| [None, Some(&self.receipts)].map(|receipts| self.tables(price, receipts, sharing)))
            .collect();
        let (mut sum, mut pairs) = (0.0, 0);
        for members in tasks {
            let mut costs = vec![price * members.len() as f64; AGES.len()];
            pairs += members.len();
            for asked in members {
                for (at, cost) in costs.iter_mut().enumerate() {
                    *cost += pair_cost(asked, at, &tables);
                }
            }
            sum += costs.into_iter().fold(f64::INFINITY, f64::min);
        }
        sum / f64::from(pairs as u32)
    }

    fn tables(&self, price: f64, receipts: Option<&Receipts>, sharing: usize) -> Vec<Early> {
        let late = Late::of(price, receipts, self.longest, sharing);
        let share = price / sharing as f64;
        REFUSALS.iter().map(|refusals| Early::of(share, *refusals, &late, &self.times)).collect()
    }
}

/// Expected cost of a pair whose first look comes at that age, without the price of it. The looks behind it are shared
/// by the elements that it leaves open.
fn pair_cost(asked: &[Asked], at: usize, tables: &[[Vec<Early>; 2]]) -> f64 {
    let open = |element: &Asked| element.table(&tables[0], |early| early.open[at]);
    let mut sum = 0.0;
    for (own, element) in asked.iter().enumerate() {
        sum += element.table(&tables[0], |early| early.delay[at]);
        // How many of the others stay open.
        let mut others = [0.0; ELEMENTS];
        others[0] = 1.0;
        for other in asked.iter().enumerate().filter(|(at, _)| *at != own).map(|(_, other)| open(other)) {
            for count in (0..ELEMENTS).rev() {
                let fewer = if count > 0 { others[count - 1] } else { 0.0 };
                others[count] = others[count] * (1.0 - other) + fewer * other;
            }
        }
        for (count, chance) in others.into_iter().enumerate().filter(|(_, chance)| *chance > 0.0) {
            sum += chance * element.table(&tables[count], |early| early.future[at]);
        }
    }
    sum
}

impl Asked {
    /// Between the tables of the refusals below and above.
    fn table(&self, tables: &[Vec<Early>; 2], value: impl Fn(&Early) -> f64) -> f64 {
        let tables = &tables[usize::from(self.receipts)];
        let above = REFUSALS.iter().position(|r| *r >= self.refusals).unwrap_or(REFUSALS.len() - 1).max(1);
        let (low, high) = (REFUSALS[above - 1], REFUSALS[above]);
        let share = (self.refusals - low) / (high - low);
        value(&tables[above - 1]) * (1.0 - share) + value(&tables[above]) * share
    }
}

/// What receipts do by each age of the grid.
struct Receipts {
    /// Chance that a failure was reported, and its integral from 0.
    failed: Vec<f64>,
    waited: Vec<f64>,
    /// Chance that nothing was reported.
    waiting: Vec<f64>,
}

impl Receipts {
    fn of(shape: &Shape) -> Receipts {
        let bad = (1.0 - shape.silent) * shape.bad_receipts;
        let good = (1.0 - shape.silent) * (1.0 - shape.bad_receipts);
        let ages = || AGES.iter().copied();
        let log_normal = |age: f64, (median, sigma): (f64, f64)| normal((age / median).ln() / sigma);
        let reached = |age: f64| {
            shape.quick_share * log_normal(age, shape.quick)
                + (1.0 - shape.quick_share) * log_normal(age, shape.slow)
        };
        Receipts {
            failed: ages().map(|age| bad * shape.bad_after.by(age)).collect(),
            waited: ages().map(|age| bad * shape.bad_after.waited(age)).collect(),
            waiting: ages().map(|age| 1.0 - bad * shape.bad_after.by(age) - good * reached(age)).collect(),
        }
    }
}

/// From the channel's success on.
struct Late<'r> {
    receipts: Option<&'r Receipts>,
    /// Expected cost from here on by the age at the last look, if the receipt was not there: the share of one of the
    /// elements of a pair that wait for theirs.
    value: Vec<f64>,
}

impl<'r> Late<'r> {
    /// With so many `elements` that wait; their ages differ by seconds and are taken as the same.
    fn of(price: f64, receipts: Option<&'r Receipts>, longest: f64, elements: usize) -> Late<'r> {
        let Some(told) = receipts else {
            return Late { receipts, value: vec![0.0; AGES.len()] };
        };
        let mut values = vec![vec![0.0; AGES.len()]; elements + 1];
        for count in 1..=elements {
            for from in (0..AGES.len()).rev().filter(|from| AGES[*from] < longest) {
                let waiting = told.waiting[from];
                let mut best = f64::INFINITY;
                for to in from + 1..AGES.len() {
                    let seen =
                        told.waited[to] - told.waited[from] - (AGES[to] - AGES[from]) * told.failed[from];
                    let delay = count as f64 * seen / waiting;
                    if delay > best {
                        break;
                    }
                    let stays = told.waiting[to] / waiting;
                    let future = (1..=count).map(|left| chance(count, left, stays) * values[left][to]);
                    best = best.min(delay + future.sum::<f64>());
                }
                values[count][from] = price + best;
            }
        }
        let value = values[elements].iter().map(|all| all / elements as f64).collect();
        Late { receipts, value }
    }

    /// Delay, and chance and cost of what stays open, if the first look comes that long after the channel's success.
    fn first(&self, after: f64) -> (f64, f64, f64) {
        let Some(told) = self.receipts else {
            return (0.0, 0.0, 0.0);
        };
        let below = AGES.partition_point(|age| *age <= after).clamp(1, AGES.len() - 1) - 1;
        let share = ((after - AGES[below]) / (AGES[below + 1] - AGES[below])).clamp(0.0, 1.0);
        let between = |values: &[f64]| values[below] * (1.0 - share) + values[below + 1] * share;
        (between(&told.waited), between(&told.waiting), between(&self.value))
    }
}

/// Chance that `left` of `count` stay if each does with that chance.
fn chance(count: usize, left: usize, stays: f64) -> f64 {
    let ways = (0..left).map(|at| (count - at) as f64 / (at + 1) as f64).product::<f64>();
    ways * stays.powi(left as i32) * (1.0 - stays).powi((count - left) as i32)
}

/// The distribution function of the normal distribution (Abramowitz and Stegun 7.1.26).
fn normal(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let sum = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let upper = 0.5 * sum * (-z * z).exp();
    if x > 0.0 { 1.0 - upper } else { upper }
}

/// From the push on, by the age at the first look.
struct Early {
    /// Expected delay of what that look sees.
    delay: Vec<f64>,
    /// Chance that something may still come.
    open: Vec<f64>,
    /// Expected cost of the looks behind it.
    future: Vec<f64>,
}

impl Early {
    fn of(price: f64, refusals: f64, late: &Late<'_>, times: &[f64]) -> Early {
        // Delay, chance of staying open and cost of that, by age and by the time at which the channel spoke.
        let spoke = |to: usize, time: f64| {
            let after = AGES[to] - time;
            let (delay, open, value) = late.first(after);
            let success = 1.0 - refusals;
            (refusals * after + success * delay, success * open, success * open * value)
        };
        let spoken: Vec<Vec<(f64, f64, f64)>> =
            (0..AGES.len()).map(|to| times.iter().map(|time| spoke(to, *time)).collect()).collect();
        let mut value = vec![0.0; AGES.len()];
        let mean = |from: f64, to: usize, value: &[f64]| {
            let (mut sum, mut count) = ((0.0, 0.0, 0.0), 0.0);
            for (time, (delay, open, future)) in
                times.iter().zip(&spoken[to]).filter(|(time, _)| **time > from)
            {
                count += 1.0;
                if *time > AGES[to] {
                    sum.1 += 1.0;
                    sum.2 += value[to];
                } else {
                    sum.0 += delay;
                    sum.1 += open;
                    sum.2 += future;
                }
            }
            let count = f64::max(count, 1.0);
            (sum.0 / count, sum.1 / count, sum.2 / count)
        };
        // Later no channel is silent any more.
        let early =
            (0..AGES.len()).find(|at| times.iter().all(|time| *time <= AGES[*at])).unwrap_or(AGES.len() - 1);
        for from in (0..early).rev() {
            let cost = |to: usize| {
                let (delay, _, future) = mean(AGES[from], to, &value);
                delay + future
            };
            let best = (from + 1..AGES.len().min(from + EARLY_TRIES)).map(cost).fold(f64::INFINITY, f64::min);
            value[from] = price + best;
        }
        let mut early = Early {
            delay: Vec::with_capacity(AGES.len()),
            open: Vec::with_capacity(AGES.len()),
            future: Vec::with_capacity(AGES.len()),
        };
        for to in 0..AGES.len() {
            let (delay, open, future) = mean(0.0, to, &value);
            early.delay.push(delay);
            early.open.push(open);
            early.future.push(future);
        }
        early
    }
}

/// Quantiles of the time from the push to the channel's answer.
fn channel_times(shape: &Shape) -> Vec<f64> {
    let dice = &mut Rng::with_seed(1);
    let draw = |dice: &mut Rng| {
        log_normal(0.3, 0.5, dice)
            + log_normal(0.3, 0.5, dice)
            + log_normal(shape.channel.0, shape.channel.1, dice)
    };
    let mut all: Vec<f64> = (0..TIMES * 100).map(|_| draw(dice)).collect();
    all.sort_by(f64::total_cmp);
    (0..TIMES).map(|at| all[at * 100 + 50]).collect()
}
