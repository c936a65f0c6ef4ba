//! The program as a child process: its folder, its flags, its pages, its log, its end.

use std::fs::Permissions;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal};

use super::{Page, Scrape, Turn, eventually, get, request, send, until};

/// The key of every simulated app.
pub const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
/// Names another build of the binary, such as the one that is released.
const BINARY: &str = "TIMPUSH_BINARY";

/// The program under test, with nothing of the environment that would change what it does.
pub fn program() -> Command {
    let built = std::env::var_os(BINARY).unwrap_or_else(|| env!("CARGO_BIN_EXE_timpush_exporter").into());
    let mut command = Command::new(built);
    command.stdin(Stdio::null());
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// A folder with a configuration, its key and the storage.
pub struct Place {
    folder: tempfile::TempDir,
    _turn: Turn,
}

impl Place {
    /// A place whose configuration is that text.
    pub fn new(config: &str) -> Place {
        let turn = Turn::shared();
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder, _turn: turn };
        place.write("app.key", KEY);
        // Else each daemon would warn of it.
        std::fs::set_permissions(place.path("app.key"), Permissions::from_mode(0o600)).unwrap();
        place.configure(config);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn storage(&self) -> PathBuf {
        self.path("data")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes another configuration; nobody is told.
    pub fn configure(&self, config: &str) {
        self.write("config.yaml", config);
    }

    /// The program with the configuration and the storage of this place.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command
            .args(args)
            .arg("--config.file")
            .arg(self.path("config.yaml"))
            .arg("--storage.path")
            .arg(self.storage())
            .current_dir(self.folder.path());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Serves, and waits until it is ready.
    pub fn serve(&self, flags: &[&str]) -> Daemon {
        Daemon::spawn(self.command(flags)).ready()
    }

    /// Serves, and waits only until it listens.
    pub fn begin(&self, flags: &[&str]) -> Daemon {
        Daemon::spawn(self.command(flags)).listening()
    }
}

/// A running program; killed when dropped.
pub struct Daemon {
    child: Child,
    stdout: Said,
    stderr: Said,
    address: Option<SocketAddr>,
}

/// What a child writes to a pipe, read beside the test.
pub struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts that command on a free port; it waits for nothing.
    pub fn spawn(mut command: Command) -> Daemon {
        command.arg("--web.listen-address=127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        Daemon { child, stdout, stderr, address: None }
    }

    /// Waits until it says where it listens.
    pub fn listening(mut self) -> Daemon {
        let address = eventually("the daemon listens", || {
            if let Some(status) = self.ended() {
                panic!("it ended with {status}");
            }
            address_in(&self.log()).ok_or("no line says so")
        });
        self.address = Some(address);
        self
    }

    /// Waits until it is ready.
    pub fn ready(self) -> Daemon {
        let daemon = self.listening();
        until("the daemon is ready", || daemon.get("/-/ready").status == 200);
        daemon
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> SocketAddr {
        self.address.expect("a test waits first until it listens")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// All that it wrote to stderr so far.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// All that it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// A line of its `/proc/<id>/status`, kB, such as `VmRSS`.
    pub fn kilobytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many entries a folder below its `/proc/<id>` has: `fd` or `task`.
    pub fn entries(&self, folder: &str) -> usize {
        std::fs::read_dir(format!("/proc/{}/{folder}", self.id())).unwrap().count()
    }

    pub fn get(&self, path: &str) -> Page {
        get(self.address(), path)
    }

    /// Adds entries, as JSON.
    pub fn post_watches(&self, body: &str) -> Page {
        let headers = format!("content-length: {}\r\n", body.len());
        send(self.address(), "POST /api/v1/watches", &headers, body)
    }

    pub fn scrape(&self) -> Scrape {
        let page = self.get("/metrics");
        assert_eq!(page.status, 200, "{}", page.text());
        Scrape::read(&page.text())
    }

    /// Scrapes until the condition holds, and gives that scrape.
    pub fn scrape_until(&self, what: &str, mut holds: impl FnMut(&Scrape) -> bool) -> Scrape {
        let look = || Some(self.scrape()).filter(|scrape| holds(scrape)).ok_or("no scrape shows it");
        eventually(what, look)
    }

    /// Asks for a reload over HTTP.
    pub fn reload(&self) -> Page {
        request(self.address(), "POST /-/reload", "content-length: 0\r\n")
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks it to stop and waits for the end, which must be a clean one; gives all that it said.
    pub fn stop(self) -> Output {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end, which must be a clean one; gives all that it said.
    pub fn end(mut self) -> Output {
        let status = eventually("the daemon has stopped", || self.ended().ok_or("it runs"));
        assert!(status.success(), "it ended with {status}");
        Output { status, stdout: self.stdout.close(), stderr: self.stderr.close() }
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stdout.close();
        let log = self.stderr.close();
        if std::thread::panicking() {
            eprintln!("--- log of the daemon\n{}---", String::from_utf8_lossy(&log));
        }
    }
}

impl Said {
    /// All so far.
    pub fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for the end of the pipe, which comes when the child is gone; gives all that came.
    pub fn close(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join(); // What is dropped comes here, too, and may not panic.
        }
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads a pipe to its end, beside the test.
pub fn drain(mut pipe: impl Read + Send + 'static) -> Said {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bytes);
    let reader = std::thread::spawn(move || {
        let mut piece = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..length]);
        }
    });
    Said { bytes, reader: Some(reader) }
}

/// The address of the first line that says `listening` and names ours. Whole lines only: the last one may still be on
/// its way.
fn address_in(log: &str) -> Option<SocketAddr> {
    let (whole, _) = log.rsplit_once('\n')?;
    let mut lines = whole.lines().filter(|line| line.contains("listening"));
    let port = lines.find_map(|line| line.split_once("127.0.0.1:"))?.1;
    let end = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
    Some(SocketAddr::from(([127, 0, 0, 1], port[..end].parse().ok()?)))
}
