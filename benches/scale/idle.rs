//! One app with one pair that has settled: what the daemon takes when there is little to do.

use crate::process::{cpu, memory_mb};
use crate::support::child::program;
use crate::support::{AppText, FIRST_APP, Place, Town, answers, until};

/// How long it is watched.
const WATCHED: std::time::Duration = std::time::Duration::from_secs(20);

pub fn run() {
    let town = Town::empty(1, 1.0);
    town.answer("t", "u0", serde_json::from_str(answers::SAMPLE).expect("the manual's sample is JSON"));
    let place = Place::new(&AppText::new("shop", FIRST_APP, &town.sim.url(), 1.0).users("t", 1).config());
    let daemon = place.serve(&[]);
    until("the pair has settled", || {
        daemon.scrape().value("timpush_watched_pairs", &[("state", "settled")]) == Some(1.0)
    });
    let before = cpu(daemon.id());
    std::thread::sleep(WATCHED);
    let used = (cpu(daemon.id()) - before).as_secs_f64() / WATCHED.as_secs_f64();
    let binary = std::fs::metadata(program().get_program()).expect("the binary is there");
    println!("\n| idle: one app, one settled pair | |\n|---|---|");
    println!("| binary, stripped | {:.1} MB |", binary.len() as f64 / 1e6);
    println!("| resident memory | {:.1} MB |", memory_mb(daemon.id()).0);
    println!("| CPU | {:.2} % of a core |", used * 100.0);
    daemon.stop();
    town.end();
}
