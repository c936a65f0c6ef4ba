//! The files of one pattern: which are there, which changed, and the last good list of each.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use glob::{MatchOptions, Pattern};

use super::super::{ListFormat, MAX_LIST_BYTES};
use super::held::{Document, Held};
use super::report::News;
use super::stamp::Stamp;

/// How many files one pattern may match; those beyond, in the order of their paths, are left out and told.
pub const MAX_FILES: usize = 10_000;
/// How many unreadable folders of one pattern are told.
const MAX_FOLDERS_TOLD: usize = 20;
/// As a shell reads a pattern: `*` and `?` match no slash and no leading dot, so that half-written `.list.yaml` of
/// editors and copying tools stay out.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Files that are there, in the order of their paths.
type Found = BTreeMap<PathBuf, ListFormat>;

/// A pattern, and the part of it that is no pattern.
#[derive(Debug)]
pub(super) struct FilePattern {
    pattern: String,
    /// The folder before the first wildcard. It must be readable, else nothing is known of the files.
    folder: PathBuf,
    /// The one file that a pattern without wildcards names.
    one: Option<PathBuf>,
    watch_labels: Arc<[Box<str>]>,
    max_files: usize,
}

/// What is known of the files of one pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    files: BTreeMap<PathBuf, KnownFile>,
    /// Troubles of the pattern itself that the log knows.
    told: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct KnownFile {
    held: Held,
    /// Of the content read last; `None` if it must be read again to know.
    stamp: Option<Stamp>,
}

impl Known {
    /// The last good lists, in the order of the paths.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        self.files.values().map(|file| &file.held)
    }
}

impl FilePattern {
    /// # Errors
    /// What is wrong with the pattern.
    pub(super) fn new(pattern: &Path, watch_labels: Arc<[Box<str>]>) -> Result<FilePattern, String> {
        let text = pattern.to_str().ok_or("is not UTF-8; text in UTF-8 would be right")?;
        Pattern::new(text).map_err(|error| {
            format!("is no pattern ({}); one such as watch/*.yaml would be right", error.msg)
        })?;
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
            folder: folder.into(),
            one,
            watch_labels,
            max_files: MAX_FILES,
        })
    }

    #[cfg(test)]
    pub(super) fn set_max_files(&mut self, max_files: usize) {
        self.max_files = max_files;
    }

    /// Looks which files are there, and reads those that changed. Blocks.
    pub(super) fn look(&self, before: &Known) -> (Known, News) {
        let mut news = News::default();
        let mut troubles = Vec::new();
        let mut known = Known::default();
        match self.matches(&mut troubles) {
            None => known.files.clone_from(&before.files),
            Some(mut found) => {
                self.look_for_missing(before, &mut found, &mut news);
                self.read(found, before, (&mut known, &mut news));
            }
        }
        for trouble in &troubles {
            if !before.told.contains(trouble) {
                news.tell(trouble.clone());
            }
            news.trouble(trouble.clone());
        }
        known.told = troubles;
        (known, news)
    }

    /// The files that are there; `None` if that cannot be known.
    fn matches(&self, troubles: &mut Vec<String>) -> Option<Found> {
        if let Some(path) = &self.one {
            return self.match_one(path, troubles);
        }
        if let Err(error) = fs::read_dir(&self.folder) {
            troubles.push(format!("{}: {}", self.folder.display(), cannot(&error)));
            return None;
        }
        let paths = glob::glob_with(&self.pattern, OPTIONS).expect("the pattern was checked in new");
        let mut all = Vec::new();
        for path in paths {
            match path {
                Ok(path) => all.extend(ListFormat::of(&path).map(|format| (path, format))),
                Err(error) if troubles.len() < MAX_FOLDERS_TOLD => {
                    troubles.push(format!("{}: {}", error.path().display(), cannot(error.error())));
                }
                Err(_) => {}
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        if all.len() > self.max_files {
            let (pattern, count, max) = (&self.pattern, all.len(), self.max_files);
            troubles.push(format!(
                "{pattern}: matches {count} files, of which {max} are read; at most {max} would be right"
            ));
            all.truncate(max);
        }
        Some(all.into_iter().collect())
    }

    fn match_one(&self, path: &Path, troubles: &mut Vec<String>) -> Option<Found> {
        let Some(format) = ListFormat::of(path) else {
            let right = ListFormat::EXTENSIONS.join(" .");
            troubles
                .push(format!("{}: has no known extension; one of .{right} would be right", path.display()));
            return None;
        };
        match fs::symlink_metadata(path) {
            Err(error) if is_gone(&error) => {
                troubles.push(format!("{}: {}", path.display(), cannot(&error)));
                // Where the folder is gone, too, it is not the file that somebody took away.
                fs::metadata(&self.folder).is_ok().then(Found::new)
            }
            // If it cannot be reached, reading it will say so.
            Ok(_) | Err(_) => Some(Found::from([(path.to_owned(), format)])),
        }
    }

    /// Files known before that no longer match: one that is gone leaves the list; one that may be there is read, which
    /// tells what is wrong with it.
    fn look_for_missing(&self, before: &Known, found: &mut Found, news: &mut News) {
        for (path, file) in &before.files {
            if found.contains_key(path) {
                continue;
            }
            let gone = fs::symlink_metadata(path).is_err_and(|error| is_gone(&error));
            match ListFormat::of(path) {
                Some(format) if !gone && found.len() < self.max_files => {
                    found.insert(path.clone(), format);
                }
                _ => file.held.clone().leave(&path.display().to_string(), news),
            }
        }
    }

    fn read(&self, found: Found, before: &Known, (known, news): (&mut Known, &mut News)) {
        let mut left_bytes = MAX_LIST_BYTES as u64;
        for (path, format) in found {
            let shown = path.display().to_string();
            let mut file = before.files.get(&path).cloned().unwrap_or_default();
            let outcome = match changed(&path, file.stamp, &mut left_bytes) {
                Ok(None) => Ok(()),
                Ok(Some(content)) => {
                    let document = Document { shown: &shown, format, bytes: &content.bytes };
                    file.held.read(document, &self.watch_labels, news);
                    file.stamp = content.stamp;
                    Ok(())
                }
                Err(trouble) => {
                    file.stamp = None;
                    Err(trouble)
                }
            };
            file.held.end_look(&shown, outcome, news);
            known.files.insert(path, file);
        }
    }
}

/// What a file holds.
struct Content {
    bytes: Vec<u8>,
    /// `None` if it may change again without a trace.
    stamp: Option<Stamp>,
}

/// The content of a file, `None` if it is still the one with that stamp; takes its length from what is left to the
/// pattern.
fn changed(path: &Path, before: Option<Stamp>, left_bytes: &mut u64) -> Result<Option<Content>, String> {
    let metadata = fs::metadata(path).map_err(|error| cannot(&error))?;
    if !metadata.is_file() {
        // Opening a pipe would wait for its writer.
        return Err("is no regular file; a file with a list would be right".to_owned());
    }
    if metadata.len() > *left_bytes {
        let length = metadata.len();
        return Err(format!(
            "is {length} bytes long; at most {left_bytes} would be right here \
             ({MAX_LIST_BYTES} for all files of one pattern)"
        ));
    }
    *left_bytes -= metadata.len();
    if before == Some(Stamp::of(&metadata)) {
        return Ok(None);
    }
    let begun_at = SystemTime::now();
    let (bytes, stamp) = read_whole(path, metadata.len()).map_err(|error| cannot(&error))?;
    let Some(stamp) = stamp else {
        return Err("changed while it was read; a new file moved into its place would be right".to_owned());
    };
    let stamp = stamp.is_settled(begun_at).then_some(stamp);
    Ok(Some(Content { bytes, stamp }))
}

/// All bytes of a file, and its stamp, `None` if it changed meanwhile.
fn read_whole(path: &Path, length_bytes: u64) -> io::Result<(Vec<u8>, Option<Stamp>)> {
    let mut file = File::open(path)?;
    let before = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::with_capacity(usize::try_from(length_bytes).unwrap_or(0));
    let most = MAX_LIST_BYTES as u64 + 1;
    Read::by_ref(&mut file).take(most).read_to_end(&mut bytes)?;
    let after = Stamp::of(&file.metadata()?);
    Ok((bytes, (before == after).then_some(after)))
}

fn cannot(error: &io::Error) -> String {
    format!("cannot be read ({error})")
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
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
