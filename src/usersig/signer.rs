//! Holds an app's credential and keeps a signature ready; told the time, and notices when the credential is replaced.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::text::url_alphabet;
use super::{Credential, Identity, Malformed, inspect, sign};

/// Lifetime of the signatures we make. The upstream advises at least 24 hours (domain sheet, section 7.1).
pub const LIFETIME_SECONDS: u64 = 48 * 3600;

/// A signature with less than this left is replaced: half of its lifetime.
const RENEW_BELOW_SECONDS: i64 = LIFETIME_SECONDS as i64 / 2;

/// Lifetimes of signatures that were asked for anew differ by less than this.
const DISTINCT_SECONDS: u64 = 600;
/// The credential's file is looked at no more often than this.
const LOOK_INTERVAL_SECONDS: i64 = 1;

/// Most bytes of a credential's file; a key has 64, a UserSig about 250.
const MAX_CREDENTIAL_BYTES: u64 = 16 * 1024;

/// A UserSig and the last second (Unix) in which it is good. `Debug` does not show the text.
#[derive(Clone, Debug)]
pub struct Signed {
    pub text: SecretString,
    pub expires_at: i64,
}

/// Why there is no signature. Names the file or variable, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("cannot read {place}: {kind}")]
    Unreadable { place: Credential, kind: io::ErrorKind },
    #[error("{place} is not set; put the secret key of the application into that environment variable")]
    Unset { place: Credential },
    #[error("{place} is empty")]
    Empty { place: Credential },
    #[error("{place} holds more than {MAX_CREDENTIAL_BYTES} bytes; a secret key has 64, a UserSig about 250")]
    TooLong { place: Credential },
    #[error("{place} is not UTF-8 text")]
    NotText { place: Credential },
    #[error("{place} holds no UserSig: {source}")]
    Malformed { place: Credential, source: Malformed },
    #[error(
        "{place} holds a UserSig of sdk_app_id {} and admin {:?}, but this app has sdk_app_id {} and admin {:?}",
        found.sdk_app_id, found.admin, wanted.sdk_app_id, wanted.admin
    )]
    OtherIdentity { place: Credential, found: Identity, wanted: Identity },
    #[error("{place} holds a UserSig that expired at {expired_at} (Unix seconds); put a new one there")]
    Expired { place: Credential, expired_at: i64 },
}

/// Gives signatures for one app.
///
/// Pure but for reading its credential. A credential that becomes unreadable later does not take away the one read
/// before: the trouble is told by [`Signer::trouble`] and the older material stays in use until it is replaced.
#[derive(Debug)]
pub struct Signer {
    identity: Identity,
    credential: Credential,
    material: Option<SecretString>,
    /// The state of the file when `material` was read; `None` asks for the content to be compared again.
    stamp: Option<Stamp>,
    looked_at: Option<i64>,
    kept: Option<Kept>,
    generation: u64,
    /// How often a fresh signature was asked for.
    renewals: u64,
    trouble: Option<SignError>,
}

/// A signature in use and when it was made.
#[derive(Debug)]
struct Kept {
    signed: Signed,
    made_at: i64,
}

/// Two equal stamps mean the same content, but for writes within one tick of the file system's clock; those are
/// found after the next refusal, see [`Signer::renew`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Signer {
    /// Reads nothing yet.
    pub fn new(identity: Identity, credential: Credential) -> Signer {
        Signer {
            identity,
            credential,
            material: None,
            stamp: None,
            looked_at: None,
            kept: None,
            generation: 0,
            renewals: 0,
            trouble: None,
        }
    }

    /// The signature to use at `now` (Unix seconds): the kept one, or a new one when less than half of its lifetime
    /// is left, the clock went back behind its making, or the credential was replaced.
    ///
    /// A UserSig from a file is checked: whose it is, and that it has not expired.
    pub fn current(&mut self, now: i64) -> Result<Signed, SignError> {
        self.look(now);
        let Some(material) = &self.material else {
            let trouble = self.trouble.clone();
            return Err(trouble.expect("a look reads the material or notes why it could not"));
        };
        let signed = match &self.credential {
            Credential::UserSigFile(_) => self.checked(material, now)?,
            Credential::KeyFile(_) | Credential::KeyEnv(_) => match &self.kept {
                Some(kept) if kept.is_fresh(now) => return Ok(kept.signed.clone()),
                _ => {
                    // Two signatures of one second must differ, or a fresh one would be the one refused.
                    let lifetime = LIFETIME_SECONDS + self.renewals % DISTINCT_SECONDS;
                    let text = sign(&self.identity, material, now, lifetime);
                    Signed { text, expires_at: now.saturating_add_unsigned(lifetime) }
                }
            },
        };
        self.kept = Some(Kept { signed: signed.clone(), made_at: now });
        Ok(signed)
    }

    /// Forgets the kept signature, so that the next one is new. For use after the upstream refused it.
    ///
    /// The credential is read again even where its file looks the same. A UserSig from a file cannot be made anew;
    /// see [`Signer::can_renew`].
    pub fn renew(&mut self) {
        self.kept = None;
        self.stamp = None;
        self.looked_at = None;
        self.renewals += 1;
    }

    /// False where the signature comes from a file: only its owner can replace it.
    pub fn can_renew(&self) -> bool {
        !matches!(self.credential, Credential::UserSigFile(_))
    }

    /// Grows by one whenever other material than before was read; 0 before the first. Remember it at a refusal: once
    /// it differs, the credential was replaced and asking again makes sense. Looks at the file, at most once a second
    /// of `now` (Unix seconds).
    pub fn credential_generation(&mut self, now: i64) -> u64 {
        self.look(now);
        self.generation
    }

    /// Why the credential could not be read at the latest look, while older material is still in use.
    pub fn trouble(&self) -> Option<&SignError> {
        self.trouble.as_ref()
    }

    fn checked(&self, material: &SecretString, now: i64) -> Result<Signed, SignError> {
        let place = || self.credential.clone();
        let inspected = inspect(material.expose_secret())
            .map_err(|source| SignError::Malformed { place: place(), source })?;
        if inspected.identity != self.identity {
            let wanted = self.identity.clone();
            return Err(SignError::OtherIdentity { place: place(), found: inspected.identity, wanted });
        }
        if now > inspected.expires_at {
            return Err(SignError::Expired { place: place(), expired_at: inspected.expires_at });
        }
        let text = SecretString::from(url_alphabet(material.expose_secret()));
        Ok(Signed { text, expires_at: inspected.expires_at })
    }

    fn look(&mut self, now: i64) {
        let recently = |at: i64| (0..LOOK_INTERVAL_SECONDS).contains(&now.saturating_sub(at));
        if self.looked_at.is_some_and(recently) {
            return;
        }
        self.looked_at = Some(now);
        match self.read() {
            Ok(Some((material, stamp))) => {
                let same = |old: &SecretString| old.expose_secret() == material.expose_secret();
                if !self.material.as_ref().is_some_and(same) {
                    self.material = Some(material);
                    self.kept = None;
                    self.generation += 1;
                }
                self.stamp = stamp;
                self.trouble = None;
            }
            Ok(None) => self.trouble = None,
            Err(error) => self.trouble = Some(error),
        }
    }

    /// The material and the stamp of its file, or `None` where the file is as it was.
    fn read(&self) -> Result<Option<(SecretString, Option<Stamp>)>, SignError> {
        let place = || self.credential.clone();
        let (bytes, stamp) = match &self.credential {
            Credential::KeyFile(path) | Credential::UserSigFile(path) => {
                let unreadable = |e: io::Error| SignError::Unreadable { place: place(), kind: e.kind() };
                match read_file(path, self.stamp).map_err(unreadable)? {
                    Some((bytes, stamp)) => (bytes, Some(stamp)),
                    None => return Ok(None),
                }
            }
            Credential::KeyEnv(name) => {
                let value = std::env::var_os(name).ok_or_else(|| SignError::Unset { place: place() })?;
                (value.into_encoded_bytes(), None)
            }
        };
        if bytes.len() as u64 > MAX_CREDENTIAL_BYTES {
            return Err(SignError::TooLong { place: place() });
        }
        let text = str::from_utf8(&bytes).map_err(|_| SignError::NotText { place: place() })?;
        // Editors add line ends, and some a byte order mark.
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Err(SignError::Empty { place: place() });
        }
        Ok(Some((SecretString::from(text), stamp)))
    }
}

impl Kept {
    fn is_fresh(&self, now: i64) -> bool {
        now >= self.made_at && self.signed.expires_at.saturating_sub(now) >= RENEW_BELOW_SECONDS
    }
}

/// The bytes of the file, one more than allowed at most, and its stamp; `None` where the stamp is still `known`.
fn read_file(path: &Path, known: Option<Stamp>) -> io::Result<Option<(Vec<u8>, Stamp)>> {
    if known.is_some() && known == Some(Stamp::of(&std::fs::metadata(path)?)) {
        return Ok(None);
    }
    let file = File::open(path)?;
    // Taken before the content: a write in between shows as another stamp at the next look.
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(MAX_CREDENTIAL_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Some((bytes, stamp)))
}
