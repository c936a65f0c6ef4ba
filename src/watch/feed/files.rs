//! The files of one pattern: which are there, which changed, and the last good list of each.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern};

use super::super::{ListFormat, MAX_LIST_BYTES};
use super::held::Held;
use super::list_file::{FileLook, ListFile, cannot};
use super::report::{Figures, SourceNews};
use crate::sys::Hung;

/// How many files one pattern may match; those beyond, in the order of their paths, are left out and told.
pub const MAX_FILES: usize = 10_000;
/// How many unreadable folders of one pattern are told.
const MAX_FOLDERS_TOLD: usize = 20;
/// As a shell reads a pattern: `*` and `?` match no slash and no leading dot, so that half-written `.list.yaml` of
/// editors and copying tools stay out.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Files that are there and are lists by their names, in the order of their paths.
type Lists = BTreeMap<PathBuf, ListFormat>;

/// A pattern, and the part of it that is no pattern.
#[derive(Debug)]
pub(super) struct FilePattern {
    /// As it is configured.
    pattern: String,
    /// As it is matched.
    matched: String,
    /// The folder before the first wildcard. It must be readable, else nothing is known of the files.
    folder: PathBuf,
    /// The one file that a pattern without wildcards names.
    one: Option<PathBuf>,
    watch_labels: Arc<[Box<str>]>,
    max_files: usize,
}

/// What is known of the files of one pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownFiles {
    files: BTreeMap<PathBuf, ListFile>,
    /// Whether the files were ever found.
    is_found: bool,
    /// Files that match and are no lists by their names.
    skipped: u64,
    /// What the log knows of the pattern itself.
    told: Vec<String>,
}

/// What a look at the pattern finds.
#[derive(Default)]
struct Found {
    /// `None` if it cannot be known.
    lists: Option<Lists>,
    /// Files that match and are no lists by their names.
    others: Vec<PathBuf>,
    troubles: Vec<String>,
}

impl Found {
    /// Nothing is known of the files, and why.
    fn unknown(trouble: String) -> Found {
        Found { troubles: vec![trouble], ..Found::default() }
    }
}

impl KnownFiles {
    /// The last good lists, in the order of the paths.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        self.files.values().map(ListFile::held)
    }

    /// Whether a change was seen that does not count yet.
    pub(super) fn is_pending(&self) -> bool {
        self.files.values().any(ListFile::is_pending)
    }

    /// The first of the files, where none was read yet and this one is being written.
    fn only_written(&self) -> Option<&Path> {
        let is_unread = self.files.values().all(|file| !file.is_read());
        let written = self.files.iter().find(|(_, file)| file.is_pending());
        written.filter(|_| is_unread).map(|(path, _)| path.as_path())
    }

    /// The same, with all contents to be parsed anew.
    pub(super) fn parsed_anew(mut self) -> KnownFiles {
        self.files.values_mut().for_each(ListFile::forget_content);
        self
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            entries: self.held().map(Held::pairs).sum(),
            refused: self.held().map(Held::refused).sum(),
            warnings: self.held().map(Held::warnings).sum(),
            lists: self.files.values().filter(|file| file.is_read()).count() as u64,
            skipped_files: self.skipped,
        }
    }
}

impl FilePattern {
    /// # Errors
    /// What is wrong with the pattern.
    pub(super) fn new(pattern: &Path, watch_labels: Arc<[Box<str>]>) -> Result<FilePattern, String> {
        let text = pattern.to_str().ok_or("is not UTF-8; expected text in UTF-8")?;
        Pattern::new(text)
            .map_err(|error| format!("is no pattern ({}); expected one such as watch/*.yaml", error.msg))?;
        let plain: Vec<Option<String>> = text.split('/').map(plain).collect();
        let fixed: Vec<&str> = plain.iter().map_while(Option::as_deref).collect();
        let one = (fixed.len() == plain.len()).then(|| PathBuf::from(fixed.join("/")));
        // The last part names files, even if it is a plain name.
        let folder = fixed[..fixed.len().min(plain.len() - 1)].join("/");
        let folder = match (folder.as_str(), text.starts_with('/')) {
            ("", true) => "/",
            ("", false) => ".",
            (folder, _) => folder,
        };
        Ok(FilePattern {
            pattern: text.to_owned(),
            matched: with_ending_in_any_case(text),
            folder: folder.into(),
            one,
            watch_labels,
            max_files: MAX_FILES,
        })
    }

    pub(super) fn is_same_pattern(&self, other: &FilePattern) -> bool {
        self.pattern == other.pattern
    }

    pub(super) fn has_same_labels(&self, other: &FilePattern) -> bool {
        self.watch_labels == other.watch_labels
    }

    #[cfg(test)]
    pub(super) fn set_max_files(&mut self, max_files: usize) {
        self.max_files = max_files;
    }

    /// Looks which files are there, and reads those that changed. Blocks.
    pub(super) fn look(&self, before: &KnownFiles) -> (KnownFiles, SourceNews) {
        let mut news = SourceNews::default();
        let Found { lists, others, mut troubles } = self.find(before);
        let skipped = others.len() as u64;
        let mut known =
            KnownFiles { skipped, is_found: before.is_found || lists.is_some(), ..KnownFiles::default() };
        match lists {
            None => known.files.clone_from(&before.files),
            Some(mut lists) => {
                self.look_for_missing(before, &mut lists, (&mut known, &mut news));
                self.read(lists, before, (&mut known, &mut news));
            }
        }
        if let Some(path) = known.only_written() {
            news.trouble(format!("{}: is being written", path.display()));
        }
        let note = self.about_others(&others, known.files.is_empty(), &mut troubles);
        known.told = troubles.iter().cloned().chain(note).collect();
        for line in known.told.iter().filter(|line| !before.told.contains(line)) {
            news.tell(line.clone());
        }
        troubles.into_iter().for_each(|trouble| news.trouble(trouble));
        (known, news)
    }

    /// What comes of a look that hung: all that is known stays.
    pub(super) fn hung(&self, before: &KnownFiles, hung: Hung) -> (KnownFiles, SourceNews) {
        let line = format!("{}: {hung}", self.pattern);
        let mut news = SourceNews::default();
        if !before.told.contains(&line) {
            news.tell(line.clone());
        }
        let known = KnownFiles { told: vec![line.clone()], ..before.clone() };
        news.trouble(line);
        (known, news)
    }

    /// The files that are there.
    fn find(&self, before: &KnownFiles) -> Found {
        if let Some(path) = &self.one {
            return self.find_one(path, before);
        }
        if let Err(error) = fs::read_dir(&self.folder) {
            return Found::unknown(format!("{}: {}", self.folder.display(), cannot(&error)));
        }
        let paths = glob::glob_with(&self.matched, OPTIONS).expect("the pattern was checked in new");
        let mut found = Found::default();
        let mut lists = Vec::new();
        for path in paths {
            match path {
                Ok(path) => match ListFormat::of(&path) {
                    Some(format) => lists.push((path, format)),
                    None if path.is_file() => found.others.push(path),
                    None => {}
                },
                Err(error) if found.troubles.len() < MAX_FOLDERS_TOLD => {
                    found.troubles.push(format!("{}: {}", error.path().display(), cannot(error.error())));
                }
                Err(_) => {}
            }
        }
        lists.sort_by(|(a, _), (b, _)| a.cmp(b));
        if lists.len() > self.max_files {
            let (pattern, count, max) = (&self.pattern, lists.len(), self.max_files);
            found.troubles.push(format!(
                "{pattern}: matches {count} files, of which {max} are read; expected at most {max}"
            ));
            lists.truncate(max);
        }
        found.lists = Some(lists.into_iter().collect());
        found
    }

    /// What is to be told of files that match and are no lists by their names, and of a pattern that matches nothing. It
    /// is a trouble where there are such files alone.
    fn about_others(
        &self,
        others: &[PathBuf],
        has_no_list: bool,
        troubles: &mut Vec<String>,
    ) -> Option<String> {
        let pattern = &self.pattern;
        let Some(example) = others.iter().min() else {
            let matches_nothing = has_no_list && self.one.is_none() && troubles.is_empty();
            return matches_nothing.then(|| format!("{pattern}: matches no file"));
        };
        let count = format!("{} file{}", others.len(), if others.len() == 1 { "" } else { "s" });
        let extensions = ListFormat::EXTENSIONS.join(" .");
        let text = |what: &str| {
            let example = example.display();
            format!("{pattern}: {what}, for example {example}; expected a name that ends in .{extensions}")
        };
        if has_no_list {
            troubles.push(text(&format!("matches {count} and no list")));
            return None;
        }
        Some(text(&format!("skips {count}")))
    }

    fn find_one(&self, path: &Path, before: &KnownFiles) -> Found {
        let Some(format) = ListFormat::of(path) else {
            let right = ListFormat::EXTENSIONS.join(" .");
            let text = format!("{}: has no known extension; expected one of .{right}", path.display());
            return Found::unknown(text);
        };
        match fs::symlink_metadata(path) {
            Err(error) if is_gone(&error) => {
                // Where the folder is gone, too, it is not the file that somebody took away.
                let lists = fs::metadata(&self.folder).is_ok().then(Lists::new);
                if lists.is_some() && before.files.get(path).is_some_and(ListFile::may_come_back) {
                    return Found { lists, ..Found::default() };
                }
                Found { lists, ..Found::unknown(format!("{}: {}", path.display(), cannot(&error))) }
            }
            // If it cannot be reached, reading it will say so.
            Ok(_) | Err(_) => {
                Found { lists: Some(Lists::from([(path.to_owned(), format)])), ..Found::default() }
            }
        }
    }

    /// Files known before that no longer match: one that is gone leaves the list at the second look that misses it; one
    /// that may be there is read, which tells what is wrong with it.
    fn look_for_missing(
        &self,
        before: &KnownFiles,
        found: &mut Lists,
        (known, news): (&mut KnownFiles, &mut SourceNews),
    ) {
        for (path, file) in &before.files {
            if found.contains_key(path) {
                continue;
            }
            let gone = fs::symlink_metadata(path).is_err_and(|error| is_gone(&error));
            match ListFormat::of(path) {
                Some(format) if !gone && found.len() < self.max_files => {
                    found.insert(path.clone(), format);
                }
                Some(_) if gone && file.may_come_back() => {
                    known.files.insert(path.clone(), file.clone().without_file());
                }
                _ => file.clone().leave(path, news),
            }
        }
    }

    fn read(&self, found: Lists, before: &KnownFiles, (known, news): (&mut KnownFiles, &mut SourceNews)) {
        let mut look = FileLook {
            watch_labels: &self.watch_labels,
            is_first: !before.is_found,
            left_bytes: MAX_LIST_BYTES as u64,
        };
        for (path, format) in found {
            let mut file = before.files.get(&path).cloned().unwrap_or_default();
            file.look((&path, format), &mut look, news);
            known.files.insert(path, file);
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The pattern, in which `.csv` at the end stands for `.CSV`, too.
fn with_ending_in_any_case(pattern: &str) -> String {
    let (name, ending) = pattern.rsplit_once('.').unwrap_or((pattern, ""));
    if !ListFormat::EXTENSIONS.iter().any(|known| ending.eq_ignore_ascii_case(known)) {
        return pattern.to_owned();
    }
    let letters = ending.chars().map(|c| format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()));
    format!("{name}.{}", letters.collect::<String>())
}

/// The name that a part of a pattern stands for, `None` if it holds a wildcard. One in brackets of its own (`[*]`) is
/// a plain character.
fn plain(part: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = part;
    while let Some(c) = rest.chars().next() {
        let quoted = ["[?]", "[*]", "[[]", "[]]"].into_iter().find(|quoted| rest.starts_with(quoted));
        match (c, quoted) {
            (_, Some(quoted)) => {
                name.push_str(&quoted[1..2]);
                rest = &rest[3..];
            }
            ('*' | '?' | '[', None) => return None,
            (c, None) => {
                name.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_that_is_known_is_matched_in_any_case() {
        for (pattern, matched) in [
            ("/a/*.yml", "/a/*.[yY][mM][lL]"),
            ("/a.b/*.CSV", "/a.b/*.[cC][sS][vV]"),
            ("/a/*", "/a/*"),
            ("/a.csv/*", "/a.csv/*"),
            ("/a/*.[cj]*", "/a/*.[cj]*"),
            ("/a/*.txt", "/a/*.txt"),
        ] {
            assert_eq!(with_ending_in_any_case(pattern), matched);
        }
    }

    #[test]
    fn the_fixed_part_of_a_pattern_is_told_from_its_wildcards() {
        let file = |text: &str| FilePattern::new(Path::new(text), Arc::from([])).unwrap();
        let cases = [
            ("/a/*.yaml", "/a", None),
            ("/*.yaml", "/", None),
            ("/a/b?/c/x.yaml", "/a", None),
            ("/a/**/x.yaml", "/a", None),
            ("/a/x.yaml", "/a", Some("/a/x.yaml")),
            ("/x.yaml", "/", Some("/x.yaml")),
            ("/a[*]b[[]c[]]/ä.yaml", "/a*b[c]", Some("/a*b[c]/ä.yaml")),
            ("/a/[xy].csv", "/a", None),
            ("x.yaml", ".", Some("x.yaml")),
        ];
        for (text, folder, one) in cases {
            let pattern = file(text);
            assert_eq!(pattern.folder, Path::new(folder), "{text}");
            assert_eq!(pattern.one.as_deref(), one.map(Path::new), "{text}");
        }
        assert!(FilePattern::new(Path::new("/a/[x.yaml"), Arc::from([])).is_err());
    }
}
