//! A wall clock that was wrong: no pair ends by it for good.

use rusqlite::Connection;

use crate::support::{AppText, Daemon, FIRST_APP, Place, Town};

const DAY: i64 = 86_400;

fn polled_and_watched(daemon: &Daemon, pairs: f64) {
    daemon.scrape_until("all pairs are watched and polled", |scrape| {
        scrape.sum("timpush_watched_pairs", &[]) == pairs
            && scrape.sum("timpush_api_requests_total", &[]) >= pairs
    });
}

/// What an earlier process wrote down by its clock, which was set right while no process ran.
#[test]
fn pairs_that_were_added_by_a_wrong_clock_are_polled_after_a_restart() {
    let now = jiff::Timestamp::now().as_second();
    for (case, added_at, ended) in [
        ("since 1970", 0, None),
        ("ten days behind", now - 10 * DAY, None),
        ("ended by it", now - 16 * 365 * DAY, Some("expired")),
        ("40 days ahead", now + 40 * DAY, Some("expired")),
    ] {
        let town = Town::empty(1, 20.0);
        let place =
            Place::new(&AppText::new("shop", FIRST_APP, &town.sim.url(), 20.0).users("t", 4).config());
        let daemon = place.serve(&[]);
        polled_and_watched(&daemon, 4.0);
        daemon.stop();
        let db = Connection::open(place.path("data/ledger.db")).unwrap();
        let sql = "UPDATE pair SET added_at = ?1, polled_at = NULL, ended = ?2";
        assert_eq!(db.execute(sql, rusqlite::params![added_at, ended]).unwrap(), 4, "{case}");
        drop(db);
        let daemon = place.serve(&[]);
        println!("{case}");
        polled_and_watched(&daemon, 4.0);
        assert_eq!(daemon.scrape().sum("timpush_pairs_ended_total", &[]), 0.0, "{case}");
        daemon.stop();
    }
}
