//! The program as a child process: its folder, its flags, its pages, its log, its end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::{Scrape, Turn, eventually};

/// The key of every simulated app.
pub const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

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
        let mut command = Command::new(env!("CARGO_BIN_EXE_timpush_exporter"));
        command
            .args(args)
            .arg("--config.file")
            .arg(self.path("config.yaml"))
            .arg("--storage.path")
            .arg(self.storage())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Serves, and waits until it is ready.
    pub fn serve(&self, flags: &[&str]) -> Daemon {
        let daemon = self.begin(flags);
        eventually("the daemon is ready", || (daemon.get("/-/ready").status == 200).then_some(()));
        daemon
    }

    /// Serves, and waits only until it listens.
    pub fn begin(&self, flags: &[&str]) -> Daemon {
        let mut args = vec!["--web.listen-address", "127.0.0.1:0"];
        args.extend(flags);
        Daemon::start(self.command(&args))
    }
}

/// A running program; killed when dropped.
pub struct Daemon {
    child: Child,
    log: Said,
    address: SocketAddr,
}

/// What a child writes to a pipe, read beside the test.
pub struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Daemon {
    fn start(mut command: Command) -> Daemon {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = drain(child.stderr.take().unwrap());
        let address = eventually("the daemon listens", || {
            let log = log.text();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended with {status}: {log}");
            }
            address_in(&log)
        });
        Daemon { child, log, address }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it wrote to stderr so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    pub fn get(&self, path: &str) -> Page {
        get(self.address, path)
    }

    /// Adds entries, as JSON.
    pub fn post_watches(&self, body: &str) -> Page {
        let headers = format!("content-length: {}\r\n", body.len());
        send(self.address, "POST /api/v1/watches", &headers, body)
    }

    pub fn scrape(&self) -> Scrape {
        let page = self.get("/metrics");
        assert_eq!(page.status, 200, "{}", page.text());
        Scrape::read(&page.text())
    }

    /// Scrapes until the condition holds, and gives that scrape.
    pub fn scrape_until(&self, what: &str, mut holds: impl FnMut(&Scrape) -> bool) -> Scrape {
        eventually(what, || Some(self.scrape()).filter(|scrape| holds(scrape)))
    }

    /// Asks for a reload over HTTP.
    pub fn reload(&self) -> Page {
        request(self.address, "POST /-/reload", "content-length: 0\r\n")
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Asks it to stop and waits for the end; gives exit status and log.
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal(rustix::process::Signal::TERM);
        self.end()
    }

    /// Waits until it ends; gives exit status and log.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = eventually("the daemon has stopped", || self.child.try_wait().unwrap());
        self.log.close();
        (status, self.log())
    }

    /// Kills it where it stands.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.close();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the daemon\n{}---", self.log());
        }
    }
}

impl Said {
    /// All so far.
    pub fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for the end of the pipe, which comes when the child is gone.
    pub fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join(); // What is dropped comes here, too, and may not panic.
        }
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

/// The address of the first line that says `listening`. Whole lines only: the last one may still be on its way.
pub fn address_in(log: &str) -> Option<SocketAddr> {
    let (whole, _) = log.rsplit_once('\n')?;
    let line = whole.lines().find(|line| line.contains("listening"))?;
    let port = line.split_once("127.0.0.1:")?.1;
    let end = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
    Some(SocketAddr::from(([127, 0, 0, 1], port[..end].parse().ok()?)))
}

/// An answer over HTTP.
pub struct Page {
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Page {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The `data` of a good answer of the API.
    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        let mut json: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(json["status"], "success", "{json}");
        json["data"].take()
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Asks for a page with GET.
pub fn get(address: SocketAddr, path: &str) -> Page {
    request(address, &format!("GET {path}"), "")
}

/// Sends a request without a body: method and path, and lines of headers that each end in CRLF.
pub fn request(address: SocketAddr, what: &str, headers: &str) -> Page {
    send(address, what, headers, "")
}

/// Sends a request with a body, whose length the headers must tell.
pub fn send(address: SocketAddr, what: &str, headers: &str, body: &str) -> Page {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PAGE_TIMEOUT)).unwrap();
    let head = format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n{body}");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("{what}: no end of the headers in {answer:?}"));
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let page = Page { status, head, body: answer[end + 4..].to_vec() };
    if let Some(length) = page.header("content-length") {
        assert_eq!(length.parse(), Ok(page.body.len()), "{what}: cut off");
    }
    page
}

/// How many entries a folder of `/proc` has.
pub fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
