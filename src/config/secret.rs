//! Files that hold secrets: they must be there, should not be open to everybody, and what they hold is not kept.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::around::Around;
use super::values::line;
use crate::document::Place;
use crate::sys;

/// The largest file that is taken where a secret or a certificate is expected, in bytes; bundles of certificates fit.
const MAX_SECRET_BYTES: u64 = 1 << 20;
/// A name at least this long without a dot may be the secret itself, and is not shown. A slash does not make it a path:
/// the lines of a key in PEM have some.
const SUSPICIOUS_BYTES: usize = 24;
const FILE: &str = "the path of a readable file that is not empty";
/// What everybody may do, in the mode of a file: read it; of a folder: list it, or reach what is in it.
const READ_BY_OTHERS: u32 = 0o004;
const REACH_BY_OTHERS: u32 = 0o005;
/// The warning about a secret's file that everybody may read.
pub(super) const OPEN_SECRET: &str =
    "every user of this machine can read the file; expected mode 0600 or 0640";

/// The path of a file that exists, can be read and is not blank; absolute.
pub(super) fn read_file(place: &Place<'_>, around: &Around<'_>) -> Option<PathBuf> {
    let path = file(place, around)?;
    checked(place, &path, contents(&path)).map(|_| path)
}

/// As [`read_file`], of a file that holds a secret: also what it holds, and a warning where everybody may read it.
pub(super) fn read_secret(place: &Place<'_>, around: &Around<'_>) -> Option<(PathBuf, Vec<u8>)> {
    let path = file(place, around)?;
    let bytes = checked(place, &path, contents(&path))?;
    if is_open_secret(&path) {
        place.warn(OPEN_SECRET);
    }
    Some((path, bytes))
}

fn is_open_to(path: &Path, others: u32) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.mode() & others != 0)
}

/// Whether everybody may read that file.
pub(super) fn is_open_secret(path: &Path) -> bool {
    is_open_to(path, READ_BY_OTHERS)
}

/// What to say of a storage folder that is there and that everybody can look into. One that the daemon makes is its own.
pub fn storage_warning(folder: &Path) -> Option<String> {
    storage_warning_for(folder, rustix::process::geteuid().as_raw())
}

/// A folder of somebody else, such as a volume of a pod, cannot be closed: then only files that everybody can read are
/// told. The daemon's own are private.
pub(super) fn storage_warning_for(folder: &Path, user: u32) -> Option<String> {
    let is_own = || folder.metadata().is_ok_and(|metadata| metadata.uid() == user);
    let shows_files = || {
        let files = folder.read_dir().into_iter().flatten().flatten();
        files.into_iter().any(|file| is_open_to(&file.path(), READ_BY_OTHERS))
    };
    (is_open_to(folder, REACH_BY_OTHERS) && (is_own() || shows_files())).then(|| {
        format!(
            "--storage.path {}: every user of this machine can look into it; expected mode 0700",
            folder.display()
        )
    })
}

/// A path, absolute; the file may be missing.
pub(super) fn file(place: &Place<'_>, around: &Around<'_>) -> Option<PathBuf> {
    line(place, FILE).map(|text| around.folder.join(text))
}

/// What was read of the file that a place names; notes why it was not.
pub(super) fn checked<T>(place: &Place<'_>, path: &Path, read: Result<T, String>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(fault) => {
            place.fault(format!("{} {fault}; expected {FILE}", shown_path(place, path)));
            None
        }
    }
}

/// The path as a fault may show it.
pub(super) fn shown_path(place: &Place<'_>, path: &Path) -> String {
    let text = place.text(FILE).unwrap_or_default();
    if may_be_secret(text) { "the file it names".to_owned() } else { path.display().to_string() }
}

fn may_be_secret(text: &str) -> bool {
    text.split('/').any(|part| part.len() >= SUSPICIOUS_BYTES && !part.contains('.'))
}

/// What a file holds that is not blank and not too long.
pub(super) fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = sys::read(path, MAX_SECRET_BYTES).map_err(|error| error.to_string())?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty".to_owned());
    }
    Ok(bytes)
}
