//! One file of a pattern: when a change of it counts, and the last good list it gave.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::super::{ListFormat, MAX_LIST_BYTES};
use super::held::{Document, Held};
use super::report::SourceNews;
use super::stamp::FileStamp;
use crate::sys::{self, ReadError};

/// A file that is being written is read once it has been the same for this long.
pub const SETTLE: Duration = Duration::from_secs(1);
/// A file that has changed at so many looks in a row, one [`SETTLE`] apart, is an error of the source.
const MOST_CHANGES: u32 = 30;

/// What is known of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct ListFile {
    held: Held,
    /// Of the content read last.
    read: Option<Read>,
    pending: Option<Pending>,
    /// Whether the look before did not find it.
    is_missed: bool,
}

/// A content that was read.
#[derive(Clone, Copy, Debug)]
struct Read {
    stamp: FileStamp,
    /// False if it may have changed since without another stamp.
    is_settled: bool,
}

/// A change that was seen and does not count yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// `None` if it changed while it was read.
    stamp: Option<FileStamp>,
    /// Looks in a row that saw a change.
    looks: u32,
}

/// What the look at a pattern shares among its files.
pub(super) struct FileLook<'a> {
    pub(super) watch_labels: &'a [Box<str>],
    /// Nothing was known before: what is there is taken, whether it is whole or not, and corrected soon.
    pub(super) is_first: bool,
    pub(super) left_bytes: u64,
}

/// What a file shows.
enum Seen {
    /// The content read last.
    Same,
    /// A content that may be half of one.
    Changing,
    Content(Vec<u8>),
}

impl ListFile {
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// Whether a change was seen that does not count yet.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some() || self.is_missed
    }

    /// Whether it was ever read.
    pub(super) fn is_read(&self) -> bool {
        self.held.is_read()
    }

    /// Has it parsed anew, by other watch labels.
    pub(super) fn forget_content(&mut self) {
        self.read = None;
        self.held.forget_content();
    }

    /// Looks at the file, and reads it if it changed and the change counts.
    pub(super) fn look(
        &mut self,
        (path, format): (&Path, ListFormat),
        look: &mut FileLook<'_>,
        news: &mut SourceNews,
    ) {
        self.is_missed = false;
        let shown = path.display().to_string();
        let outcome = match self.see(path, look) {
            Ok(Seen::Same) => Ok(()),
            Ok(Seen::Changing) if self.pending.is_some_and(|pending| pending.looks > MOST_CHANGES) => {
                let seconds = u64::from(MOST_CHANGES) * SETTLE.as_secs();
                Err(format!(
                    "has been changing for more than {seconds} s; expected a finished file, moved into its place"
                ))
            }
            Ok(Seen::Changing) => return self.held.stay(&shown, news),
            Ok(Seen::Content(bytes)) => {
                let document = Document { shown: &shown, format, bytes: &bytes };
                self.held.read(document, look.watch_labels, news);
                Ok(())
            }
            Err(trouble) => {
                self.read = None;
                self.pending = None;
                Err(trouble)
            }
        };
        self.held.end_look(&shown, outcome, news);
    }

    /// Takes its length from what is left to the pattern.
    fn see(&mut self, path: &Path, look: &mut FileLook<'_>) -> Result<Seen, String> {
        let metadata = fs::metadata(path).map_err(|error| cannot(&error))?;
        if metadata.len() > look.left_bytes {
            return Err(format!(
                "is {} bytes long; expected at most {} here ({MAX_LIST_BYTES} for all files of one pattern)",
                metadata.len(),
                look.left_bytes
            ));
        }
        look.left_bytes -= metadata.len();
        let stamp = FileStamp::of(&metadata);
        let before = self.read.filter(|read| read.stamp == stamp);
        if before.is_some_and(|read| read.is_settled) {
            self.pending = None;
            return Ok(Seen::Same);
        }
        let counts = look.is_first || before.is_some() || self.counts(&stamp);
        if !counts {
            return Ok(self.wait_for(Some(stamp)));
        }
        let begun_at = SystemTime::now();
        let (bytes, same) =
            read_whole(path).map_err(|error| format!("{error}; expected a readable file with a list"))?;
        let Some(stamp) = same else {
            return Ok(self.wait_for(None));
        };
        self.pending = None;
        self.read = Some(Read { stamp, is_settled: stamp.is_settled(begun_at) });
        Ok(Seen::Content(bytes))
    }

    /// Whether a change counts: the look before saw it, too, or it is another file that nobody writes to any more.
    fn counts(&self, stamp: &FileStamp) -> bool {
        let was_seen = self.pending.is_some_and(|pending| pending.stamp == Some(*stamp));
        let is_other = self.read.is_none_or(|read| !read.stamp.is_same_file(stamp));
        was_seen || is_other && stamp.is_older_than(SETTLE, SystemTime::now())
    }

    fn wait_for(&mut self, stamp: Option<FileStamp>) -> Seen {
        let looks = self.pending.map_or(0, |pending| pending.looks).saturating_add(1);
        self.pending = Some(Pending { stamp, looks });
        Seen::Changing
    }

    /// Whether a file that is gone stays in the list for another look: its writer may be about to put it back.
    pub(super) fn may_come_back(&self) -> bool {
        self.is_read() && !self.is_missed
    }

    /// The file as it is kept until the next look, without what it was read from.
    pub(super) fn without_file(self) -> ListFile {
        ListFile { is_missed: true, ..self }
    }

    /// The file is gone for good.
    pub(super) fn leave(self, path: &Path, news: &mut SourceNews) {
        if self.is_read() {
            self.held.leave(&path.display().to_string(), news);
        }
    }
}

/// All bytes of a file, and its stamp, `None` if it changed meanwhile.
fn read_whole(path: &Path) -> Result<(Vec<u8>, Option<FileStamp>), ReadError> {
    let (mut file, metadata) = sys::open(path)?;
    let before = FileStamp::of(&metadata);
    let bytes = sys::read_opened(&mut file, &metadata, MAX_LIST_BYTES as u64)?;
    let after = FileStamp::of(&file.metadata()?);
    Ok((bytes, (before == after).then_some(after)))
}

pub(super) fn cannot(error: &io::Error) -> String {
    format!("cannot be read ({error})")
}
