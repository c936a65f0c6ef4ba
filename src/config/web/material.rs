//! What was read of a file and the files that it names, so that a change of any of them is seen.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::secret::contents;

/// Reads files and remembers what they held, as a digest.
#[derive(Debug, Default)]
pub(super) struct Reader(RefCell<ReadFiles>);

/// The files that were read, and what they held then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadFiles(Vec<(PathBuf, [u8; 32])>);

impl Reader {
    /// What the file holds.
    ///
    /// # Errors
    /// What is wrong with it, without its name.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let read = contents(path);
        self.0.borrow_mut().0.push((path.to_owned(), digest(&read)));
        read
    }

    pub(super) fn seen(self) -> ReadFiles {
        self.0.into_inner()
    }
}

impl ReadFiles {
    /// Whether the files still hold the same. Reads them, since neither time nor length of a file tells for sure: they
    /// are small and few. Blocks.
    pub fn is_current(&self) -> bool {
        self.0.iter().all(|(path, seen)| digest(&contents(path)) == *seen)
    }
}

/// Of what a file holds, or of the reason why that cannot be told.
fn digest(read: &Result<Vec<u8>, String>) -> [u8; 32] {
    let mut digest = Sha256::new();
    match read {
        Ok(bytes) => digest.update(bytes),
        Err(why) => {
            digest.update(b"\0fault ");
            digest.update(why);
        }
    }
    digest.finalize().into()
}
