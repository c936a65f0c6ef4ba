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
/// less than the shortest time, in which a busy system comes to run whoever receives it. It is paid once for each process
/// that begins, which takes longer.
const FOREIGN_SHARE: f64 = 0.1;
const LEAST_FOREIGN: Duration = Duration::from_millis(5);

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
    /// The latest start of another process, or when it may have been at the latest; kept as a moment and not as the end
    /// of a wait, because a reload may change the interval meanwhile.
    foreign_at: Option<Moment>,
}

impl Budget {
    /// Opens the budget of `app` under `folder`, which is created 0700 if it is missing, at `requests_per_second`.
    ///
    /// # Errors
    /// The slot file cannot be created or read.
    pub fn open(folder: &Path, app: &str, requests_per_second: f64) -> Result<Budget, SlotError> {
        let slot = Slot::open(folder, app)?;
        Ok(Budget { pace: Pace::new(requests_per_second), slot, foreign_at: None })
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
        self.pace.earliest().max(self.after_foreign())
    }

    /// When the starts of other processes that are known let one of ours through.
    fn after_foreign(&self) -> Moment {
        let interval = self.pace.interval();
        let spacing = interval + interval.mul_f64(FOREIGN_SHARE).max(LEAST_FOREIGN);
        self.foreign_at.map_or_else(Moment::default, |at| at.after(spacing))
    }

    /// Tries to take the next start, which may lie up to `lead` ahead. Once it is taken the caller must send at its
    /// moment and then call [`Budget::sent`].
    ///
    /// # Errors
    /// The slot file cannot be locked, read or written: no request may start, since the next process would not know.
    pub fn take(&mut self, lead: Duration) -> Result<Turn, SlotError> {
        self.take_at(Moment::now(), lead)
    }

    fn take_at(&mut self, now: Moment, lead: Duration) -> Result<Turn, SlotError> {
        let earliest = self.earliest();
        if now.after(lead) < earliest {
            return Ok(Turn::NotBefore(earliest));
        }
        if !self.slot.try_lock()? {
            return Ok(Turn::NotBefore(now.after(LOCK_RETRY)));
        }
        let free_at = self.take_locked(now);
        if !matches!(free_at, Ok(None)) {
            self.slot.unlock()?; // Others may start where this process cannot.
        }
        Ok(free_at?.map_or(Turn::Taken(earliest), Turn::NotBefore))
    }

    /// Writes that a request starts, unless that may be only later: then it tells when.
    fn take_locked(&mut self, now: Moment) -> Result<Option<Moment>, SlotError> {
        self.look_for_others(now)?;
        let free_at = self.after_foreign();
        if now < free_at {
            return Ok(Some(free_at));
        }
        self.slot.write(slot::Phase::Taken, now)?;
        Ok(None)
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
        while let Turn::NotBefore(free_at) = self.take_held(Moment::now())? {
            tokio::time::sleep(free_at.since(Moment::now())).await;
        }
        Ok(())
    }

    /// As [`Budget::take`], with the slot held already.
    fn take_held(&mut self, now: Moment) -> Result<Turn, SlotError> {
        self.look_for_others(now)?;
        let earliest = self.earliest();
        if now < earliest {
            return Ok(Turn::NotBefore(earliest));
        }
        self.slot.write(slot::Phase::Taken, now)?;
        Ok(Turn::Taken(now))
    }

    /// Learns from the slot file when another process started last; the lock must be held.
    fn look_for_others(&mut self, now: Moment) -> Result<(), SlotError> {
        let at = match self.slot.read()? {
            slot::Found::Never => return Ok(()),
            slot::Found::Record(record) if self.slot.is_own(&record) => return Ok(()),
            slot::Found::Record(slot::Record { phase: slot::Phase::Sent, at, .. }) if at <= now => at,
            // Nobody knows when the last start was: a full interval from now is always enough. Or whoever took it died
            // before it could say that it had sent: the request may be on its way just now.
            slot::Found::Unreadable | slot::Found::OtherBoot | slot::Found::Record(_) => {
                self.slot.write(slot::Phase::Sent, now)?;
                now
            }
        };
        self.foreign_at = self.foreign_at.max(Some(at));
        Ok(())
    }

    /// The request taken was handed to the network at `at`, or failed at `at` before it could be.
    ///
    /// # Errors
    /// The slot file cannot be written or unlocked.
    pub fn sent(&mut self, at: Moment) -> Result<(), SlotError> {
        self.pace.started(at);
        let written = self.slot.write(slot::Phase::Sent, at);
        self.slot.unlock()?;
        written
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
mod model_tests;
#[cfg(test)]
mod tests;
