//! What a check of a config file looks at outside the file itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How what a credential holds is judged. It is read again whenever it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialCheck {
    /// One that cannot be used is a fault.
    MustWork,
    /// One that cannot be used is a warning: its app pauses until it is replaced, and the others go on.
    MayWork,
}

/// What a check looks at outside the file itself.
pub(super) struct Around<'a> {
    /// Folder of the config file, absolute: relative paths start here.
    pub(super) folder: PathBuf,
    /// The value of an environment variable.
    pub(super) env: &'a dyn Fn(&str) -> Option<OsString>,
    /// Unix seconds.
    pub(super) now: i64,
    pub(super) credentials: CredentialCheck,
}

impl<'a> Around<'a> {
    pub(super) fn of(path: &Path, env: &'a dyn Fn(&str) -> Option<OsString>) -> Around<'a> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute.parent().map(Path::to_owned).unwrap_or_default();
        let now = jiff::Timestamp::now().as_second();
        Around { folder, env, now, credentials: CredentialCheck::MayWork }
    }
}
