//! What the file says (raw), and what the program uses (checked): every fault at once, with its key path.

mod app;
mod checked;
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
pub use region::{REGIONS, Region};
pub use render::render;
pub use summary::{advice, summary};

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::tree::{self, Fault, Faults, Notes, Place, Syntax};

/// The largest config file that is read, in bytes. Longer lists belong into `watch.files`.
pub const MAX_CONFIG_BYTES: u64 = 64 << 20;

/// What a check looks at outside the file itself.
struct Around<'a> {
    /// Folder of the config file, absolute: relative paths start here.
    folder: PathBuf,
    /// The value of an environment variable.
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Around<'a> {
    fn of(path: &Path, env: &'a dyn Fn(&str) -> Option<String>) -> Around<'a> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Around { folder: absolute.parent().map(Path::to_owned).unwrap_or_default(), env }
    }
}

/// Reads and checks a config file. Files and environment variables that hold secrets must exist and not be empty;
/// what they hold is not kept.
pub fn load(path: &Path) -> Result<Config, Faults> {
    let whole = |text: String| Faults::one(path.display().to_string(), Fault::whole(text));
    let cannot = |error: std::io::Error| {
        whole(format!("cannot be read ({error}); a readable YAML file would be right"))
    };
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        return Err(whole(format!(
            "is longer than {MAX_CONFIG_BYTES} bytes; put long lists into watch.files"
        )));
    }
    let text = tree::utf8(&bytes).map_err(|fault| Faults::one(path.display().to_string(), fault))?;
    parse(text, path)
}

/// Checks the text of a config file; `path` is where it stands: relative paths in it start at its folder.
pub fn parse(text: &str, path: &Path) -> Result<Config, Faults> {
    parse_noting(text, path, &|name| std::env::var(name).ok(), &Notes::new())
}

/// As [`parse`], with the environment given, and notes that may also keep the keys that were asked for.
fn parse_noting(
    text: &str,
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    notes: &Notes,
) -> Result<Config, Faults> {
    let file = || path.display().to_string();
    let node = tree::parse(text, Syntax::Yaml).map_err(|fault| Faults::one(file(), fault))?;
    let around = Around::of(path, env);
    let root = Place::root(&node, text, notes);
    let apps = root.table("a mapping with the key apps", |table| {
        table.required("apps", "a list of apps").and_then(|apps| app::read_apps(&apps, &around))
    });
    match apps.flatten() {
        Some(apps) if notes.is_empty() => {
            let warnings = warnings(&apps);
            Ok(Config { file: path.to_owned(), apps, warnings })
        }
        _ => Err(notes.faults(file())),
    }
}

/// What is allowed and yet seldom meant.
fn warnings(apps: &[App]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut first: HashMap<(String, u64), &App> = HashMap::new();
    for (index, app) in apps.iter().enumerate() {
        let host = reqwest::Url::parse(&app.endpoint).map_or_else(|_| app.endpoint.clone(), String::from);
        let host = host.trim_end_matches('/').to_owned();
        match first.get(&(host.clone(), app.sdk_app_id)) {
            Some(other) => warnings.push(format!(
                "apps[{index}]: {} has the endpoint and sdk_app_id of {}: they share one limit of the upstream, so \
                 their requests_per_second add up there",
                app.name, other.name
            )),
            None => drop(first.insert((host, app.sdk_app_id), app)),
        }
        let pairs = summary::static_pairs(app);
        if pairs > app.max_pairs {
            warnings.push(format!(
                "apps[{index}].max_pairs: {} lists {pairs} pairs in watch.static alone and takes {}: the rest will be \
                 refused",
                app.name, app.max_pairs
            ));
        }
    }
    warnings
}
