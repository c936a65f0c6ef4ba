//! What tells one version of a file from another without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// A file changed less than this ago may change again without a trace: file systems count time in ticks, some of
/// them of two seconds.
const TICK: Duration = Duration::from_secs(2);

/// Identity, length and times of a file, symbolic links followed: the swap of a link shows as another identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length_bytes: u64,
    modified_at: (i64, i64),
    changed_at: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            length_bytes: metadata.len(),
            modified_at: (metadata.mtime(), metadata.mtime_nsec()),
            changed_at: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the same stamp at `now` or later means the same content.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let Ok(since_epoch) = now.duration_since(SystemTime::UNIX_EPOCH) else {
            return false;
        };
        let (seconds, nanos) = self.changed_at;
        let changed_at = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let age = i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX) - changed_at;
        // A time well ahead is that of another machine's clock: nothing can be said by it, and to read the file at
        // every look until then does not help.
        age.unsigned_abs() >= TICK.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_just_changed_is_not_settled() {
        let stamp = Stamp {
            device: 1,
            inode: 1,
            length_bytes: 1,
            modified_at: (0, 0),
            changed_at: (1_000, 500_000_000),
        };
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        for (millis, settled) in
            [(990_000, true), (999_000, false), (1_000_500, false), (1_002_499, false), (1_002_500, true)]
        {
            assert_eq!(stamp.is_settled(at(millis)), settled, "{millis}");
        }
    }
}
