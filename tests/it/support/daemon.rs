//! The daemon as a child process: started, asked, killed; all that it says is kept.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use rustix::process::{Pid, Signal};

use super::wait_for;
use crate::support_b::Scrape;
use crate::support_b::child::{Said, address_in, drain};

/// No answer of the daemon takes longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of the log a failed test shows.
const LOG_TAIL_BYTES: usize = 4_000;

/// A running `timpush_exporter`; killed when dropped.
pub struct Daemon {
    child: Child,
    stdout: Said,
    stderr: Said,
    client: reqwest::Client,
    address: Option<SocketAddr>,
}

/// An answer of the daemon.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// Names another build of the binary, such as the one that is released.
const BINARY: &str = "TIMPUSH_BINARY";

/// The binary under test, to be run in `folder` with nothing of the environment that would change it.
pub fn binary(folder: &Path) -> Command {
    let built = std::env::var_os(BINARY).unwrap_or_else(|| env!("CARGO_BIN_EXE_timpush_exporter").into());
    let mut command = Command::new(built);
    command.current_dir(folder).stdin(Stdio::null());
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// A client without proxies; of one runtime.
pub fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT);
    builder.build().unwrap()
}

impl Daemon {
    /// Starts it in `folder` with `config.yaml` and the storage `data` there, on a free port, and with these flags
    /// beside.
    pub fn spawn(folder: &Path, flags: &[&str]) -> Daemon {
        Daemon::run(binary(folder), flags)
    }

    /// As [`Daemon::spawn`], by that command.
    pub fn run(mut command: Command, flags: &[&str]) -> Daemon {
        command.arg("--web.listen-address=127.0.0.1:0").args(flags);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        Daemon { child, stdout, stderr, client: client(), address: None }
    }

    /// Waits until it says where it listens.
    pub async fn listening(&mut self) -> SocketAddr {
        if let Some(address) = self.address {
            return address;
        }
        let address = wait_for("the address in the log", async || {
            if let Some(status) = self.ended() {
                panic!("the daemon ended with {status} at its start:\n{}", self.stderr());
            }
            address_in(&self.stderr()).ok_or_else(|| "no line says listening".to_owned())
        })
        .await;
        self.address = Some(address);
        address
    }

    /// Waits until `/-/ready` says so.
    pub async fn ready(&mut self) {
        self.listening().await;
        wait_for("readiness", async || match self.get("/-/ready").await {
            Ok(reply) if reply.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// `http://address` of a daemon that is [`Daemon::listening`].
    pub fn url(&self) -> String {
        format!("http://{}", self.address.expect("a test waits for the address first"))
    }

    /// What GET gives.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply, reqwest::Error> {
        let response = self.client.get(format!("{}{path}", self.url())).send().await?;
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await?,
        })
    }

    /// What `/metrics` shows.
    pub async fn scrape(&self) -> Scrape {
        let reply = self.get("/metrics").await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        Scrape::read(&reply.body)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.close();
    }

    /// SIGTERM; gives how it ended and how long that took.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.signal(Signal::TERM);
        let status = wait_for("the end after SIGTERM", async || {
            self.ended().ok_or_else(|| "it still runs".to_owned())
        })
        .await;
        self.close();
        (status, began.elapsed())
    }

    /// All it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// All it has written to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Reads the pipes to their end, which comes once the child is gone.
    fn close(&mut self) {
        self.stdout.close();
        self.stderr.close();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.close();
        if std::thread::panicking() {
            let log = self.stderr();
            let tail = log.len().saturating_sub(LOG_TAIL_BYTES);
            let tail = log.get(tail..).unwrap_or(&log);
            eprintln!("the end of the daemon's log:\n{tail}");
        }
    }
}
