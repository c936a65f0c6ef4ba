//! Reads a credential's file or variable: the one thing about signatures that may block.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::SecretString;

use super::{Credential, CredentialFault, MAX_CREDENTIAL_BYTES, credential_text};
use crate::sys::{self, Hung, ReadError};

/// Two equal stamps mean the same content, but for writes within one tick of the file system's clock; those are
/// found after the next refusal, see [`super::Signer::renew`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CredentialStamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl CredentialStamp {
    fn of(metadata: &Metadata) -> CredentialStamp {
        CredentialStamp {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a credential holds, and the stamp of its file.
pub(super) type Material = (SecretString, Option<CredentialStamp>);

/// One reading of a credential that is still to be done; see [`super::Signer::reading`].
#[derive(Clone, Debug)]
pub struct Reading {
    pub(super) credential: Credential,
    /// Of the content that is known; a file that still has it is not read.
    pub(super) known: Option<CredentialStamp>,
}

/// What a [`Reading`] came to; for [`super::Signer::take`].
#[derive(Debug)]
pub struct CredentialRead {
    pub(super) credential: Credential,
    /// `None` where the file is as it was.
    pub(super) result: Result<Option<Material>, CredentialFault>,
}

impl Reading {
    /// Reads. Blocks, for ever where a file system hangs.
    pub fn run(self) -> CredentialRead {
        let result = self.read();
        CredentialRead { credential: self.credential, result }
    }

    /// It was given up.
    pub fn hung(self, hung: Hung) -> CredentialRead {
        CredentialRead { credential: self.credential, result: Err(CredentialFault::Hung(hung)) }
    }

    fn read(&self) -> Result<Option<Material>, CredentialFault> {
        let (bytes, stamp) = match &self.credential {
            Credential::KeyFile(path) | Credential::UserSigFile(path) => match read_file(path, self.known)? {
                Some((bytes, stamp)) => (bytes, Some(stamp)),
                None => return Ok(None),
            },
            Credential::KeyEnv(name) => {
                (std::env::var_os(name).ok_or(CredentialFault::Unset)?.into_encoded_bytes(), None)
            }
        };
        Ok(Some((credential_text(&bytes)?, stamp)))
    }
}

/// The bytes of the file and its stamp; `None` where the stamp is still `known`.
fn read_file(
    path: &Path,
    known: Option<CredentialStamp>,
) -> Result<Option<(Vec<u8>, CredentialStamp)>, ReadError> {
    let (mut file, metadata) = sys::open(path)?;
    // Taken before the content: a write in between shows as another stamp at the next reading.
    let stamp = CredentialStamp::of(&metadata);
    if known == Some(stamp) {
        return Ok(None);
    }
    Ok(Some((sys::read_opened(&mut file, &metadata, MAX_CREDENTIAL_BYTES)?, stamp)))
}

impl From<ReadError> for CredentialFault {
    fn from(error: ReadError) -> CredentialFault {
        match error {
            ReadError::Io(error) => CredentialFault::Unreadable(error.kind()),
            ReadError::NotRegular(kind) => CredentialFault::NotRegular(kind),
            ReadError::TooLong(_) => CredentialFault::TooLong,
        }
    }
}
