//! What the file says (raw), and what the program uses (checked): every fault at once, with its key path.

mod app;
mod around;
mod checked;
mod credential;
mod lists;
mod region;
mod render;
mod secret;
mod sources;
mod summary;
#[cfg(test)]
mod tests;
mod values;
pub mod web;

pub use app::{
    DEFAULT_ADMIN, DEFAULT_MAX_PAIRS, DEFAULT_TIME_ZONE, MAX_APPS, MAX_REQUESTS_PER_SECOND,
    MIN_REQUESTS_PER_SECOND,
};
pub use checked::{App, Config};
pub use lists::Lists;
pub use region::{REGIONS, Region};
pub use render::render;
pub use secret::storage_warning;
pub use summary::{advice, summary};

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use self::around::{Around, CredentialCheck};
use crate::budget::Key;
use crate::document::{self, Fault, Faults, Notes, Place, Syntax, Warnings};
use crate::sys::{self, ReadError};

/// The largest config file that is read, in bytes. Longer lists belong into `watch.files`.
pub const MAX_CONFIG_BYTES: u64 = 64 << 20;

/// Reads and checks a config file. Files and environment variables that hold secrets must exist and not be empty;
/// what they hold is not kept. A credential that cannot be used is a warning.
pub fn load(path: &Path) -> Result<Config, Faults> {
    parse(&text_of(path)?, path)
}

/// As [`load`], for `--config.check`: a credential that cannot be used is a fault.
pub fn check(path: &Path) -> Result<Config, Faults> {
    let env = |name: &str| std::env::var_os(name);
    let around = Around { credentials: CredentialCheck::MustWork, ..Around::of(path, &env) };
    parse_noting(&text_of(path)?, path, &around, &Notes::new())
}

fn text_of(path: &Path) -> Result<String, Faults> {
    let whole = |text: String| Faults::one(path.display().to_string(), Fault::whole(text));
    let bytes = sys::read(path, MAX_CONFIG_BYTES).map_err(|error| match error {
        ReadError::TooLong(_) => whole(format!("{error}; put long lists into watch.files")),
        _ => whole(format!("{error}; expected a readable YAML file")),
    })?;
    let text = document::utf8(&bytes).map_err(|fault| Faults::one(path.display().to_string(), fault))?;
    Ok(text.to_owned())
}

/// Checks the text of a config file; `path` is where it stands: relative paths in it start at its folder.
pub fn parse(text: &str, path: &Path) -> Result<Config, Faults> {
    parse_noting(text, path, &Around::of(path, &|name| std::env::var_os(name)), &Notes::new())
}

/// As [`parse`], with what lies around given, and notes that may also keep the keys that were asked for.
fn parse_noting(text: &str, path: &Path, around: &Around<'_>, notes: &Notes) -> Result<Config, Faults> {
    let file = || path.display().to_string();
    let node = document::parse(text, Syntax::Yaml).map_err(|fault| Faults::one(file(), fault))?;
    let root = Place::root(&node, text, notes);
    let apps = root.table("a mapping with the key apps", |table| {
        table.required("apps", "a list of apps").and_then(|apps| app::read_apps(&apps, around))
    });
    match apps.flatten() {
        Some(apps) if notes.is_empty() => {
            let mut warnings = notes.warnings();
            warn_of_apps(&apps, &mut warnings);
            Ok(Config { file: path.to_owned(), apps, warnings: warnings.lines() })
        }
        _ => Err(notes.faults(file())),
    }
}

/// What is allowed and yet seldom meant, and shows only where apps are seen as a whole.
fn warn_of_apps(apps: &[App], warnings: &mut Warnings) {
    let mut first: HashMap<Key, &App> = HashMap::new();
    for (index, app) in apps.iter().enumerate() {
        match first.entry(app.budget_key()) {
            Entry::Occupied(other) => {
                let (other, rate) = (other.get(), app.requests_per_second);
                let lower = if rate == other.requests_per_second {
                    String::new()
                } else {
                    format!("; the lower requests_per_second holds, {}", rate.min(other.requests_per_second))
                };
                let text = format!(
                    "has the host and sdk_app_id of {}: they share one request budget and poll in turn{lower}",
                    other.name
                );
                warnings.note(text, || format!("apps[{index}]"));
            }
            Entry::Vacant(place) => drop(place.insert(app)),
        }
        let pairs = app.static_pairs();
        if pairs > app.max_pairs {
            let text = format!(
                "is {}, but watch.static alone lists {pairs} pairs: the rest will be refused",
                app.max_pairs
            );
            warnings.note(text, || format!("apps[{index}].max_pairs"));
        }
    }
}
