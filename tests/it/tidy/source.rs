//! The text files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// Built by tools, or not ours.
const FOREIGN: [&str; 3] = ["target", ".git", "Cargo.lock"];

/// A text file of the repository.
pub struct Text {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below a folder of the repository, by path.
pub fn texts(below: &str) -> Vec<Text> {
    let mut found = Vec::new();
    gather(&root().join(below), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn gather(folder: &Path, found: &mut Vec<Text>) {
    if !folder.exists() {
        return; // Not every folder of the plan is built yet.
    }
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        if FOREIGN.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if path.is_dir() {
            gather(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push(Text { path, text });
        }
    }
}

/// The Rust files of the repository.
pub fn sources() -> Vec<Text> {
    let rust = |text: &Text| text.path.ends_with(".rs");
    texts("").into_iter().filter(rust).collect()
}
