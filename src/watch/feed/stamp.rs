//! What tells one version of a file from another without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// A file changed less than this ago may change again without a trace: file systems count time in ticks, some of
/// them of two seconds.
const TICK: Duration = Duration::from_secs(2);

/// Identity, length and times of a file, symbolic links followed: the swap of a link shows as another identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    device: u64,
    inode: u64,
    length_bytes: u64,
    modified_at: (i64, i64),
    changed_at: (i64, i64),
}

impl FileStamp {
    pub(super) fn of(metadata: &Metadata) -> FileStamp {
        FileStamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            length_bytes: metadata.len(),
            modified_at: (metadata.mtime(), metadata.mtime_nsec()),
            changed_at: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether it is the same file, changed or not: one that was moved into its place is another.
    pub(super) fn is_same_file(&self, other: &FileStamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether the content was last written so long before `now`. False where the time is too coarse to tell, or ahead.
    pub(super) fn is_older_than(&self, age: Duration, now: SystemTime) -> bool {
        let (_, nanos) = self.modified_at;
        let age = if nanos == 0 { age + TICK } else { age };
        nanos_since(self.modified_at, now).is_some_and(|nanos| nanos >= age.as_nanos().cast_signed())
    }

    /// Whether the same stamp at `now` or later means the same content.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let Some(age) = nanos_since(self.changed_at, now) else {
            return false;
        };
        // A time well ahead is that of another machine's clock: nothing can be said by it, and to read the file at
        // every look until then does not help.
        age.unsigned_abs() >= TICK.as_nanos()
    }
}

/// Below 0 for a time ahead; `None` where `now` is before 1970.
fn nanos_since((seconds, nanos): (i64, i64), now: SystemTime) -> Option<i128> {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let at = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Some(i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX) - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(modified_at: (i64, i64), changed_at: (i64, i64)) -> FileStamp {
        FileStamp { device: 1, inode: 1, length_bytes: 1, modified_at, changed_at }
    }

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_file_that_was_written_a_while_ago_is_told_from_one_that_may_be_being_written() {
        let second = Duration::from_secs(1);
        let fine = stamp((1_000, 500_000_000), (0, 0));
        for (millis, is_older) in [(0, false), (1_000_500, false), (1_001_499, false), (1_001_500, true)] {
            assert_eq!(fine.is_older_than(second, at(millis)), is_older, "{millis}");
        }
        // A file system that counts in two seconds may show it as two seconds older than it is.
        let coarse = stamp((1_000, 0), (0, 0));
        assert!(!coarse.is_older_than(second, at(1_002_999)) && coarse.is_older_than(second, at(1_003_000)));
    }

    #[test]
    fn a_file_just_changed_is_not_settled() {
        let stamp = stamp((0, 0), (1_000, 500_000_000));
        for (millis, settled) in
            [(990_000, true), (999_000, false), (1_000_500, false), (1_002_499, false), (1_002_500, true)]
        {
            assert_eq!(stamp.is_settled(at(millis)), settled, "{millis}");
        }
    }
}
