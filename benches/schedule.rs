//! The schedule on twenty-two workloads in virtual time, and its memory and speed at 600,000 pairs: `cargo bench --bench schedule`.
//!
//! `-- crowd` does the latter alone, and `-- burst` the workloads whose names have that in them.

#![expect(unsafe_code, reason = "the allocator that counts bytes")]

#[path = "world/mod.rs"]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use timpush_exporter::schedule::{Device, Learned, Look, Report, Route, STAGES, Schedule, Seed};
use timpush_exporter::watch::Entry;
use timpush_exporter::watch::list::List;

const PAIRS: u32 = 600_000;
const DECISIONS: i64 = 50_000;
const SEEDS: u64 = 20;

fn main() {
    // Cargo itself says `--bench`.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    if wanted.as_deref() == Some("crowd") {
        return crowd();
    }
    if wanted.as_deref() == Some("bias") {
        return bias();
    }
    println!(
        "| workload | policy | mean s | × bound | p50 s | p95 s | unseen |\n|---|---|---|---|---|---|---|"
    );
    let first = world::table::loads(world::table::FULL);
    let loads = first.into_iter().chain(world::table::other_loads(world::table::FULL));
    let loads = loads.chain(world::table::failing_loads(world::table::FULL));
    for load in loads.filter(|load| wanted.as_deref().is_none_or(|part| load.name.contains(part))) {
        let row = world::table::row(load);
        print!("{}", row.lines());
        if let Some(bound) = row.bound {
            println!("  bound: {bound:.1} s");
        }
        if let Some((delay, share)) = world::table::cost_of_failing(&row) {
            println!(
                "  without the pairs that fail: {:.2} times their delay, {:.1} % of the polls",
                delay,
                share * 100.0
            );
        }
        if row.load.outage.is_some() {
            let told = world::bias::outage_told(&row.load, 7);
            println!("  outage: the sample's lower bound passes a fifth after {told:?} s");
            println!(
                "  outage: {} of its first 100 failures seen within 5 minutes, {} pairs never looked at when it began",
                row.ours.outage_seen, row.ours.backlog
            );
        }
        let share = row.ours.confirming as f64 / row.ours.looks as f64;
        let per_pair = row.ours.confirming as f64 / row.load.pairs.len() as f64;
        println!("  polls that confirm: {:.2} % of all, {per_pair:.3} per pair", share * 100.0);
        let (mean, spread) = world::table::bias(&row);
        println!(
            "  first looks against the truth of their tasks, in standard errors: mean {mean:.2}, spread {spread:.2}"
        );
    }
    if wanted.is_none() {
        crowd();
    }
}

/// What the sample says in worlds with half as many polls as pairs, and with two and five for each: over twenty seeds the
/// distance from the truth in standard errors, by the mean of its square.
fn bias() {
    println!(
        "| world | looks per pair | in the sample | smallest n | mean distance | largest | all results, mean distance |"
    );
    println!("|---|---|---|---|---|---|---|");
    for shape in [world::shapes::FIRST, world::shapes::EVEN, world::shapes::SLOW, world::shapes::BROKEN] {
        for looks in [0.5, 2.0, 5.0] {
            let (mut sampled, mut n, mut errors, mut found) = (0.0, usize::MAX, Vec::new(), Vec::new());
            for seed in 0..SEEDS {
                let load = world::loads::stream(shape, looks, (100, 4), 500 + seed);
                let (share, vendors) = world::bias::bias(&load, seed);
                sampled += share / SEEDS as f64;
                for vendor in vendors {
                    n = n.min(vendor.answers);
                    errors.push(vendor.errors().0);
                    found.push(vendor.errors().1);
                }
            }
            let largest = errors.iter().copied().fold(0.0, |a: f64, e| a.max(e.abs()));
            println!(
                "| {} | {looks} | {:.0} % | {n} | {:.2} | {largest:.2} | {:.2} |",
                shape.name,
                sampled * 100.0,
                world::bias::distance(&errors),
                world::bias::distance(&found)
            );
        }
    }
}

/// Bytes that are allocated now.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size, Relaxed);
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes a pair for which the allocator was asked since `before`.
fn bytes_since(before: usize) -> f64 {
    (ALLOCATED.load(Relaxed) - before) as f64 / f64::from(PAIRS)
}

/// The watch list with tasks of 500 and ids of 51 and 13 characters.
fn list() -> List {
    let entry = |task: u32| Entry {
        task: format!("660cc447_537ed82a_200000cd7ee17f5_{task:08}_bc614e"),
        users: (0..500).map(|user| format!("user_{:08}", task * 500 + user)).collect(),
        labels: [].into(),
        pushed_at: Some(world::BEGIN / 1000 - i64::from(task) * 500),
    };
    let entries: Vec<Entry> = (0..PAIRS / 500).map(entry).collect();
    let mut list = List::default();
    list.replace(&entries, PAIRS as usize, i64::MIN);
    list
}

/// Memory and speed with a full list: tasks of 500, pushed over a week, three quarters of the pairs looked at before.
fn crowd() {
    let now = world::BEGIN;
    let before = ALLOCATED.load(Relaxed);
    let list = list();
    let in_list = bytes_since(before);
    let before = ALLOCATED.load(Relaxed);
    let mut schedule = Schedule::new(1, Learned::default());
    let began = Instant::now();
    for slot in 0..PAIRS {
        let task = slot / 500;
        let pushed_at = now - i64::from(task) * 500_000;
        let known = [device(false, pushed_at, now - 3_600_000), device(false, pushed_at, now - 3_600_000)];
        let looked = slot % 4 != 0;
        let seed = Seed {
            task,
            pushed_at,
            polled_at: looked.then_some((now - 3_600_000).max(pushed_at)),
            ends_at: pushed_at + world::loads::WATCH,
            settled: false,
            order: world::policies::order(slot),
            is_sampled: false,
            is_closed: false,
            devices: if looked { &known[..1 + (slot % 3 == 0) as usize] } else { &[] },
        };
        schedule.insert(slot, seed, now);
    }
    let listed: usize =
        timpush_exporter::schedule::State::ALL.iter().map(|state| schedule.count(*state)).sum();
    println!("{listed} pairs entered in {:.2} s", began.elapsed().as_secs_f64());
    let (mut took, mut figures) = (Vec::new(), Vec::new());
    for at in 0..DECISIONS {
        let now = now + at * 1000;
        // As the daemon does it: the figures once a second, and the pairs that ended before each decision.
        let began = cpu_time();
        schedule.backlog(now);
        figures.push(cpu_time() - began);
        let began = cpu_time();
        while schedule.take_ended(now).is_some() {}
        let slot = schedule.take(now);
        took.push(cpu_time() - began);
        if let Some(slot) = slot {
            let known = [device(slot % 9 == 0, now - 900_000, now)];
            let look = Look::Answered {
                settled: slot % 9 == 0,
                is_closed: false,
                confirm_from: None,
                pushed_at: None,
                ends_at: now + world::loads::DAY,
                devices: &known,
            };
            schedule.looked(slot, look, now);
        }
    }
    let in_schedule = bytes_since(before)
        - ((took.capacity() + figures.capacity()) * size_of::<Duration>()) as f64 / f64::from(PAIRS);
    println!(
        "{in_schedule:.1} bytes per pair allocated for the schedule, {in_list:.1} for the watch list of {}, and 16.0 for what the \
         poller holds: {:.1}",
        list.len(),
        in_schedule + in_list + 16.0
    );
    tell("a decision", took);
    tell("the backlog, once a second,", figures);
}

fn tell(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{what} takes {:?} at the median, {:?} at 99 %, {:?} at 99.9 %, {:?} at the worst of {}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        took.len()
    );
}

/// Of this thread, so that other work of the machine does not count.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn device(failed: bool, at: i64, seen_at: i64) -> Device {
    let mut reports = [None; STAGES];
    reports[2] = Some(Report { failed, at: Some(at), seen_at, fresh: true });
    Device { platform: 1 + at / 1000 % 7, route: Route::Offline, reports }
}
