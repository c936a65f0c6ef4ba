//! Damage that is found while the store is open: it stays with what it hit.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::open::FILE;
use super::super::{Enrol, Known, Leave, Ledger, Opened, Sighting, Verdict};
use super::play::close;
use super::{PUSHED, success_up_to};
use crate::trace::Stage;
use crate::watch::LabelSet;

/// A commit that fails is tried again without end.
const PATIENCE: Duration = Duration::from_secs(20);

fn app() -> Arc<str> {
    "shop".into()
}

async fn enrol(ledger: &Ledger, users: &[&str]) -> Vec<Known> {
    let pair = |user: &&str| Enrol {
        task: "t".into(),
        user: (*user).to_owned(),
        labels: LabelSet::from([]),
        pushed_at: None,
        watch_for: 7 * 86_400,
    };
    let pairs = users.iter().map(pair).collect();
    let known = tokio::time::timeout(PATIENCE, ledger.enrol(&app(), pairs, PUSHED + 90)).await;
    known.expect("the commit works").unwrap().into_iter().map(Option::unwrap).collect()
}

async fn poll(ledger: &Ledger, row: i64, stages: &[Stage]) -> Verdict {
    let trace = success_up_to(stages);
    let sighting =
        Sighting { row, labels: LabelSet::from([]), polled_at: PUSHED + 60, trace, lags: Arc::default() };
    let verdict = tokio::time::timeout(PATIENCE, ledger.record(&app(), sighting)).await;
    verdict.expect("the commit works").unwrap()
}

fn results(ledger: &Ledger) -> u64 {
    let snapshot = ledger.snapshot();
    let stages = snapshot.apps[&app()].sets.values().flat_map(|set| &set.stages);
    stages.map(|stage| stage.results.iter().sum::<u64>()).sum()
}

fn damage(folder: &Path, row: i64) {
    let db = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    let mut record: Vec<u8> =
        db.query_row("SELECT record FROM pair WHERE id = ?1", [row], |r| r.get(0)).unwrap();
    record[5] ^= 1;
    db.execute("UPDATE pair SET record = ?2 WHERE id = ?1", rusqlite::params![row, record]).unwrap();
}

fn open(folder: &Path, damaged: &Arc<AtomicU64>) -> Opened {
    let damaged = damaged.clone();
    let count = move |commit: super::super::Commit| {
        damaged.fetch_add(commit.damaged_pairs, Ordering::SeqCst);
    };
    Ledger::open(folder, PUSHED, count).unwrap()
}

#[tokio::test]
async fn a_record_that_is_damaged_stops_its_own_pair_alone_and_counts_nothing_twice() {
    // Found by an answer, by a pair that leaves, and by one that is enrolled again.
    for found_by in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let damaged = Arc::new(AtomicU64::new(0));
        let opened = open(folder.path(), &damaged);
        let known = enrol(&opened.ledger, &["a", "b"]).await;
        for pair in &known {
            poll(&opened.ledger, pair.row, &[Stage::Im]).await;
        }
        damage(folder.path(), known[0].row);
        match found_by {
            0 => {
                let verdict = poll(&opened.ledger, known[0].row, &[Stage::Im, Stage::Offline]).await;
                assert!(verdict.is_damaged && verdict.news.is_empty());
            }
            1 => {
                let leave = Leave { row: known[0].row, labels: LabelSet::from([]), reason: None };
                tokio::time::timeout(PATIENCE, opened.ledger.leave(&app(), vec![leave]))
                    .await
                    .unwrap()
                    .unwrap();
            }
            _ => {
                let again = enrol(&opened.ledger, &["a", "b"]).await;
                assert_eq!(again.iter().map(|known| known.is_watched).collect::<Vec<_>>(), [false, true]);
            }
        }
        let page = opened.records.pairs(&[known[0].row, known[1].row]).unwrap();
        assert_eq!(page.iter().flatten().map(|row| row.record.devices.len()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(damaged.load(Ordering::SeqCst), 1, "{found_by}");
        // The others go on, and over a restart it is still set aside.
        assert_eq!(poll(&opened.ledger, known[1].row, &[Stage::Im, Stage::Offline]).await.news.len(), 1);
        assert_eq!(results(&opened.ledger), 3);
        close(opened);
        let opened = open(folder.path(), &damaged);
        assert_eq!(opened.quarantined, None);
        let again = enrol(&opened.ledger, &["a", "b"]).await;
        assert_eq!(again.iter().map(|known| known.is_watched).collect::<Vec<_>>(), [false, true]);
        assert!(poll(&opened.ledger, known[0].row, &[Stage::Im]).await.is_damaged);
        assert_eq!((results(&opened.ledger), damaged.load(Ordering::SeqCst)), (3, 1));
        close(opened);
    }
}
