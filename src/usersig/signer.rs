//! Holds what was read of an app's credential and keeps a signature ready; pure, told the time.

use secrecy::{ExposeSecret, SecretString};

use super::reading::CredentialStamp;
use super::{Credential, CredentialFault, CredentialRead, Identity, Reading, Signed, sign, signed};

/// Lifetime of the signatures we make. The upstream advises at least 24 hours (domain sheet, section 7.1).
pub const LIFETIME_SECONDS: u64 = 48 * 3600;

/// A signature with less than this left is replaced: half of its lifetime.
const RENEW_BELOW_SECONDS: i64 = LIFETIME_SECONDS as i64 / 2;

/// Lifetimes of signatures that were asked for anew differ by less than this.
const DISTINCT_SECONDS: u64 = 600;

/// Why there is no signature. Names the file or variable, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} {fault}")]
pub struct SignError {
    pub place: Credential,
    pub fault: CredentialFault,
}

/// Gives signatures for one app.
///
/// Whoever owns it does its [`Reading`]s where blocking is no harm, about once a second, and hands over what they came to.
/// A credential that becomes unreadable later does not take away the one read before: the trouble is told by
/// [`Signer::trouble`] and the older material stays in use until it is replaced.
#[derive(Debug)]
pub struct Signer {
    identity: Identity,
    credential: Credential,
    material: Option<SecretString>,
    /// The state of the file when `material` was read; `None` asks for the content to be compared again.
    stamp: Option<CredentialStamp>,
    /// Nothing was read yet, or a fresh signature is to be made of what the credential holds now.
    awaits_reading: bool,
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

impl Signer {
    /// Reads nothing yet.
    pub fn new(identity: Identity, credential: Credential) -> Signer {
        Signer {
            identity,
            credential,
            material: None,
            stamp: None,
            awaits_reading: true,
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
        let Some(material) = &self.material else {
            return Err(self.trouble.clone().unwrap_or_else(|| self.error(CredentialFault::NotRead)));
        };
        let signed = match &self.credential {
            Credential::UserSigFile(_) => {
                signed(material, &self.identity, now).map_err(|fault| self.error(fault))?
            }
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
        self.awaits_reading = true;
        self.renewals += 1;
    }

    /// False where the signature comes from a file: only its owner can replace it.
    pub fn can_renew(&self) -> bool {
        !matches!(self.credential, Credential::UserSigFile(_))
    }

    /// Grows by one whenever other material than before was read; 0 before the first. Remember it at a refusal: once
    /// it differs, the credential was replaced and asking again makes sense.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// True where a signature should wait for the next reading.
    pub fn awaits_reading(&self) -> bool {
        self.awaits_reading
    }

    /// The next reading of the credential.
    pub fn reading(&self) -> Reading {
        Reading { credential: self.credential.clone(), known: self.stamp }
    }

    /// Takes over what a reading came to; false for one of another credential, which changes nothing.
    pub fn take(&mut self, read: CredentialRead) -> bool {
        if read.credential != self.credential {
            return false;
        }
        // One that began before a fresh signature was asked for may not have looked at the content.
        self.awaits_reading = matches!(read.result, Ok(None)) && self.stamp.is_none();
        match read.result {
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
            Err(fault) => self.trouble = Some(self.error(fault)),
        }
        true
    }

    /// Reads the credential here and now. Blocks.
    pub fn read_now(&mut self) {
        let read = self.reading().run();
        self.take(read);
    }

    /// Why the credential could not be read at the latest reading, while older material is still in use.
    pub fn trouble(&self) -> Option<&SignError> {
        self.trouble.as_ref()
    }

    fn error(&self, fault: CredentialFault) -> SignError {
        SignError { place: self.credential.clone(), fault }
    }
}

impl Kept {
    fn is_fresh(&self, now: i64) -> bool {
        now >= self.made_at && self.signed.expires_at.saturating_sub(now) >= RENEW_BELOW_SECONDS
    }
}
