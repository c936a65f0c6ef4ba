//! A thousand apps at one request a second each: CPU, memory, early requests, and how late requests come.

use std::time::Duration;

use crate::process::{cpu, memory_mb, quantile};
use crate::support::{AppText, FIRST_APP, Place, Town, config};

const APPS: u64 = 1_000;
/// How long they are watched.
const WATCHED: Duration = Duration::from_secs(60);
/// The time in which all apps have begun.
const WARM_UP: Duration = Duration::from_secs(10);
const INTERVAL_MILLIS: f64 = 1_000.0;

pub fn run() {
    let town = Town::empty(APPS, 1.0);
    let url = town.sim.url();
    let app = |n: u64| AppText::new(&format!("app{n}"), FIRST_APP + n, &url, 1.0).users("t", 100);
    let place = Place::new(&config(&(0..APPS).map(app).collect::<Vec<_>>()));
    let daemon = place.serve(&[]);
    std::thread::sleep(WARM_UP);
    let before = cpu(daemon.id());
    std::thread::sleep(WATCHED);
    let used = (cpu(daemon.id()) - before).as_secs_f64() / WATCHED.as_secs_f64();
    let arrivals = town.sim.arrivals();
    let early: u64 = arrivals.apps.iter().map(|app| app.early_requests).sum();
    let requests: u64 = arrivals.apps.iter().map(|app| app.requests).sum();
    let gaps = arrivals.apps.iter().flat_map(|app| app.arrivals_micros.windows(2));
    let mut late: Vec<f64> = gaps.map(|two| (two[1] - two[0]) as f64 / 1e3 - INTERVAL_MILLIS).collect();
    late.sort_by(f64::total_cmp);
    println!("\n| {APPS} apps at 1 request/s | |\n|---|---|");
    println!("| requests | {requests} |\n| early | {early} |");
    println!("| CPU | {used:.2} of a core |\n| resident memory | {:.0} MB |", memory_mb(daemon.id()).0);
    println!(
        "| after the end of the interval | p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms |",
        quantile(&late, 0.5),
        quantile(&late, 0.99),
        late[late.len() - 1]
    );
    daemon.stop();
    town.end();
}
