//! When the next question may start: never within the spacing of the one before, whoever asked it.
//!
//! The upstream allows an app one request per interval and measures it by its own clock, so what counts is when
//! requests *arrive*. [`Pace`] keeps the spacing inside one process; [`Slot`] carries the latest start through a file
//! to the next process and to a `trace` run beside the daemon.

mod pace;
mod slot;

use std::path::Path;
use std::time::Duration;

pub use pace::Pace;
pub use slot::{Pause, Slot, SlotError};

/// A moment of the system's monotonic clock, in nanoseconds: comparable between processes of one boot, not touched
/// by steps of the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The present moment.
    pub fn now() -> Moment {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Moment(seconds * 1_000_000_000 + nanos)
    }

    /// Time from `earlier` to this moment; zero if it lies ahead.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment earlier by `by`.
    pub fn before(self, by: Duration) -> Moment {
        Moment(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// This moment later by `by`.
    pub fn after(self, by: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// How far behind a start recorded by another process its request may arrive: this share of the interval, but never
/// less than the shortest time.
const FOREIGN_SHARE: f64 = 0.03;
const LEAST_FOREIGN: Duration = Duration::from_millis(2);

/// What [`Budget::take`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The start is taken; nothing may be sent before that moment.
    Taken(Moment),
    /// It is not; ask again then.
    NotBefore(Moment),
}

/// The budget of one app: its pace, and the slot that outlives the process.
#[derive(Debug)]
pub struct Budget {
    pace: Pace,
    slot: Slot,
    /// No start before this moment, on account of other processes.
    foreign_until: Moment,
}

impl Budget {
    /// Opens the budget of `app` under `folder`, which is created 0700 if it is missing, at `requests_per_second`.
    ///
    /// # Errors
    /// The slot file cannot be created or read.
    pub fn open(folder: &Path, app: &str, requests_per_second: f64) -> Result<Budget, SlotError> {
        let slot = Slot::open(folder, app)?;
        Ok(Budget { pace: Pace::new(requests_per_second), slot, foreign_until: Moment::default() })
    }

    /// The pace of this process.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The pace of this process, to be told what happened.
    pub fn pace_mut(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// The earliest moment of the next start as far as this process knows; [`Budget::take`] may know better.
    pub fn earliest(&self) -> Moment {
        self.pace.earliest().max(self.foreign_until)
    }

    /// Tries to take the next start, which may lie up to `lead` ahead. Once it is taken the caller must send at its
    /// moment and then call [`Budget::sent`].
    ///
    /// # Errors
    /// The slot file cannot be locked, read or written: no request may start, since the next process would not know.
    pub fn take(&mut self, lead: Duration) -> Result<Turn, SlotError> {
        let now = Moment::now();
        let earliest = self.earliest();
        if now.after(lead) < earliest {
            return Ok(Turn::NotBefore(earliest));
        }
        if !self.slot.try_lock()? {
            return Ok(Turn::NotBefore(now.after(LOCK_RETRY)));
        }
        let free_at = self.free_at(now)?;
        if now < free_at {
            self.slot.unlock()?;
            self.foreign_until = free_at;
            return Ok(Turn::NotBefore(free_at));
        }
        self.slot.write(slot::Phase::Taken, now)?;
        Ok(Turn::Taken(earliest))
    }

    /// Waits for the next start and takes it, as [`Budget::take`] does. Holds the slot while it waits, so that a daemon
    /// which asks all the time lets it through.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub async fn wait_and_take(&mut self) -> Result<(), SlotError> {
        while !self.slot.try_lock()? {
            tokio::time::sleep(LOCK_RETRY).await;
        }
        loop {
            let now = Moment::now();
            let free_at = self.free_at(now)?.max(self.earliest());
            if free_at <= now {
                return self.slot.write(slot::Phase::Taken, now);
            }
            self.foreign_until = free_at;
            tokio::time::sleep(free_at.since(now)).await;
        }
    }

    /// When what the slot file says lets a start of ours through.
    fn free_at(&self, now: Moment) -> Result<Moment, SlotError> {
        let interval = self.pace.interval();
        let spacing = interval + interval.mul_f64(FOREIGN_SHARE).max(LEAST_FOREIGN);
        let found = match self.slot.read()? {
            slot::Found::Never => return Ok(Moment::default()),
            slot::Found::Unreadable | slot::Found::OtherBoot => {
                // Nobody knows when the last start was: a full interval from now is always enough.
                self.slot.write(slot::Phase::Sent, now)?;
                return Ok(now.after(spacing));
            }
            slot::Found::Record(record) => record,
        };
        if self.slot.is_own(&found) {
            return Ok(Moment::default());
        }
        match found.phase {
            // Whoever took it died before it could say that it had sent: the request may be on its way just now.
            slot::Phase::Taken => {
                self.slot.write(slot::Phase::Sent, now)?;
                Ok(now.after(spacing))
            }
            slot::Phase::Sent => Ok(found.at.after(spacing)),
        }
    }

    /// The request taken was handed to the network at `at`, or failed at `at` before it could be.
    ///
    /// # Errors
    /// The slot file cannot be written or unlocked.
    pub fn sent(&mut self, at: Moment) -> Result<(), SlotError> {
        self.pace.started(at);
        self.slot.write(slot::Phase::Sent, at)?;
        self.slot.unlock()
    }

    /// Carries a pause, or its end, over a restart.
    ///
    /// # Errors
    /// The slot file cannot be written.
    pub fn keep_pause(&self, pause: Option<Pause>) -> Result<(), SlotError> {
        self.slot.write_pause(pause)
    }

    /// The pause that an earlier process left.
    ///
    /// # Errors
    /// The slot file cannot be read.
    pub fn kept_pause(&self) -> Result<Option<Pause>, SlotError> {
        self.slot.read_pause()
    }
}

/// How soon to try again when another process holds the slot.
const LOCK_RETRY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests;
