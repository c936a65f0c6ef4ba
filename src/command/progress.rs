//! A line on the terminal that tells what is waited for, where that takes longer than a second.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is done sooner is not spoken of; after that the line is written anew as often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Back to the first column, and nothing on the line.
const CLEAR: &str = "\r\x1b[2K";

/// What is being done.
pub struct Progress(RefCell<Doing>);

struct Doing {
    what: String,
    since: Instant,
}

impl Progress {
    pub fn new(what: impl Into<String>) -> Progress {
        Progress(RefCell::new(Doing { what: what.into(), since: Instant::now() }))
    }

    /// From now on this is being done.
    pub fn now(&self, what: impl Into<String>) {
        self.0.replace(Doing { what: what.into(), since: Instant::now() });
    }

    /// Does the work and tells of it on stderr, if that is a terminal. Nothing of it is left there at the end.
    pub async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        if !std::io::stderr().is_terminal() {
            return work.await;
        }
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval_at((Instant::now() + TELL_EVERY).into(), TELL_EVERY);
        let mut has_told = false;
        let done = loop {
            tokio::select! {
                biased;
                done = &mut work => break done,
                _ = ticks.tick() => {
                    say(&self.line());
                    has_told = true;
                }
            }
        };
        if has_told {
            say(CLEAR);
        }
        done
    }

    fn line(&self) -> String {
        let doing = self.0.borrow();
        format!("{CLEAR}{} … {} s", doing.what, doing.since.elapsed().as_secs())
    }
}

fn say(text: &str) {
    let mut terminal = std::io::stderr().lock();
    // Nobody misses a line of progress on a terminal that is gone.
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}
