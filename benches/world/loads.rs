//! The workloads.

use fastrand::Rng;

use super::shapes::{FIRST, Shape};
use super::{BEGIN, Element, Outage, Task};

pub const DAY: i64 = 86_400_000;
/// How long a pair is watched.
pub const WATCH: i64 = 7 * DAY;

/// One pair, its whole story included.
#[derive(Clone, Debug)]
pub struct Pair {
    pub task: u32,
    /// When it enters the list.
    pub listed_at: i64,
    pub pushed_at: i64,
    pub elements: Vec<Element>,
    /// The upstream never answers a poll of it.
    pub fails: bool,
}

/// A workload.
#[derive(Clone, Debug)]
pub struct Load {
    pub name: String,
    pub shape: Shape,
    pub tasks: Vec<Task>,
    /// In the order of their listing.
    pub pairs: Vec<Pair>,
    /// Failures up to here count.
    pub until: i64,
    /// Looks go on until here.
    pub end: i64,
    /// Looks that fit per pair, if the load is a steady stream.
    pub looks_per_pair: Option<f64>,
    pub outage: Option<Outage>,
}

/// All pairs at once, `users` of them under one task.
pub fn burst(pairs: usize, users: usize, hours: i64, seed: u64) -> Load {
    let dice = &mut Rng::with_seed(seed);
    let tasks = pairs.div_ceil(users);
    let of_tasks = if tasks > 1 { format!(" in {tasks} tasks") } else { String::new() };
    let mut load = Load {
        name: format!("burst of {pairs}{of_tasks}"),
        shape: FIRST,
        tasks: Vec::new(),
        pairs: Vec::new(),
        until: BEGIN + hours * 3_600_000,
        end: BEGIN + hours * 3_600_000,
        looks_per_pair: None,
        outage: None,
    };
    for _ in 0..tasks {
        let users = users.min(pairs - load.pairs.len());
        add_task(&mut load, BEGIN, users, dice);
    }
    load
}

/// Pairs are pushed evenly, `users` of them under one task, so that `looks` fit to a pair.
pub fn stream(shape: Shape, looks: f64, (users, hours): (usize, i64), seed: u64) -> Load {
    let dice = &mut Rng::with_seed(seed);
    let until = BEGIN + hours * 3_600_000;
    let end = until + hours * 900_000;
    let mut load = Load {
        name: format!(
            "stream, {looks} looks per pair{}{}",
            if shape.name.is_empty() { "" } else { ", " },
            shape.name
        ),
        shape,
        tasks: Vec::new(),
        pairs: Vec::new(),
        until,
        end,
        looks_per_pair: Some(looks),
        outage: None,
    };
    while load.pairs.is_empty() || load.pairs[load.pairs.len() - 1].pushed_at < end {
        let mut task = Task::new(shape, BEGIN, dice);
        let number = load.tasks.len() as u32;
        load.tasks.push(task.clone());
        for _ in 0..users {
            task.pushed_at = BEGIN + (load.pairs.len() as f64 * looks * 1000.0) as i64;
            load.pairs.push(pair(&task, number, None, dice));
        }
    }
    load
}

/// More pairs than can be looked at: a backlog of two hours, and tasks go on coming while one vendor fails.
pub fn outage(users: usize, seed: u64) -> Load {
    let dice = &mut Rng::with_seed(seed);
    let from = BEGIN + 4 * 3_600_000;
    let mut load = Load {
        name: "vendor outage under a backlog of 2 h".to_owned(),
        shape: FIRST,
        tasks: Vec::new(),
        pairs: Vec::new(),
        until: from + 2 * 3_600_000,
        end: from + 10 * 3_600_000,
        looks_per_pair: None,
        outage: Some(Outage { vendor: 3, from, until: from + 3_600_000 }),
    };
    // At 1.5 pairs a second the backlog grows to 7,200 pairs in four hours, and goes on.
    let step = (users as f64 / 1.5 * 1000.0) as i64;
    let mut at = BEGIN;
    while at < load.until {
        add_task(&mut load, at, users, dice);
        at += step;
    }
    load
}

fn add_task(load: &mut Load, at: i64, users: usize, dice: &mut Rng) {
    let task = Task::new(load.shape, at, dice);
    let number = load.tasks.len() as u32;
    for _ in 0..users {
        load.pairs.push(pair(&task, number, load.outage, dice));
    }
    load.tasks.push(task);
}

fn pair(task: &Task, number: u32, outage: Option<Outage>, dice: &mut Rng) -> Pair {
    Pair {
        task: number,
        listed_at: task.pushed_at,
        pushed_at: task.pushed_at,
        elements: task.push(outage, dice),
        fails: false,
    }
}

/// Which pairs of a workload fail for ever: one in five.
#[derive(Clone, Copy, Debug)]
pub enum Failing {
    Pairs,
    Tasks,
}

/// The workload with a fifth of its pairs failing for ever: polls of them are never answered.
pub fn failing(mut load: Load, which: Failing) -> Load {
    let dice = &mut Rng::with_seed(load.pairs.len() as u64);
    for pair in &mut load.pairs {
        pair.fails = match which {
            Failing::Pairs => dice.f64() < 0.2,
            Failing::Tasks => pair.task % 5 == 4,
        };
        if pair.fails {
            pair.elements.clear();
        }
    }
    load.name = match which {
        Failing::Pairs => format!("{}, a fifth of the pairs fails", load.name),
        Failing::Tasks => format!("{}, a fifth of the tasks fails", load.name),
    };
    load
}

/// The same workload without the pairs that fail.
pub fn without_failing(load: &Load) -> Load {
    let mut load = load.clone();
    load.pairs.retain(|pair| !pair.fails);
    load
}
