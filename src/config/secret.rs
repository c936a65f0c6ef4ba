//! Files and variables that hold secrets: they must be there, and what they hold is not kept.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Around;
use super::values::line;
use crate::tree::{Place, Table};
use crate::usersig::Credential;

/// The largest file that is taken where a secret or a certificate is expected, in bytes; bundles of certificates fit.
const MAX_SECRET_BYTES: u64 = 1 << 20;
/// A name at least this long without a dot may be the secret itself, and is not shown. A slash does not make it a path:
/// the lines of a key in PEM have some.
const SUSPICIOUS_BYTES: usize = 24;
const FILE: &str = "the path of a readable file that is not empty";
const KEYS: &str = "exactly one of secret_key_file, secret_key_env, usersig_file";
const NO_PLACE: &str = "is a secret, which has no place in this file; put it into a file and name that by";

/// Where the app's proof comes from: exactly one of three keys.
pub(super) fn read_credential(app: &Table<'_>, around: &Around<'_>) -> Option<Credential> {
    let inline_key = app.refuse("secret_key", &format!("{NO_PLACE} secret_key_file"));
    let inline_sig = app.refuse("usersig", &format!("{NO_PLACE} usersig_file"));
    let key_file = app.get("secret_key_file");
    let key_env = app.get("secret_key_env");
    let usersig_file = app.get("usersig_file");
    let given = [key_file, key_env, usersig_file].iter().flatten().count();
    let key_file = key_file.map(|place| read_file(&place, around).map(Credential::KeyFile));
    let key_env = key_env.map(|place| read_env(&place, around).map(Credential::KeyEnv));
    let usersig_file = usersig_file.map(|place| read_file(&place, around).map(Credential::UserSigFile));
    match given {
        1 => key_file.or(key_env).or(usersig_file).flatten(),
        // The fault of the secret written in the file says what is to be done.
        0 if inline_key || inline_sig => None,
        0 => {
            app.place().fault(format!("names no secret; {KEYS} would be right"));
            None
        }
        _ => {
            app.place().fault(format!("names {given} secrets; {KEYS} would be right"));
            None
        }
    }
}

fn read_env(place: &Place<'_>, around: &Around<'_>) -> Option<String> {
    const RIGHT: &str = "the name of an environment variable such as SHOP_SECRET_KEY";
    let name = line(place, RIGHT)?;
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
        place.fault(format!("is no name of a variable; {RIGHT} would be right"));
        return None;
    }
    // The name is not shown: people paste the key itself here.
    let blank = match (around.env)(&name) {
        Some(value) => value.trim().is_empty(),
        None => {
            place.fault(
                "names an environment variable that is not set; one that holds the secret key would be right",
            );
            return None;
        }
    };
    if blank {
        place.fault(
            "names an environment variable that is empty; one that holds the secret key would be right",
        );
        return None;
    }
    Some(name)
}

/// The path of a file that exists, can be read and is not blank; absolute.
pub(super) fn read_file(place: &Place<'_>, around: &Around<'_>) -> Option<PathBuf> {
    let path = file(place, around)?;
    checked(place, &path, contents(&path)).map(|_| path)
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
            let text = place.text(FILE).unwrap_or_default();
            let name =
                if may_be_secret(text) { "the file it names".to_owned() } else { path.display().to_string() };
            place.fault(format!("{name} {fault}; {FILE} would be right"));
            None
        }
    }
}

fn may_be_secret(text: &str) -> bool {
    text.split('/').any(|part| part.len() >= SUSPICIOUS_BYTES && !part.contains('.'))
}

/// What a file holds that is not blank and not too long.
pub(super) fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read ({error})");
    let metadata = fs::metadata(path).map_err(cannot)?;
    if !metadata.is_file() {
        // Opening a pipe would wait for its writer.
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("is longer than {MAX_SECRET_BYTES} bytes"));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty".to_owned());
    }
    Ok(bytes)
}
