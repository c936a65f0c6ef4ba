//! The bench of the schedule on toy workloads, so that it cannot rot.

#[path = "../benches/world/mod.rs"]
mod world;

use world::table::{TOY, loads, row};

#[test]
fn the_schedule_is_better_than_round_robin_and_respects_the_bound() {
    assert_eq!(loads(TOY).len(), 7);
    for load in loads(TOY) {
        let row = row(load);
        let name = &row.load.name;
        assert!(row.lines().lines().count() == 3, "{name}");
        let (ours, theirs) = (row.ours.mean(), row.round_robin.mean());
        assert!(ours <= theirs * 1.05, "{name}: {ours} against {theirs} of round robin");
        if row.load.looks_per_pair.is_some() {
            assert!(ours * 8.0 < theirs, "{name}: {ours} against {theirs} of round robin");
            assert!(row.bound.is_some_and(|bound| bound > 0.0 && bound < theirs), "{name}: {:?}", row.bound);
        }
        if row.load.outage.is_some() {
            assert!(row.ours.outage_seen >= 50, "{name}: {} of 100 seen in time", row.ours.outage_seen);
            assert!(row.ours.backlog > 5_000 && row.backoff.backlog > 5_000);
        }
        assert!(row.ours.looks > 0 && row.ours.unseen <= row.ours.delays.len());
    }
}

#[test]
fn first_looks_are_an_unbiased_sample_of_their_task() {
    let outage = loads(TOY).into_iter().next_back().expect("the outage is the last");
    let (mean, spread) = world::table::bias(&row(outage));
    assert!(mean.abs() < 2.0, "off by {mean} standard errors");
    assert!(spread < 1.3, "spread of {spread} standard errors");
}
