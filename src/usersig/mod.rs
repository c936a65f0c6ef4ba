//! Proves who we are: UserSig, version 2 (HMAC-SHA256).

mod credential;
mod doubt;
mod reading;
mod signer;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

pub use credential::{CredentialFault, MAX_CREDENTIAL_BYTES, Signed, credential_text, moment, signed};
pub use doubt::KeyDoubt;
pub use reading::{CredentialRead, Reading};
pub use signer::{LIFETIME_SECONDS, SignError, Signer};
pub use text::{Inspected, MalformedUserSig, expiry, inspect, sign};

/// Whom a UserSig speaks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The application (SDKAppID).
    pub sdk_app_id: u64,
    /// The administrator account, the `identifier` of the request. Case matters.
    pub admin: String,
}

/// Where an app's proof comes from. Secrets themselves are never part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A file that holds the secret key as text.
    KeyFile(PathBuf),
    /// Name of the environment variable that holds the secret key.
    KeyEnv(String),
    /// A file that holds a UserSig made elsewhere.
    UserSigFile(PathBuf),
}

/// The place as an operator knows it: the key of the configuration and what it names.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credential::KeyFile(path) => write!(f, "secret_key_file {}", path.display()),
            Credential::KeyEnv(name) => write!(f, "secret_key_env {name}"),
            Credential::UserSigFile(path) => write!(f, "usersig_file {}", path.display()),
        }
    }
}
