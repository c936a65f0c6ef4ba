//! The file that carries an app's latest start and pause from one process to the next.
//!
//! One line of text of fixed length, written in place, so that a full disk cannot stop it. A crash of the process
//! leaves it whole in the page cache; after a crash of the machine the boot id tells that its clock means nothing.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::Moment;

/// Length of the start's line and of the pause's line.
const LINE_BYTES: usize = 128;

/// What marks a fixed pause in the file.
const FIXED: &str = "fixed";

/// A pause that outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// No start before this, Unix seconds.
    pub resume_at: i64,
    /// The upstream named the time.
    pub fixed: bool,
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

/// The slot file of one app.
#[derive(Debug)]
pub struct Slot {
    file: File,
    path: PathBuf,
    pub(super) boot: String,
    /// Tells our own records from those of other processes.
    writer: u64,
}

impl Slot {
    /// Opens or creates the slot file of `app` in `folder`, which is created 0700 if it is missing.
    ///
    /// # Errors
    /// The folder or the file cannot be made or opened.
    pub fn open(folder: &Path, app: &str) -> Result<Slot, SlotError> {
        let path = folder.join(format!("{app}.slot"));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| SlotError { path: folder.to_owned(), source })?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options.map_err(|source| SlotError { path: path.clone(), source })?;
        Ok(Slot { file, path, boot: boot_id(), writer: fastrand::u64(..) })
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

    pub(super) fn read_pause(&self) -> Result<Option<Pause>, SlotError> {
        let line = self.read_line(1)?.unwrap_or_default();
        let mut words = line.split_whitespace();
        let resume_at = words.next().and_then(|word| word.parse().ok()).filter(|at| *at > 0);
        Ok(resume_at.map(|resume_at| Pause { resume_at, fixed: words.next() == Some(FIXED) }))
    }

    pub(super) fn write_pause(&self, pause: Option<Pause>) -> Result<(), SlotError> {
        let text = match pause {
            None => "0".to_owned(),
            Some(Pause { resume_at, fixed: true }) => format!("{resume_at} {FIXED}"),
            Some(Pause { resume_at, fixed: false }) => resume_at.to_string(),
        };
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

/// Names the present boot of the machine; where the system does not tell, every process counts as a new boot, which
/// costs one interval at start.
fn boot_id() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
        _ => format!("process-{}-{}", std::process::id(), fastrand::u64(..)),
    }
}
