//! Proves who we are: UserSig, version 2 (HMAC-SHA256).

use std::path::PathBuf;

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
