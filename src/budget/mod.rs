//! When the next request may start: never within the spacing of the one before, whoever sent it.
//!
//! The upstream allows an SDKAppID one request per interval and measures it by its own clock, so what counts is when
//! requests *arrive*. [`Pace`] keeps the spacing inside one process; `slot` carries the latest start through a file
//! to the next process and to a `trace` run beside the daemon. A budget belongs to a [`Key`]; apps of one process that
//! have the same key each have a [`Share`] of it.

mod key;
mod moment;
mod pace;
mod share;
mod slot;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use key::Key;
pub use moment::Moment;
pub use pace::Pace;
pub use share::{Budgets, Share, Start, Taken};
use slot::{KeptPause, Slot};
pub use slot::{Pause, SlotError};

/// A budget as it is configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How many apps share it; at least one.
    pub apps: usize,
    /// The lowest rate that one of them names.
    pub requests_per_second: f64,
}

impl Plan {
    /// What each app can use while all others want theirs, requests per second.
    pub fn part(self) -> f64 {
        self.requests_per_second / self.apps as f64
    }
}

/// How far behind a start recorded by another process its request may arrive: this share of the interval, but never
/// less than the shortest time, in which a busy system comes to run whoever receives it. It is paid once for each process
/// that begins, which takes longer.
const FOREIGN_SHARE: f64 = 0.1;
const LEAST_FOREIGN: Duration = Duration::from_millis(5);

/// What [`Budget::take_at`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The start is taken; nothing may be sent before that moment.
    Taken(Moment),
    /// It is not; ask again then.
    NotBefore(Moment),
}

/// The budget of one key: its pace, and the slot that outlives the process.
#[derive(Debug)]
struct Budget {
    pace: Pace,
    slot: Slot,
    /// The latest start of another process, or when it may have been at the latest; kept as a moment and not as the end
    /// of a wait, because a reload may change the interval meanwhile.
    foreign_at: Option<Moment>,
}

impl Budget {
    /// Opens the budget of `key` under `folder`, which is created 0700 if it is missing, at `requests_per_second`.
    ///
    /// # Errors
    /// The slot file cannot be created or read.
    fn open(folder: &Path, key: &Key, requests_per_second: f64) -> Result<Budget, SlotError> {
        let slot = Slot::open(folder, &key.file_name())?;
        Ok(Budget { pace: Pace::new(requests_per_second), slot, foreign_at: None })
    }

    /// The pace of this process.
    fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The pace of this process, to be told what happened.
    fn pace_mut(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// The earliest moment of the next start as far as this process knows; [`Budget::take_at`] may know better.
    fn earliest(&self) -> Moment {
        self.pace.earliest().max(self.after_foreign())
    }

    /// When the starts of other processes that are known let one of ours through.
    fn after_foreign(&self) -> Moment {
        let interval = self.pace.interval();
        let spacing = interval + interval.mul_f64(FOREIGN_SHARE).max(LEAST_FOREIGN);
        self.foreign_at.map_or_else(Moment::default, |at| at.after(spacing))
    }

    /// Takes over what the file of an earlier version says, which was named by the app; gives that file if all of it is
    /// on disk. While a start is taken, the slot is left alone.
    fn take_over(&mut self, folder: &Path, app: &str, is_taken: bool) -> Result<Option<PathBuf>, SlotError> {
        let path = folder.join(format!("{app}.slot"));
        let Some(old) = Slot::existing(&path)? else {
            return Ok(None);
        };
        let at = match old.read()? {
            slot::Found::Never => None,
            found => Some(found.at_latest(Moment::now())),
        };
        self.foreign_at = self.foreign_at.max(at);
        if is_taken || !self.slot.try_lock()? {
            return Ok(None);
        }
        let written = self.write_over(at, old.read_pause()?, app);
        self.slot.unlock()?;
        written.map(|()| Some(path))
    }

    /// Writes a start and a pause that stand in another file, where they are later than what stands here.
    fn write_over(
        &mut self,
        at: Option<Moment>,
        pause: Option<KeptPause>,
        app: &str,
    ) -> Result<(), SlotError> {
        let now = Moment::now();
        self.look_for_others(now)?;
        let here = match self.slot.read()? {
            slot::Found::Never => None,
            found => Some(found.at_latest(now)),
        };
        if let Some(at) = at.filter(|at| here < Some(*at)) {
            self.slot.write(slot::Phase::Sent, at)?;
        }
        let resume_at = self.slot.read_pause()?.map(|kept| kept.pause.resume_at);
        if let Some(kept) = pause.filter(|kept| resume_at < Some(kept.pause.resume_at)) {
            self.slot.write_pause(Some(&KeptPause { app: app.to_owned(), ..kept }))?;
        }
        Ok(())
    }

    /// Tries to take the next start, which may lie up to `lead` ahead. Once it is taken the caller must send at its
    /// moment and then call [`Budget::sent`].
    ///
    /// # Errors
    /// The slot file cannot be locked, read or written: no request may start, since the next process would not know.
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

    /// Takes the slot while waiting for a start; false if another process has it.
    fn hold(&self) -> Result<bool, SlotError> {
        self.slot.try_lock()
    }

    /// As [`Budget::take_at`], with the slot held already.
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
        let found = self.slot.read()?;
        match found {
            slot::Found::Never => return Ok(()),
            slot::Found::Record(record) if self.slot.is_own(&record) => return Ok(()),
            _ => {}
        }
        let at = found.at_latest(now);
        if at == now {
            self.slot.write(slot::Phase::Sent, now)?;
        }
        self.foreign_at = self.foreign_at.max(Some(at));
        Ok(())
    }

    /// The request taken was handed to the network at `at`, or failed at `at` before it could be.
    ///
    /// # Errors
    /// The slot file cannot be written or unlocked.
    fn sent(&mut self, at: Moment) -> Result<(), SlotError> {
        self.pace.started(at);
        let written = self.slot.write(slot::Phase::Sent, at);
        self.slot.unlock()?;
        written
    }

    fn keep_pause(&self, kept: Option<&KeptPause>) -> Result<(), SlotError> {
        self.slot.write_pause(kept)
    }

    fn kept_pause(&self) -> Result<Option<KeptPause>, SlotError> {
        self.slot.read_pause()
    }
}

/// How soon to try again when another process holds the slot.
const LOCK_RETRY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod share_tests;
#[cfg(test)]
mod tests;
