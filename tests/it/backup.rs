//! `backup`: a whole and verified copy beside a daemon that polls, or nothing that looks like one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{APP, AppText, FIRST_APP, NOWHERE, Place, Town, until};

const RATE: f64 = 20.0;
const QUARANTINED: &str = "timpush_ledger_quarantined_files";

fn backup(place: &Place, file: &str) -> Output {
    place.run(&["backup", file])
}

/// The one line that says why there is no backup.
fn refusal(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// The names in the place's folder that are not those of its configuration.
fn left_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let own = ["app.key", "config.yaml", "data"];
    let mut names: Vec<String> = names.filter(|name| !own.contains(&name.as_str())).collect();
    names.sort();
    names
}

/// A place whose storage is that copy.
fn restored(config: &str, copy: &Path) -> Place {
    let place = Place::new(config);
    fs::create_dir(place.storage()).unwrap();
    fs::copy(copy, place.path("data/ledger.db")).unwrap();
    place
}

/// A place with a ledger of that many megabytes and no daemon.
fn heavy(megabytes: usize) -> Place {
    let place = Place::new(&AppText::new(APP, FIRST_APP, NOWHERE, 1.0).users("t", 3).config());
    let daemon = place.serve(&[]);
    until("the pairs are enrolled", || daemon.scrape().sum("timpush_watched_pairs", &[]) == 3.0);
    daemon.stop();
    let db = rusqlite::Connection::open(place.path("data/ledger.db")).unwrap();
    let ballast = "PRAGMA journal_mode = DELETE; CREATE TABLE ballast (bytes BLOB)";
    db.execute_batch(ballast).unwrap();
    for _ in 0..megabytes {
        db.execute("INSERT INTO ballast VALUES (zeroblob(1000000))", []).unwrap();
    }
    place
}

fn spawn(place: &Place, file: &str) -> Child {
    let mut command = place.command(&["backup", file]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts backups until one is caught while its copy grows.
fn caught(place: &Place, file: &str) -> Child {
    for _ in 0..20 {
        let mut child = spawn(place, file);
        let growing = || {
            let names = left_in(&place.path(""));
            let is_partial = |name: &&String| name.ends_with(".partial");
            let partial = names.iter().find(is_partial).map(|name| place.path(name));
            partial.is_some_and(|path| fs::metadata(path).is_ok_and(|file| file.len() > 0))
        };
        while child.try_wait().unwrap().is_none() {
            if growing() && !place.path(file).exists() {
                return child;
            }
        }
        fs::remove_file(place.path(file)).unwrap();
    }
    panic!("every backup was done before it was seen");
}

#[test]
fn a_copy_made_while_the_daemon_polls_goes_on_where_it_stood() {
    let town = Town::lively(1, 8, RATE);
    let place = Place::new(&town.watched(APP, RATE).config());
    let daemon = place.serve(&[]);
    until("something is counted", || daemon.scrape().sum("timpush_stage_results_total", &[]) > 0.0);
    let before = daemon.scrape().sums().total("success");
    let output = backup(&place, "ledger-1.db");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = daemon.scrape().sums().total("success");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.starts_with("ledger-1.db: ") && told.contains("copied and verified"), "{told}");
    let copy = place.path("ledger-1.db");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(left_in(&place.path("")), ["ledger-1.db"]);
    daemon.stop();

    // What it shows first is what was on disk at that moment.
    let nowhere = restored(&AppText::new(APP, FIRST_APP, NOWHERE, 1.0).config(), &copy);
    let daemon = nowhere.serve(&[]);
    let shown = daemon.scrape().sums();
    assert!((before..=after).contains(&shown.total("success")), "{before} {after}");
    assert_eq!(daemon.scrape().value(QUARANTINED, &[]), Some(0.0));
    daemon.stop();
    // Polled again, it counts what it missed, and nothing twice.
    let again = restored(&town.watched(APP, RATE).config(), &copy);
    let daemon = again.serve(&[]);
    assert!(daemon.scrape().sums().total("success") >= shown.total("success"));
    town.agrees(&daemon);
}

#[test]
fn a_backup_of_a_backup_is_the_same_and_an_existing_file_stays() {
    let place = heavy(40);
    assert!(backup(&place, "one.db").status.success());
    let one = fs::read(place.path("one.db")).unwrap();
    let again = restored("", &place.path("one.db"));
    assert!(backup(&again, "two.db").status.success());
    assert_eq!(fs::read(again.path("two.db")).unwrap(), one);
    let error = refusal(&backup(&place, "one.db"));
    assert!(error.contains("one.db: exists already"), "{error}");
    fs::write(place.path("text"), "precious").unwrap();
    std::os::unix::fs::symlink(place.path("nothing"), place.path("link")).unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    for name in ["text", "link", "folder"] {
        assert!(refusal(&backup(&place, name)).contains("exists already"), "{name}");
    }
    assert_eq!(fs::read(place.path("one.db")).unwrap(), one);
    assert_eq!(fs::read(place.path("text")).unwrap(), b"precious");
    assert_eq!(left_in(&place.path("")), ["folder", "link", "one.db", "text"]);
    // One that comes to be while the copy is made stays, too.
    let child = caught(&place, "late.db");
    fs::write(place.path("late.db"), "precious").unwrap();
    let error = refusal(&child.wait_with_output().unwrap());
    assert!(error.contains("late.db: exists already"), "{error}");
    assert_eq!(fs::read(place.path("late.db")).unwrap(), b"precious");
    assert_eq!(left_in(&place.path("")), ["folder", "late.db", "link", "one.db", "text"]);
}

#[test]
fn what_cannot_be_backed_up_is_told_in_one_line_and_leaves_nothing() {
    let place = heavy(1);
    let folder = place.path("");
    for (file, words) in [
        ("no/such/folder/x.db", "no/such/folder"),
        ("..", "expected the name of a file"),
        ("data/ledger.db", "exists already"),
        ("data/ledger.db-wal", "uses such names itself"),
        ("data/ledger.db.damaged-1", "uses such names itself"),
    ] {
        let error = refusal(&backup(&place, file));
        assert!(error.contains(words), "{file}: {error}");
    }
    assert_eq!(left_in(&folder), [""; 0]);
    let ledger = place.path("data/ledger.db");
    let sound = fs::read(&ledger).unwrap();
    // Damage: no database at all, a page of it, a sum that is not the one that was written.
    let mut page = sound.clone();
    page[4096..8192].fill(0xff);
    for damaged in [b"not a database but a text that is long enough for a header".to_vec(), page] {
        fs::write(&ledger, &damaged).unwrap();
        let error = refusal(&backup(&place, "x.db"));
        assert!(error.contains("data/ledger.db: the ledger is damaged: "), "{error}");
        assert_eq!(fs::read(&ledger).unwrap(), damaged, "it stays as it is");
    }
    for (change, words) in [
        ("UPDATE app SET settled = settled + 1", "the sums of app 1 are not those that were written"),
        ("UPDATE meta SET value = x'31'", "a row of the table meta is not the one that was written"),
        ("PRAGMA user_version = 1000", "schema version 1000 is newer"),
        ("PRAGMA application_id = 5", "a database of another program"),
    ] {
        fs::write(&ledger, &sound).unwrap();
        rusqlite::Connection::open(&ledger).unwrap().execute_batch(change).unwrap();
        let error = refusal(&backup(&place, "x.db"));
        assert!(error.contains(words), "{change}: {error}");
    }
    fs::remove_file(&ledger).unwrap();
    let error = refusal(&backup(&place, "x.db"));
    assert!(error.contains("there is no ledger; expected the --storage.path"), "{error}");
    assert_eq!(left_in(&folder), [""; 0]);
}

/// A file that may not grow is what a full disk looks like, and the signal that would end the process is ignored.
#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let place = heavy(8);
    let exporter = place.command(&["backup", "x.db"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$@\"", "sh"]).arg(exporter.get_program());
    let output = shell.args(exporter.get_args()).current_dir(place.path("")).output().unwrap();
    let error = refusal(&output);
    assert!(error.contains("x.db: ") && error.contains("no backup was made"), "{error}");
    assert_eq!(left_in(&place.path("")), [""; 0]);
    assert!(backup(&place, "x.db").status.success());
}

#[test]
fn a_kill_in_the_middle_leaves_nothing_that_looks_like_a_backup() {
    let place = heavy(80);
    let mut child = caught(&place, "x.db");
    child.kill().unwrap();
    child.wait().unwrap();
    let left = left_in(&place.path(""));
    let is_hidden = |name: &String| name.starts_with('.') && name.ends_with(".partial");
    assert!(left.len() == 1 && left.iter().all(is_hidden), "{left:?}");
    fs::remove_file(place.path(&left[0])).unwrap();
    // A signal that asks it to stop leaves nothing at all.
    let child = caught(&place, "x.db");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let error = refusal(&child.wait_with_output().unwrap());
    assert!(error.contains("x.db: stopped; no backup was made"), "{error}");
    assert_eq!(left_in(&place.path("")), [""; 0]);
    assert!(backup(&place, "x.db").status.success());
}
