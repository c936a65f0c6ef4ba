//! The file that carries a budget's latest start and pause from one process to the next.
//!
//! One line of text of fixed length, written in place, so that a full disk cannot stop it. A crash of the process
//! leaves it whole in the page cache; after a crash of the machine the boot id tells that its clock means nothing.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::Moment;
use crate::sys::boot_id;

/// Length of the start's line and of the pause's line.
const LINE_BYTES: usize = 128;

/// What marks a fixed pause in the file.
const FIXED: &str = "fixed";

/// What stands in its place for another pause.
const NOT_FIXED: &str = "-";

/// A pause that outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// No start before this, Unix seconds.
    pub resume_at: i64,
    /// The upstream named the time.
    pub fixed: bool,
}

/// A pause, and the app that met it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptPause {
    pub pause: Pause,
    /// Empty where an earlier version wrote it: files were named by the app then.
    pub app: String,
}

/// The slot file failed: which, and how.
#[derive(Debug, thiserror::Error)]
#[error("budget file {}: {source}", path.display())]
pub struct SlotError {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

/// How far the latest start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Taken; whether the request has left is not known yet.
    Taken,
    /// Handed to the network.
    Sent,
}

/// The latest start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub phase: Phase,
    pub at: Moment,
    writer: u64,
}

/// What the file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is new.
    Never,
    /// It is no record.
    Unreadable,
    /// A record of before the machine started, whose clock means nothing now.
    OtherBoot,
    Record(Record),
}

impl Found {
    /// When the latest start was, at the latest. Nobody knows it of a file that cannot be read or is of another boot: a
    /// full interval from now is always enough. Or whoever took the start died before it could say that it had sent: the
    /// request may be on its way just now.
    pub fn at_latest(&self, now: Moment) -> Moment {
        match self {
            Found::Record(Record { phase: Phase::Sent, at, .. }) if *at <= now => *at,
            _ => now,
        }
    }
}

/// The slot file of one budget.
#[derive(Debug)]
pub(super) struct Slot {
    file: File,
    path: PathBuf,
    pub(super) boot: String,
    /// Tells our own records from those of other processes.
    writer: u64,
}

impl Slot {
    /// Opens or creates the slot file of that name in `folder`, which is created 0700 if it is missing.
    ///
    /// # Errors
    /// The folder or the file cannot be made or opened.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Slot, SlotError> {
        let path = folder.join(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| SlotError { path: folder.to_owned(), source })?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options.map_err(|source| SlotError { path: path.clone(), source })?;
        Ok(Slot::of(file, path))
    }

    /// Opens the slot file at `path` if it is there.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn existing(path: &Path) -> Result<Option<Slot>, SlotError> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => Ok(Some(Slot::of(file, path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SlotError { path: path.to_owned(), source }),
        }
    }

    fn of(file: File, path: PathBuf) -> Slot {
        Slot { file, path, boot: boot_id(), writer: fastrand::u64(..) }
    }

    /// True if this process wrote the record.
    pub(super) fn is_own(&self, record: &Record) -> bool {
        record.writer == self.writer
    }

    /// Takes the lock if nobody holds it.
    pub(super) fn try_lock(&self) -> Result<bool, SlotError> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(false),
            Err(errno) => Err(self.error(errno.into())),
        }
    }

    pub(super) fn unlock(&self) -> Result<(), SlotError> {
        rustix::fs::flock(&self.file, FlockOperation::Unlock).map_err(|errno| self.error(errno.into()))
    }

    /// Reads the latest start; the lock must be held.
    pub(super) fn read(&self) -> Result<Found, SlotError> {
        let Some(line) = self.read_line(0)? else {
            return Ok(Found::Never);
        };
        let mut words = line.split_whitespace();
        let (Some(boot), Some(phase), Some(at), Some(writer)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Ok(Found::Unreadable);
        };
        let phase = match phase {
            "taken" => Phase::Taken,
            "sent" => Phase::Sent,
            _ => return Ok(Found::Unreadable),
        };
        match (at.parse(), writer.parse()) {
            (Ok(at), Ok(writer)) if boot == self.boot => {
                Ok(Found::Record(Record { phase, at: Moment(at), writer }))
            }
            (Ok(_), Ok(_)) => Ok(Found::OtherBoot),
            _ => Ok(Found::Unreadable),
        }
    }

    /// Writes the latest start; the lock must be held.
    pub(super) fn write(&self, phase: Phase, at: Moment) -> Result<(), SlotError> {
        let phase = match phase {
            Phase::Taken => "taken",
            Phase::Sent => "sent",
        };
        self.write_line(0, &format!("{} {phase} {} {}", self.boot, at.0, self.writer))
    }

    pub(super) fn read_pause(&self) -> Result<Option<KeptPause>, SlotError> {
        let line = self.read_line(1)?.unwrap_or_default();
        let mut words = line.split_whitespace();
        let resume_at = words.next().and_then(|word| word.parse().ok()).filter(|at| *at > 0);
        let fixed = words.next() == Some(FIXED);
        let app = words.next().unwrap_or_default().to_owned();
        Ok(resume_at.map(|resume_at| KeptPause { pause: Pause { resume_at, fixed }, app }))
    }

    pub(super) fn write_pause(&self, kept: Option<&KeptPause>) -> Result<(), SlotError> {
        let text = kept.map_or_else(
            || "0".to_owned(),
            |KeptPause { pause, app }| {
                let fixed = if pause.fixed { FIXED } else { NOT_FIXED };
                format!("{} {fixed} {app}", pause.resume_at)
            },
        );
        self.write_line(1, &text)
    }

    /// `None` where that line was never written; one that is not text reads as empty.
    fn read_line(&self, line: u64) -> Result<Option<String>, SlotError> {
        let mut bytes = [0; LINE_BYTES];
        let read = self.file.read_at(&mut bytes, line * LINE_BYTES as u64);
        match read.map_err(|source| self.error(source))? {
            n if bytes[..n].iter().all(|byte| *byte == 0) => Ok(None),
            n => Ok(Some(std::str::from_utf8(&bytes[..n]).unwrap_or_default().to_owned())),
        }
    }

    fn write_line(&self, line: u64, text: &str) -> Result<(), SlotError> {
        let width = LINE_BYTES - 1;
        let padded = format!("{text:<width$}\n");
        let written = self.file.write_all_at(padded.as_bytes(), line * LINE_BYTES as u64);
        written.map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> SlotError {
        SlotError { path: self.path.clone(), source }
    }
}
