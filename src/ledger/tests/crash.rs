//! Crashes at every write point, files cut and torn, bytes flipped: each ends in a state that was true, or is told.

use std::fs;
use std::path::Path;

use super::super::open::{FILE, QUARANTINE_PREFIX};
use super::super::{Ledger, Opened, Posted};
use super::PUSHED;
use super::play::{APPS, Deed, Play, USERS, app, close};
use super::reference::{Figures, Reference, shown};

/// Of SQLite's write-ahead log: its header, and a frame with its page.
const LOG_HEADER_BYTES: usize = 32;
const PAGE_BYTES: usize = 4096;
const FRAME_BYTES: usize = 24 + PAGE_BYTES;

/// The files of a store at one moment.
#[derive(Clone)]
struct Files {
    db: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn of(folder: &Path) -> Files {
        let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
        Files { db: read(FILE), log: read("ledger.db-wal") }
    }

    /// A folder with these files alone.
    fn put(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), &self.db).unwrap();
        if !self.log.is_empty() {
            fs::write(folder.path().join("ledger.db-wal"), &self.log).unwrap();
        }
        folder
    }
}

/// Deeds that touch every table, drawn by that seed, without restarts.
fn deeds(seed: u64, count: usize) -> Vec<Deed> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut deeds = Vec::with_capacity(count);
    for app in 0..APPS {
        deeds.extend((0..USERS).map(|user| Deed::Enrol { app, user, labels: user % 3 }));
    }
    while deeds.len() < count {
        let (app, user) = (dice.usize(..APPS), dice.usize(..USERS));
        deeds.push(match dice.u32(..12) {
            0 => Deed::Enrol { app, user, labels: dice.usize(..3) },
            1 => Deed::Leave { app, user, expired: dice.bool() },
            2 => Deed::Learn { app },
            _ => Deed::Record { app, user, seed: dice.u64(..), after: dice.i64(0..40) },
        });
    }
    deeds
}

/// What a ledger shows that was just opened: counters alone.
fn counters(reference: &Reference) -> Figures {
    let mut reference = reference.clone();
    reference.restart();
    reference.figures(PUSHED)
}

/// Goes on after a crash in the deed: pairs are enrolled again, and what was not answered is done again.
async fn go_on(reference: Reference, folder: &Path, deed: &Deed) {
    let mut play = Play::reopen_after_crash(reference, folder);
    for (app, user) in (0..APPS).flat_map(|app| (0..USERS).map(move |user| (app, user))) {
        play.act(&Deed::Enrol { app, user, labels: 1 }).await;
    }
    play.act(deed).await;
    play.act(&Deed::Again).await;
    play.assert_same();
    play.end();
}

/// Where a write of the log may end: at each frame, within its header, within its page, and just before its end.
fn cuts(from: usize, to: usize) -> Vec<usize> {
    let frames = (0..).map(|n| LOG_HEADER_BYTES + n * FRAME_BYTES);
    let inside = frames.flat_map(|at| [at, at + 10, at + 24 + 1_000, at + FRAME_BYTES - 1]);
    inside.skip_while(|at| *at < from).take_while(|at| *at < to).chain([to]).collect()
}

#[tokio::test]
async fn a_crash_at_any_point_of_any_write_loses_only_what_was_not_answered_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut play = Play::begin(folder.path());
    let mut before = (Files::of(folder.path()), play.reference.clone());
    let (mut opened, mut whole) = (0, 0);
    for deed in deeds(11, 30) {
        play.act(&deed).await;
        let after = (Files::of(folder.path()), play.reference.clone());
        assert!(after.0.log.starts_with(&before.0.log) && after.0.db == before.0.db, "the log only grows");
        for cut in cuts(before.0.log.len(), after.0.log.len()) {
            // The rest was not written, or something else stands there.
            for rest in [None, Some(0), Some(0xa5)] {
                let mut torn = after.0.clone();
                torn.log.truncate(cut);
                torn.log.resize(if rest.is_some() { after.0.log.len() } else { cut }, rest.unwrap_or(0));
                let place = torn.put();
                let found = Ledger::open(place.path(), PUSHED, |_| {}).unwrap();
                assert_eq!(found.quarantined, None, "{deed:?} cut at {cut}");
                let figures = shown(&found.ledger.snapshot(), PUSHED);
                close(found);
                let is_after = figures == counters(&after.1);
                assert!(is_after || figures == counters(&before.1), "{deed:?} cut at {cut}: {figures:?}");
                assert!(is_after || cut < after.0.log.len(), "{deed:?} was answered and is lost");
                opened += 1;
                whole += usize::from(is_after);
                if opened % 11 == 0 {
                    let reference = if is_after { after.1.clone() } else { before.1.clone() };
                    go_on(reference, place.path(), &deed).await;
                }
            }
        }
        before = after;
    }
    play.end();
    assert!(opened > 300 && whole < opened, "{opened} crashes, {whole} after the last write");
}

#[tokio::test]
async fn a_crash_while_the_log_is_moved_into_the_store_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut play = Play::begin(folder.path());
    for deed in deeds(12, 60) {
        play.act(&deed).await;
    }
    let before = Files::of(folder.path());
    let expected = counters(&play.end());
    let after = Files::of(folder.path());
    assert!(after.log.is_empty() && after.db != before.db, "it was moved at the close");
    let mut dice = fastrand::Rng::with_seed(12);
    for share in [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0] {
        let mut mixed = before.clone();
        for (at, page) in after.db.chunks(PAGE_BYTES).enumerate() {
            let at = at * PAGE_BYTES;
            if dice.f64() < share {
                mixed.db.resize(mixed.db.len().max(at + page.len()), 0);
                mixed.db[at..at + page.len()].copy_from_slice(page);
            }
        }
        let found = Ledger::open(mixed.put().path(), PUSHED, |_| {}).unwrap();
        assert_eq!(found.quarantined, None, "{share} of the pages written");
        assert_eq!(shown(&found.ledger.snapshot(), PUSHED), expected, "{share} of the pages written");
        close(found);
    }
}

/// What is on disk beside the counters: the pairs of the watch API, app by app.
#[derive(Debug, PartialEq)]
struct Kept {
    posted: Vec<Vec<Posted>>,
}

impl Kept {
    fn of(opened: &Opened) -> Kept {
        let posted = (0..APPS).map(|number| opened.records.posted(&app(number)).unwrap());
        Kept { posted: posted.collect() }
    }
}

/// What the watch API is told in [`sound`], under the task that its app is named by.
fn told(number: usize) -> Vec<Posted> {
    let pair = |user| Posted {
        task: format!("posted task {number}"),
        user: format!("posted user {user}"),
        labels: [("campaign".into(), "spring".into())].into(),
        pushed_at: Some(PUSHED - user),
    };
    (0..8).map(pair).collect()
}

/// A store that was closed well, and what it holds.
struct Sound {
    files: Files,
    reference: Reference,
    kept: Kept,
}

impl Sound {
    async fn after(count: usize) -> Sound {
        let folder = tempfile::tempdir().unwrap();
        let mut play = Play::begin(folder.path());
        for number in 0..APPS {
            let posts = vec![(app(number), told(number))];
            play.ledger().post(posts, PUSHED).await.unwrap();
        }
        for deed in deeds(13, count) {
            play.act(&deed).await;
        }
        let kept = Kept::of(play.opened());
        assert_eq!(kept.posted, (0..APPS).map(told).collect::<Vec<_>>());
        let reference = play.end();
        let files = Files::of(folder.path());
        assert!(!files.db.is_empty() && files.log.is_empty());
        Sound { files, reference, kept }
    }

    /// Opens the store with another byte there and plays on.
    async fn end_with(&self, at: usize, mask: u8) -> End {
        let mut damaged = self.files.clone();
        damaged.db[at] ^= mask;
        end_of(&damaged, self, &format!("byte {at} of {} ^ {mask:#x}", damaged.db.len())).await
    }
}

/// What became of a damaged store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Everything is as it was, and goes on.
    Exact,
    /// It was moved aside, whole, and counting starts anew.
    Quarantined,
    /// The program does not start and says why; the store is as it was.
    Refused,
}

/// Opens the damaged store and plays on; panics where a wrong number is shown, or anything counts twice.
async fn end_of(files: &Files, sound: &Sound, what: &str) -> End {
    let place = files.put();
    let found = match Ledger::open(place.path(), PUSHED, |_| {}) {
        Ok(found) => found,
        Err(error) => {
            assert!(error.to_string().contains(FILE), "{what}: {error}");
            assert_eq!(fs::read(place.path().join(FILE)).unwrap(), files.db, "{what}: {error}");
            return End::Refused;
        }
    };
    if let Some(aside) = &found.quarantined {
        let name = aside.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(QUARANTINE_PREFIX), "{what}: {name}");
        assert_eq!(fs::read(aside).unwrap(), files.db, "{what}: kept as it was");
        assert_eq!(shown(&found.ledger.snapshot(), PUSHED), Figures::new(), "{what}");
        close(found);
        return End::Quarantined;
    }
    assert_eq!(shown(&found.ledger.snapshot(), PUSHED), counters(&sound.reference), "{what}");
    assert_eq!(Kept::of(&found), sound.kept, "{what}");
    close(found);
    // Playing on takes its time; any one in four tells as much.
    if files.db.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) % 4 == 0 {
        let again = Deed::Record { app: 0, user: 0, seed: 99, after: 1 };
        go_on(sound.reference.clone(), place.path(), &again).await;
    }
    End::Exact
}

#[tokio::test]
async fn a_flipped_byte_anywhere_ends_in_exact_counts_or_is_told() {
    const FLIPS: usize = 500;
    let sound = Sound::after(120).await;
    let bytes = sound.files.db.len();
    let mut dice = fastrand::Rng::with_seed(14);
    let mut ends = std::collections::BTreeMap::<End, usize>::new();
    for _ in 0..FLIPS {
        let end = sound.end_with(dice.usize(..bytes), dice.u8(1..)).await;
        *ends.entry(end).or_default() += 1;
    }
    println!("{FLIPS} flips in {bytes} bytes: {ends:?}");
    assert!(ends[&End::Quarantined] > FLIPS / 20, "{ends:?}");
}

#[tokio::test]
async fn a_flipped_byte_in_any_table_is_seen_where_it_changes_a_value() {
    let sound = Sound::after(60).await;
    // Each page that is not free, from its end, where the cells are.
    let mut dice = fastrand::Rng::with_seed(15);
    let mut damaged_pages = 0;
    for page in 0..sound.files.db.len() / PAGE_BYTES {
        for _ in 0..12 {
            let at = page * PAGE_BYTES + PAGE_BYTES - 1 - dice.usize(..300);
            let end = sound.end_with(at, 1 << dice.u32(..8)).await;
            damaged_pages += usize::from(end != End::Exact);
        }
    }
    assert!(damaged_pages > 20, "{damaged_pages}");
}

/// A column that is called otherwise, or a condition that says something else, made every commit fail for ever.
#[tokio::test]
async fn a_flipped_byte_in_the_declaration_of_a_table_is_damage() {
    let sound = Sound::after(20).await;
    let flipped = |word: &str, byte: usize| {
        let mut damaged = sound.files.clone();
        // A page that is free by now may hold the word, too.
        let starts = sound.files.db.windows(word.len()).enumerate().filter(|(_, w)| *w == word.as_bytes());
        starts.for_each(|(start, _)| damaged.db[start + byte] ^= 1);
        assert_ne!(damaged.db, sound.files.db, "{word}");
        damaged
    };
    for word in
        ["named_elapsed INTEGER", "IN ('settled', 'expired'", "watched_at INTEGER", "CREATE TABLE posted"]
    {
        for byte in 0..word.len() {
            let what = format!("byte {byte} of {word:?}");
            assert_ne!(end_of(&flipped(word, byte), &sound, &what).await, End::Exact, "{what}");
        }
    }
    let comment = flipped("-- as the wall clock said", 5);
    assert_eq!(end_of(&comment, &sound, "a comment").await, End::Exact);
}

/// Where those bytes stand in the file, which holds them once.
fn place_of(db: &[u8], bytes: &[u8]) -> usize {
    let places = db.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes);
    let places = places.map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(places.len(), 1, "{bytes:?}");
    places[0]
}

/// Behind its texts a row has two times and its checksum, of four bytes at least each.
#[tokio::test]
async fn a_flipped_byte_anywhere_in_a_row_of_the_watch_api_is_damage() {
    let sound = Sound::after(20).await;
    let db = &sound.files.db;
    let row = place_of(db, b"posted task 1posted user 5{\"campaign\":\"spring\"}");
    let mut dice = fastrand::Rng::with_seed(17);
    for at in row..row + 46 + 12 {
        assert_eq!(sound.end_with(at, dice.u8(1..)).await, End::Quarantined, "byte {at}");
    }
}

#[tokio::test]
async fn a_store_that_was_cut_is_moved_aside_and_one_without_a_byte_is_a_new_one() {
    let sound = Sound::after(60).await;
    let whole = sound.files.db.len();
    for length in [1, 15, 99, 100, 511, 512, 4_095, 4_096, 5_000, 8_192, whole - 4_096, whole - 1] {
        let mut cut = sound.files.clone();
        cut.db.truncate(length);
        assert_eq!(end_of(&cut, &sound, &format!("{length} bytes")).await, End::Quarantined, "{length}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), b"").unwrap();
    let found = Ledger::open(folder.path(), PUSHED, |_| {}).unwrap();
    assert_eq!((found.quarantined.clone(), found.ledger.snapshot().apps.len()), (None, 0));
    close(found);
}

#[tokio::test]
async fn damage_in_the_log_goes_back_to_what_was_shown_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut play = Play::begin(folder.path());
    let mut history = vec![counters(&play.reference)];
    for deed in deeds(16, 40) {
        play.act(&deed).await;
        history.push(counters(&play.reference));
    }
    let files = Files::of(folder.path());
    let mut dice = fastrand::Rng::with_seed(16);
    for _ in 0..60 {
        let mut damaged = files.clone();
        let at = dice.usize(LOG_HEADER_BYTES..files.log.len());
        damaged.log[at] ^= dice.u8(1..);
        let found = Ledger::open(damaged.put().path(), PUSHED, |_| {}).unwrap();
        let figures = shown(&found.ledger.snapshot(), PUSHED);
        assert!(history.contains(&figures), "byte {at}: {figures:?}");
        close(found);
    }
    play.end();
}
