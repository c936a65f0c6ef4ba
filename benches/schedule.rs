//! The schedule on seven workloads in virtual time, and its memory and speed at 600,000 pairs: `cargo bench --bench schedule`.

#[path = "world/mod.rs"]
mod world;

use std::time::Instant;

use timpush_exporter::schedule::{Device, Learned, Look, Report, Route, STAGES, Schedule, Seed};

const PAIRS: u32 = 600_000;
const DECISIONS: i64 = 50_000;

fn main() {
    println!(
        "| workload | policy | mean s | × bound | p50 s | p95 s | unseen |\n|---|---|---|---|---|---|---|"
    );
    for load in world::table::loads(world::table::FULL) {
        let row = world::table::row(load);
        print!("{}", row.lines());
        if let Some(bound) = row.bound {
            println!("  bound: {bound:.1} s");
        }
        if row.load.outage.is_some() {
            println!(
                "  outage: {} of its first 100 failures seen within 5 minutes, {} pairs never looked at when it began",
                row.ours.outage_seen, row.ours.backlog
            );
        }
        let (mean, spread) = world::table::bias(&row);
        println!(
            "  first looks against the truth of their tasks, in standard errors: mean {mean:.2}, spread {spread:.2}"
        );
    }
    crowd();
}

/// Memory and speed with a full list: tasks of 500, pushed over a week, three quarters of the pairs looked at before.
fn crowd() {
    let now = world::BEGIN;
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
            devices: if looked { &known[..1 + (slot % 3 == 0) as usize] } else { &[] },
        };
        schedule.insert(slot, seed, now);
    }
    let listed: usize =
        timpush_exporter::schedule::State::ALL.iter().map(|state| schedule.count(*state)).sum();
    println!("{listed} pairs entered in {:.2} s", began.elapsed().as_secs_f64());
    let mut took = Vec::new();
    for at in 0..DECISIONS {
        let now = now + at * 1000;
        let began = Instant::now();
        while schedule.take_ended(now).is_some() {}
        let slot = schedule.take(now);
        let decided = began.elapsed();
        if let Some(slot) = slot {
            let known = [device(slot % 9 == 0, now - 900_000, now)];
            let look = Look::Answered {
                settled: slot % 9 == 0,
                pushed_at: None,
                ends_at: now + world::loads::DAY,
                devices: &known,
            };
            schedule.looked(slot, look, now);
        }
        took.push(decided);
    }
    took.sort();
    let bytes = schedule.bytes() as f64 / f64::from(PAIRS);
    println!("{bytes:.1} bytes per pair in the schedule");
    println!(
        "a decision takes {:?} at the median, {:?} at 99.9 %, {:?} at the worst of {DECISIONS}",
        took[took.len() / 2],
        took[took.len() - took.len() / 1000],
        took[took.len() - 1]
    );
}

fn device(failed: bool, at: i64, seen_at: i64) -> Device {
    let mut reports = [None; STAGES];
    reports[2] = Some(Report { failed, at: Some(at), seen_at, fresh: true });
    Device { platform: 1 + at / 1000 % 7, route: Route::Offline, reports }
}
