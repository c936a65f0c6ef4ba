//! 600,000 pairs from a list file: how long until ready, the first time and with a full ledger, and what memory they take.

use std::fmt::Write as _;
use std::time::Instant;

use crate::process::memory_mb;
use crate::support::answers::now;
use crate::support::{AppText, FIRST_APP, Place, Town};

const PAIRS: usize = 600_000;
const USERS_PER_TASK: usize = 500;

pub fn run() {
    let town = Town::empty(1, 1_000.0);
    let watch = "watch: {files: [list.csv]}";
    let app = AppText::new("shop", FIRST_APP, &town.sim.url(), 100.0).key(watch);
    let place = Place::new(&app.config());
    place.write("list.csv", &list());
    println!(
        "\n| {PAIRS} pairs from one .csv | until ready s | resident MB | highest MB |\n|---|---|---|---|"
    );
    for (what, pairs) in [("no pair", 0), ("the first start", PAIRS), ("a start with a full ledger", PAIRS)] {
        if pairs == 0 {
            let empty = Place::new(&AppText::new("shop", FIRST_APP, &town.sim.url(), 100.0).config());
            start(&empty, what);
        } else {
            start(&place, what);
        }
    }
    town.end();
}

fn start(place: &Place, what: &str) {
    let began = Instant::now();
    let daemon = place.serve(&[]);
    let took = began.elapsed().as_secs_f64();
    let (resident, highest) = memory_mb(daemon.id());
    println!("| {what} | {took:.2} | {resident:.0} | {highest:.0} |");
    daemon.stop();
}

/// Ids as long as real ones, pushed within the last day.
fn list() -> String {
    let mut text = String::from("task,user,pushed_at\n");
    for pair in 0..PAIRS {
        let (task, user) = (pair / USERS_PER_TASK, pair % USERS_PER_TASK);
        let pushed_at = jiff::Timestamp::from_second(now() - task as i64 * 60).expect("a time of this year");
        let task = format!("660cc447_537ed82a_2000{task:08x}17f5_84035729_bc614e");
        writeln!(text, "{task},user_{user:06},{pushed_at}").expect("a String takes all text");
    }
    text
}
