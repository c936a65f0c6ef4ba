//! Tells what is waited for, where that takes long: a line on a terminal, else lines in the log.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is done sooner is not spoken of; after that the line is written anew as often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// The same for the log, where no terminal shows it: only of work whose extent is known.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Back to the first column, and nothing on the line.
const CLEAR: &str = "\r\x1b[2K";
/// Columns of a bar.
const BAR_COLUMNS: u64 = 20;

/// Gives how many bytes are done, and of how many; 0 of 0 where that is not known yet.
type Measure = Box<dyn Fn() -> (u64, u64)>;

/// What is being done.
pub struct Progress(RefCell<Doing>);

struct Doing {
    what: String,
    since: Instant,
    measure: Option<Measure>,
}

impl Progress {
    pub fn new(what: impl Into<String>) -> Progress {
        Progress(RefCell::new(Doing { what: what.into(), since: Instant::now(), measure: None }))
    }

    /// From now on this is being done.
    pub fn now(&self, what: impl Into<String>) {
        self.0.replace(Doing { what: what.into(), since: Instant::now(), measure: None });
    }

    /// How far it is can be told.
    pub fn measure(&self, measure: impl Fn() -> (u64, u64) + 'static) {
        self.0.borrow_mut().measure = Some(Box::new(measure));
    }

    /// Does the work and tells of it on stderr. On a terminal nothing of it is left at the end.
    pub async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let is_terminal = std::io::stderr().is_terminal();
        let mut work = std::pin::pin!(work);
        let every = if is_terminal { TELL_EVERY } else { LOG_EVERY };
        let mut ticks = tokio::time::interval_at((Instant::now() + every).into(), every);
        let mut has_told = false;
        let done = loop {
            tokio::select! {
                biased;
                done = &mut work => break done,
                _ = ticks.tick() => if is_terminal {
                    say(&self.0.borrow().line());
                    has_told = true;
                } else {
                    self.0.borrow().log();
                }
            }
        };
        if has_told {
            say(CLEAR);
        }
        done
    }
}

impl Doing {
    fn line(&self) -> String {
        let took = self.since.elapsed();
        let far = self.far().map(|far| format!(" {}", far.bar())).unwrap_or_default();
        format!("{CLEAR}{} …{far} {} s", self.what, took.as_secs())
    }

    fn log(&self) {
        if let Some(far) = self.far() {
            let ends_at = jiff::Timestamp::now().as_second().saturating_add_unsigned(far.seconds_left());
            let ends_at = jiff::Timestamp::from_second(ends_at).unwrap_or_default();
            let Far { done, all, .. } = far;
            tracing::info!(bytes = done, of = all, bytes_per_second = far.rate(), %ends_at, "{}", self.what);
        }
    }

    fn far(&self) -> Option<Far> {
        let (done, all) = self.measure.as_ref().map(|measure| measure())?;
        (all > 0).then(|| Far { done, all, took: self.since.elapsed() })
    }
}

/// How far it is: bytes, and the time that these took.
struct Far {
    done: u64,
    all: u64,
    took: Duration,
}

impl Far {
    /// Bytes a second.
    fn rate(&self) -> u64 {
        (self.done as f64 / self.took.as_secs_f64().max(0.001)) as u64
    }

    fn seconds_left(&self) -> u64 {
        self.all.saturating_sub(self.done).div_ceil(self.rate().max(1))
    }

    fn bar(&self) -> String {
        let filled = (BAR_COLUMNS * self.done / self.all).min(BAR_COLUMNS);
        let (filled, free) = ("#".repeat(filled as usize), "-".repeat((BAR_COLUMNS - filled) as usize));
        let (percent, rate) = (100 * self.done / self.all, megabytes(self.rate()));
        let (all, left) = (megabytes(self.all), self.seconds_left());
        format!("[{filled}{free}] {percent} % of {all}, {rate}/s, {left} s left,")
    }
}

/// A size for people.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn say(text: &str) {
    let mut terminal = std::io::stderr().lock();
    // Nobody misses a line of progress on a terminal that is gone.
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_how_far_it_is_how_fast_and_how_long_it_takes() {
        let far = |done| Far { done, all: 400_000_000, took: Duration::from_secs(2) };
        assert_eq!(far(100_000_000).bar(), "[#####---------------] 25 % of 400.0 MB, 50.0 MB/s, 6 s left,");
        assert_eq!(far(400_000_000).bar(), "[####################] 100 % of 400.0 MB, 200.0 MB/s, 0 s left,");
        assert!(far(0).bar().starts_with("[--------------------] 0 % of 400.0 MB, 0.0 MB/s,"));
    }
}
