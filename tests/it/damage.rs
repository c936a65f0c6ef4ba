//! A disk that fails, full, read-only, forbidden or damaged: the daemon tells, keeps what it has, and doubles nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use timpush_exporter::sim::{Options, PopulationOptions};

use crate::support::child::program;
use crate::support::{APP, Daemon, Place, Town, eventually, until};

const RATE: f64 = 20.0;
const DAMAGED: &str = "timpush_ledger_damaged_records_total";
const QUARANTINED: &str = "timpush_ledger_quarantined_files";
/// How long a start that is refused may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The user "nobody".
const NOBODY: u32 = 65_534;

/// A town in which much happens within seconds.
fn watched() -> (Town, Place) {
    let town = Town::start(Options {
        seed: 31,
        speed: 5_000.0,
        requests_per_second: 1e6,
        population: PopulationOptions {
            tasks: 8,
            users_per_task: 4,
            push_span: Duration::from_secs(15),
            past_share: 0.25,
        },
        ..Options::default()
    });
    let place = Place::new(&town.watched(APP, RATE).config());
    (town, place)
}

fn something_is_counted(daemon: &Daemon) {
    until("something is counted", || daemon.scrape().sum("timpush_stage_results_total", &[]) > 0.0);
}

/// Files of that process may be so long, or as long as they like.
fn limit_files(daemon: &Daemon, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// A daemon that has counted something and cannot write any more.
fn on_a_full_disk(place: &Place) -> Daemon {
    // A file that may not grow: the write fails, and the signal that would end the process is ignored.
    let mut shell = Command::new("sh");
    let exporter = place.command(&[]);
    shell
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(exporter.get_program())
        .args(exporter.get_args());
    shell.stdin(Stdio::null());
    let daemon = Daemon::spawn(shell).ready();
    something_is_counted(&daemon);
    limit_files(&daemon, Some(fs::metadata(place.path("data/ledger.db-wal")).unwrap().len()));
    until("it says that it cannot commit", || daemon.log().contains("cannot commit"));
    daemon
}

#[test]
fn while_nothing_can_be_written_nothing_is_shown_and_afterwards_nothing_is_missing() {
    let (town, place) = watched();
    let daemon = on_a_full_disk(&place);
    let (shown, committed_at) = {
        let scrape = daemon.scrape();
        (scrape.sums(), scrape.value("timpush_ledger_last_commit_timestamp_seconds", &[]))
    };
    until("much more is handed out", || town.account().total("success") > shown.total("success") + 5);
    let scrape = daemon.scrape();
    assert_eq!(scrape.sums(), shown, "what is not on disk is not shown");
    assert_eq!(scrape.value("timpush_ledger_last_commit_timestamp_seconds", &[]), committed_at);
    assert_eq!(daemon.get("/-/healthy").status, 200);
    let says_so = || daemon.get("/").text().contains("The ledger cannot be written since");
    until("the status page says so", says_so);

    limit_files(&daemon, None);
    town.agrees(&daemon);
    until("the status page is content again", || !says_so());
    // And all of it is there after a crash.
    let shown = town.agrees(&daemon);
    daemon.kill();
    let daemon = place.serve(&[]);
    let after = daemon.scrape().sums();
    assert!(after.total("success") >= shown.total("success"));
    town.agrees(&daemon);
    assert_eq!(daemon.scrape().value(QUARANTINED, &[]), Some(0.0));
}

/// A crash while the disk is full loses what nobody was shown, and no more.
#[test]
fn a_crash_on_a_full_disk_loses_nothing_for_good() {
    let (town, place) = watched();
    let daemon = on_a_full_disk(&place);
    let shown = daemon.scrape().sums();
    daemon.kill();
    let daemon = place.serve(&[]);
    assert!(daemon.scrape().sums().total("success") >= shown.total("success"));
    town.agrees(&daemon);
}

/// A place of whose storage nobody is the owner, and a copy of the binary that nobody may run.
struct Unprivileged {
    town: Town,
    place: Place,
    binary: PathBuf,
}

impl Unprivileged {
    fn new() -> Unprivileged {
        let (town, place) = watched();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(&place.path(""), 0o755);
        mode(&place.path("app.key"), 0o644);
        let binary = place.path("exporter");
        fs::copy(program().get_program(), &binary).unwrap();
        mode(&binary, 0o755);
        fs::create_dir(place.storage()).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(place.storage(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Unprivileged { town, place, binary }
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.place.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// The binary, run by somebody whom permissions bind; configuration and storage have their usual names.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(self.place.path("")).stdin(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs it to its end, which comes soon where it refuses to start.
    fn run(&self) -> Output {
        let mut command = self.command();
        command.arg("--web.listen-address=127.0.0.1:0").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if began.elapsed() > PATIENCE {
                child.kill().unwrap();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.wait_with_output().unwrap()
    }

    /// It does not start, says so in one line that names the storage, and leaves the store as it was.
    fn refuses(&self, why: &str) {
        let store = || fs::read(self.place.path("data/ledger.db")).ok();
        let before = store();
        let output = self.run();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{why}: {error}");
        let told = error.lines().filter(|line| line.starts_with("timpush_exporter: ")).collect::<Vec<_>>();
        assert!(told.len() == 1 && told[0].contains("data"), "{why}: {error}");
        assert_eq!(store(), before, "{why}");
    }
}

#[test]
fn a_storage_that_cannot_be_written_is_refused_by_name() {
    let own = Unprivileged::new();
    own.mode("data", 0o555);
    own.refuses("an empty folder");
    own.mode("data", 0o755);
    let daemon = Daemon::spawn(own.command()).ready();
    something_is_counted(&daemon);
    daemon.stop();
    own.mode("data/ledger.db", 0o444);
    own.refuses("a store that may only be read");
    own.mode("data/ledger.db", 0o000);
    own.refuses("a store that may not even be read");
    own.mode("data/ledger.db", 0o644);
    own.mode("data", 0o000);
    own.refuses("a folder that may not be entered");
    own.mode("data", 0o755);
    let daemon = Daemon::spawn(own.command()).ready();
    own.town.agrees(&daemon);
    assert_eq!(daemon.scrape().value(QUARANTINED, &[]), Some(0.0));
}

/// Files that are open stay so, whatever becomes of their names.
#[test]
fn permission_that_is_lost_while_it_runs_stops_nothing() {
    let own = Unprivileged::new();
    let daemon = Daemon::spawn(own.command()).ready();
    something_is_counted(&daemon);
    for name in ["data/ledger.db", "data/ledger.db-wal", "data/ledger.db-shm", "data"] {
        own.mode(name, 0o000);
    }
    let before = daemon.scrape().sums();
    eventually("more is counted", || {
        let now = daemon.scrape().sums();
        (now.total("success") > before.total("success")).then_some(()).ok_or(daemon.log())
    });
    own.town.agrees(&daemon);
    daemon.kill();
    for name in ["data", "data/ledger.db-shm", "data/ledger.db-wal", "data/ledger.db"] {
        own.mode(name, 0o755);
    }
    let daemon = Daemon::spawn(own.command()).ready();
    own.town.agrees(&daemon);
}

#[test]
fn a_damaged_store_is_told_by_metric_page_and_log_and_counting_starts_anew() {
    // A word that stands in the rows of the counters, and one of the table `meta`.
    for word in ["success", "clock"] {
        let (_town, place) = watched();
        let daemon = place.serve(&[]);
        something_is_counted(&daemon);
        daemon.stop();
        let store = place.path("data/ledger.db");
        let mut bytes = fs::read(&store).unwrap();
        let at = bytes.windows(word.len()).rposition(|piece| piece == word.as_bytes()).expect(word);
        bytes[at] ^= 1;
        fs::write(&store, &bytes).unwrap();
        let daemon = place.serve(&[]);
        until("the metric tells", || daemon.scrape().value(QUARANTINED, &[]) == Some(1.0));
        assert!(daemon.get("/").text().contains("counting started anew"));
        assert!(daemon.log().contains("the store is damaged"), "{}", daemon.log());
        let aside = fs::read_dir(place.storage()).unwrap().map(|file| file.unwrap().path());
        let aside = aside.filter(|path| path.to_string_lossy().contains("damaged-")).collect::<Vec<_>>();
        assert_eq!(aside.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), [bytes]);
    }
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let (_town, place) = watched();
    let daemon = place.serve(&[]);
    something_is_counted(&daemon);
    daemon.stop();
    let db = rusqlite::Connection::open(place.path("data/ledger.db")).unwrap();
    db.pragma_update(None, "user_version", 1_000).unwrap();
    drop(db);
    let before = fs::read(place.path("data/ledger.db")).unwrap();
    let output = place.run(&["--web.listen-address=127.0.0.1:0"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("schema version 1000 is newer"), "{error}");
    assert_eq!(fs::read(place.path("data/ledger.db")).unwrap(), before);
}

/// One damaged record made every commit fail until a restart.
#[test]
fn a_record_that_is_damaged_while_the_daemon_runs_stops_its_own_pair_alone() {
    let town = Town::lively(1, 4, RATE);
    let place = Place::new(&town.watched(APP, RATE).config());
    let daemon = place.serve(&[]);
    something_is_counted(&daemon);
    let pairs = daemon.scrape().sum("timpush_watched_pairs", &[]);
    let db = rusqlite::Connection::open(place.path("data/ledger.db")).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let row: i64 = eventually("a pair is known and goes on", || {
        let sql = "SELECT id FROM pair WHERE record IS NOT NULL AND ended IS NULL";
        db.query_row(sql, [], |row| row.get(0))
    });
    // Whatever the daemon writes meanwhile, in the end the damage stands.
    until("it tells the damage", || {
        let sql = "UPDATE pair SET record = x'0102030405' WHERE id = ?1 AND ended IS NOT 'damaged'";
        db.execute(sql, [row]).unwrap();
        daemon.scrape().value(DAMAGED, &[]) == Some(1.0)
    });
    daemon.scrape_until("the pair has left, and the others go on", |s| {
        s.sum("timpush_watched_pairs", &[]) == pairs - 1.0
    });
    assert!(daemon.log().contains("the record of a pair is damaged"), "{}", daemon.log());
    let shown = daemon.scrape().sum("timpush_stage_results_total", &[]);
    daemon.scrape_until("results are counted", |s| s.sum("timpush_stage_results_total", &[]) > shown);
    daemon.stop();
    let daemon = place.serve(&[]);
    assert_eq!(daemon.scrape().value(QUARANTINED, &[]), Some(0.0), "the ledger is not thrown away for it");
    assert_eq!(daemon.scrape().sum("timpush_watched_pairs", &[]), pairs - 1.0);
}
