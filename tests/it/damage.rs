//! A disk that fails, full, read-only, forbidden or damaged: the daemon tells, keeps what it has, and doubles nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use timpush_exporter::sim::{Options, TownOptions};

use crate::support::daemon::binary;
use crate::support::{APP, Daemon, ID, Rig, wait_for, wait_until};

const RATE: f64 = 20.0;
const QUARANTINED: &str = "timpush_ledger_quarantined_files";
/// How long a start that is refused may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The user "nobody".
const NOBODY: u32 = 65_534;

/// A town in which much happens within seconds.
fn rig() -> Rig {
    let rig = Rig::start(Options {
        seed: 31,
        speed: 5_000.0,
        requests_per_second: 1e6,
        town: TownOptions {
            tasks: 8,
            users_per_task: 4,
            push_span: Duration::from_secs(15),
            past_share: 0.25,
        },
        ..Options::default()
    });
    rig.configure(&[rig.app(RATE)]);
    rig
}

async fn something_is_counted(daemon: &Daemon) {
    wait_until("something is counted", async || {
        daemon.scrape().await.sum("timpush_stage_results_total", &[]) > 0.0
    })
    .await;
}

/// Files of that process may be so long, or as long as they like.
fn limit_files(daemon: &Daemon, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// A daemon that has counted something and cannot write any more.
async fn on_a_full_disk(rig: &Rig) -> Daemon {
    // A file that may not grow: the write fails, and the signal that would end the process is ignored.
    let mut shell = Command::new("sh");
    let exporter = binary(rig.folder());
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(exporter.get_program());
    shell.current_dir(rig.folder()).stdin(Stdio::null());
    let mut daemon = Daemon::run(shell, &[]);
    daemon.ready().await;
    something_is_counted(&daemon).await;
    limit_files(&daemon, Some(fs::metadata(rig.path("data/ledger.db-wal")).unwrap().len()));
    wait_until("it says that it cannot commit", async || daemon.stderr().contains("cannot commit")).await;
    daemon
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_can_be_written_nothing_is_shown_and_afterwards_nothing_is_missing() {
    let rig = rig();
    let mut daemon = on_a_full_disk(&rig).await;
    let (shown, committed_at) = {
        let scrape = daemon.scrape().await;
        (scrape.sums(APP, ID), scrape.value("timpush_ledger_last_commit_timestamp_seconds", &[]))
    };
    wait_until("much more is handed out", async || {
        rig.account().total("success") > shown.total("success") + 5
    })
    .await;
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.sums(APP, ID), shown, "what is not on disk is not shown");
    assert_eq!(scrape.value("timpush_ledger_last_commit_timestamp_seconds", &[]), committed_at);
    assert_eq!(daemon.get("/-/healthy").await.unwrap().status, 200);
    assert_eq!(daemon.get("/").await.unwrap().status, 200);

    limit_files(&daemon, None);
    rig.agrees(&daemon).await;
    // And all of it is there after a crash.
    let shown = rig.agrees(&daemon).await;
    daemon.kill();
    let daemon = rig.daemon().await;
    let after = daemon.scrape().await.sums(APP, ID);
    assert!(after.total("success") >= shown.total("success"));
    rig.agrees(&daemon).await;
    assert_eq!(daemon.scrape().await.value(QUARANTINED, &[]), Some(0.0));
}

/// A crash while the disk is full loses what nobody was shown, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_on_a_full_disk_loses_nothing_for_good() {
    let rig = rig();
    let mut daemon = on_a_full_disk(&rig).await;
    let shown = daemon.scrape().await.sums(APP, ID);
    daemon.kill();
    let daemon = rig.daemon().await;
    assert!(daemon.scrape().await.sums(APP, ID).total("success") >= shown.total("success"));
    rig.agrees(&daemon).await;
}

/// The storage of a rig, of which nobody is the owner, and a copy of the binary that nobody may run.
struct Unprivileged {
    rig: Rig,
    binary: PathBuf,
}

impl Unprivileged {
    fn new() -> Unprivileged {
        let rig = rig();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(rig.folder(), 0o755);
        mode(&rig.path("shop.key"), 0o644);
        let copy = rig.path("exporter");
        fs::copy(binary(rig.folder()).get_program(), &copy).unwrap();
        mode(&copy, 0o755);
        fs::create_dir(rig.path("data")).unwrap();
        let unprivileged = Unprivileged { rig, binary: copy };
        unprivileged.give_away("data");
        unprivileged
    }

    fn give_away(&self, name: &str) {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(self.rig.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.rig.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// The binary, run by somebody whom permissions bind.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(self.rig.folder()).stdin(Stdio::null());
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
        let store = || fs::read(self.rig.path("data/ledger.db")).ok();
        let before = store();
        let output = self.run();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{why}: {error}");
        let told = error.lines().filter(|line| line.starts_with("timpush_exporter: ")).collect::<Vec<_>>();
        assert!(told.len() == 1 && told[0].contains("data"), "{why}: {error}");
        assert_eq!(store(), before, "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_cannot_be_written_is_refused_by_name() {
    let place = Unprivileged::new();
    place.mode("data", 0o555);
    place.refuses("an empty folder");
    place.mode("data", 0o755);
    let mut daemon = Daemon::run(place.command(), &[]);
    daemon.ready().await;
    something_is_counted(&daemon).await;
    let (status, _) = daemon.terminate().await;
    assert!(status.success(), "{status}");
    place.mode("data/ledger.db", 0o444);
    place.refuses("a store that may only be read");
    place.mode("data/ledger.db", 0o000);
    place.refuses("a store that may not even be read");
    place.mode("data/ledger.db", 0o644);
    place.mode("data", 0o000);
    place.refuses("a folder that may not be entered");
    place.mode("data", 0o755);
    let mut daemon = Daemon::run(place.command(), &[]);
    daemon.ready().await;
    place.rig.agrees(&daemon).await;
    assert_eq!(daemon.scrape().await.value(QUARANTINED, &[]), Some(0.0));
}

/// Files that are open stay so, whatever becomes of their names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permission_that_is_lost_while_it_runs_stops_nothing() {
    let place = Unprivileged::new();
    let mut daemon = Daemon::run(place.command(), &[]);
    daemon.ready().await;
    something_is_counted(&daemon).await;
    for name in ["data/ledger.db", "data/ledger.db-wal", "data/ledger.db-shm", "data"] {
        place.mode(name, 0o000);
    }
    let before = daemon.scrape().await.sums(APP, ID);
    wait_for("more is counted", async || {
        let now = daemon.scrape().await.sums(APP, ID);
        (now.total("success") > before.total("success")).then_some(()).ok_or(daemon.stderr())
    })
    .await;
    place.rig.agrees(&daemon).await;
    daemon.kill();
    for name in ["data", "data/ledger.db-shm", "data/ledger.db-wal", "data/ledger.db"] {
        place.mode(name, 0o755);
    }
    let mut daemon = Daemon::run(place.command(), &[]);
    daemon.ready().await;
    place.rig.agrees(&daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_told_by_metric_page_and_log_and_counting_starts_anew() {
    // A word that stands in the rows of the counters, and one beside the key of the hashes for users.
    for word in ["success", "veil_key"] {
        let rig = rig();
        let mut daemon = rig.daemon().await;
        something_is_counted(&daemon).await;
        assert!(daemon.terminate().await.0.success());
        let store = rig.path("data/ledger.db");
        let mut bytes = fs::read(&store).unwrap();
        let at = bytes.windows(word.len()).rposition(|piece| piece == word.as_bytes()).expect(word);
        bytes[at] ^= 1;
        fs::write(&store, &bytes).unwrap();
        let daemon = rig.daemon().await;
        wait_until("the metric tells", async || daemon.scrape().await.value(QUARANTINED, &[]) == Some(1.0))
            .await;
        assert!(daemon.get("/").await.unwrap().body.contains("counting started anew"));
        assert!(daemon.stderr().contains("the store is damaged"), "{}", daemon.stderr());
        let aside = fs::read_dir(rig.path("data")).unwrap().map(|file| file.unwrap().path());
        let aside = aside.filter(|path| path.to_string_lossy().contains("damaged-")).collect::<Vec<_>>();
        assert_eq!(aside.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), [bytes]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let rig = rig();
    let mut daemon = rig.daemon().await;
    something_is_counted(&daemon).await;
    assert!(daemon.terminate().await.0.success());
    let db = rusqlite::Connection::open(rig.path("data/ledger.db")).unwrap();
    db.pragma_update(None, "user_version", 1_000).unwrap();
    drop(db);
    let before = fs::read(rig.path("data/ledger.db")).unwrap();
    let output = binary(rig.folder()).arg("--web.listen-address=127.0.0.1:0").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("schema version 1000 is newer"), "{error}");
    assert_eq!(fs::read(rig.path("data/ledger.db")).unwrap(), before);
}
