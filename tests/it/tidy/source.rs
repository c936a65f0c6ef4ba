//! The text files of the repository, and which of them are tests.

use std::collections::BTreeSet;
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

impl Text {
    /// Where the modules lie that this file declares.
    fn folder(&self) -> &str {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let roots = ["/mod", "/lib", "/main"];
        roots.iter().find_map(|root| stem.strip_suffix(root)).unwrap_or(stem)
    }

    /// The modules that this file declares for tests alone, as paths without `.rs`.
    fn test_modules(&self) -> impl Iterator<Item = String> + '_ {
        let declared = self.text.split("#[cfg(test)]\n").skip(1);
        declared.filter_map(|rest| {
            let (_, name) = rest.lines().next()?.split_once("mod ")?;
            Some(format!("{}/{}", self.folder(), name.strip_suffix(';')?))
        })
    }

    /// What the program is made of: without the tests at its end.
    pub fn code(&self) -> &str {
        let end = self.text.find("#[cfg(test)]\nmod tests {");
        &self.text[..end.unwrap_or(self.text.len())]
    }
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

/// Those of the program's own files that are not for tests alone.
pub fn shipped() -> Vec<Text> {
    let mut sources = texts("src");
    let tests: BTreeSet<String> = sources.iter().flat_map(Text::test_modules).collect();
    assert!(tests.len() > 5, "{tests:?}");
    let is_test = |text: &Text| {
        let of = |module: &String| {
            let rest = text.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        tests.iter().any(of)
    };
    sources.retain(|text| !is_test(text));
    sources
}
