//! Names and the bcrypt hashes of their passwords; a right password is remembered, so that it costs its hash only once.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::Mutex;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::credentials::Credentials;
use crate::sys::lock;

/// The cheapest hash that bcrypt knows.
pub const MIN_COST: u32 = 4;
/// The dearest hash that is taken: some seconds of work for each check. A dearer one would leave a client without an
/// answer.
pub const MAX_COST: u32 = 16;

/// Why a text is no hash that can be used. Does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFault {
    #[error("is no bcrypt hash; expected one that starts with $2a$, $2b$ or $2y$, never the password itself")]
    NoHash,
    #[error("has the cost {0}; expected one from {MIN_COST} to {MAX_COST}")]
    Cost(u32),
}

/// A bcrypt hash of a password.
#[derive(Debug)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, or checking it would take too long.
    pub fn parse(text: &str) -> Result<PasswordHash, HashFault> {
        if !["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version)) {
            return Err(HashFault::NoHash);
        }
        let parts = bcrypt::HashParts::from_str(text).map_err(|_| HashFault::NoHash)?;
        match parts.get_cost() {
            MIN_COST..=MAX_COST => Ok(PasswordHash(text.into())),
            cost => Err(HashFault::Cost(cost)),
        }
    }

    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, self.0.expose_secret()).unwrap_or(false)
    }
}

type Tag = [u8; 32];

/// One who may ask.
pub(super) struct User {
    name: Box<str>,
    hash: PasswordHash,
    /// The mark of the password that was right last; never held across an await.
    remembered: Mutex<Option<Tag>>,
}

/// All who may ask. Made anew with each change of the file, so that nothing is remembered of an older one.
pub struct Users {
    list: Vec<User>,
    /// Of the marks; known to nobody, and of this one list.
    key: [u8; 32],
    /// Chooses whose hash stands in for that of an unknown name.
    dummies: RandomState,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("count", &self.list.len()).finish_non_exhaustive()
    }
}

impl Default for Users {
    /// Nobody: no password is asked for.
    fn default() -> Users {
        Users { list: Vec::new(), key: [0; 32], dummies: RandomState::new() }
    }
}

impl Users {
    /// Names, each once, with their hashes.
    pub fn new(hashes: Vec<(Box<str>, PasswordHash)>) -> Users {
        let mut key = [0; 32];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut key).expect("the system gives random bytes: TLS and signatures need them too");
        let user = |(name, hash)| User { name, hash, remembered: Mutex::new(None) };
        Users { list: hashes.into_iter().map(user).collect(), key, dummies: RandomState::new() }
    }

    /// Whether no password is asked for.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    fn find(&self, name: &[u8]) -> Option<&User> {
        self.list.iter().find(|user| user.name.as_bytes() == name)
    }

    /// Whether this very password was right before.
    pub(super) fn recalls(&self, credentials: &Credentials) -> bool {
        let mark = self.mark(credentials);
        let user = self.find(credentials.name());
        let remembered = user.and_then(|user| *lock(&user.remembered));
        // In constant time, though a mark tells nothing of the password without the key.
        remembered.is_some_and(|tag| mark.verify_slice(&tag).is_ok())
    }

    /// Whether the password is right. Costs as much as the hash says, for an unknown name as much as for one of the
    /// known, so that time tells nothing of who is known. Blocks.
    pub(super) fn verify(&self, credentials: &Credentials) -> bool {
        let Some(user) = self.find(credentials.name()) else {
            let dummy = self.dummy(credentials.name());
            // The answer is of no interest, but the work must be done.
            std::hint::black_box(dummy.map(|user| user.hash.is_of(credentials.password())));
            return false;
        };
        let is_right = user.hash.is_of(credentials.password());
        if is_right {
            let tag: Tag = self.mark(credentials).finalize().into_bytes().into();
            *lock(&user.remembered) = Some(tag);
        }
        is_right
    }

    /// The same for the same name at all times.
    pub(super) fn dummy(&self, name: &[u8]) -> Option<&User> {
        let number = self.dummies.hash_one(name);
        let count = u64::try_from(self.list.len()).ok()?;
        self.list.get(usize::try_from(number.checked_rem(count)?).ok()?)
    }

    fn mark(&self, credentials: &Credentials) -> Hmac<Sha256> {
        let mut mark = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mark.update(credentials.name_and_password());
        mark
    }
}
