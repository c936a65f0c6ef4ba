//! The documents: links between them lead somewhere, and README stays short and names every page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::none;
use super::source::{Text, root, texts};

/// README has no more words.
const MOST_README_WORDS: usize = 2500;

/// A link of a document to a file or heading of this repository.
#[derive(Debug, PartialEq, Eq)]
struct Link<'a> {
    line: usize,
    target: &'a str,
}

/// The lines that are text: those between fences are code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!in_code && !fence).then_some((at + 1, line))
    })
}

/// The targets of `[text](target)` in a document; those on the web are left out.
fn links(text: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        // Every other part of a line lies between backticks.
        for part in text.split('`').step_by(2) {
            let targets = part.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let own = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
            found.extend(own.map(|target| Link { line, target }));
        }
    }
    found
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let slug: String = title.trim().to_lowercase().chars().filter(|c| kept(*c)).collect();
        let slug = slug.replace(' ', "-");
        let again = seen.entry(slug.clone()).or_default();
        anchors.insert(if *again == 0 { slug.clone() } else { format!("{slug}-{again}") });
        *again += 1;
    }
    anchors
}

/// A path from the root of the repository, without `.` and `..`; `None` where it leads out.
fn within(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in folder.join(target).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => path.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// What is wrong with a link of that document.
fn fault(document: &Text, target: &str, documents: &[Text]) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(&document.path).parent().unwrap_or(Path::new(""));
    let path = match file {
        "" => Some(PathBuf::from(&document.path)),
        file => within(folder, file),
    };
    let Some(path) = path.filter(|path| root().join(path).exists()) else {
        return Some("no such file".to_owned());
    };
    if anchor.is_empty() {
        return None;
    }
    let text = documents.iter().find(|other| Path::new(&other.path) == path);
    let has = text.is_some_and(|text| anchors(&text.text).contains(anchor));
    (!has).then(|| "no such heading".to_owned())
}

fn documents() -> Vec<Text> {
    let documents: Vec<Text> = texts("").into_iter().filter(|text| text.path.ends_with(".md")).collect();
    assert!(documents.len() > 30, "only {} documents were found", documents.len());
    documents
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = documents();
    let mut broken = Vec::new();
    for document in &documents {
        for Link { line, target } in links(&document.text) {
            let fault = fault(document, target, &documents);
            broken.extend(fault.map(|fault| format!("{}:{line}: {target}: {fault}", document.path)));
        }
    }
    none("links that lead nowhere", &broken);
}

#[test]
fn readme_is_short_and_names_every_page() {
    let documents = documents();
    let readme = documents.iter().find(|text| text.path == "README.md").expect("README.md is there");
    let words = readme.text.split_whitespace().count();
    assert!(words <= MOST_README_WORDS, "README.md has {words} words; the pages in docs/ have room");
    let named: Vec<&str> = links(&readme.text).iter().map(|link| link.target).collect();
    let pages = documents.iter().map(|text| text.path.as_str());
    let pages = pages.filter(|path| path.strip_prefix("docs/").is_some_and(|page| !page.contains('/')));
    let missing: Vec<String> = pages.filter(|page| !named.contains(page)).map(str::to_owned).collect();
    none("pages that README.md does not link to", &missing);
}

#[test]
fn links_and_anchors_are_read_as_github_reads_them() {
    let text = "# One `two` & three\n## A-b c_d?\n## A-b c_d\n```\n# code [no](x.md)\n```\n[yes](a.md#b) `[no](c.md)`\n\
                [web](https://x) ![image](i.png)";
    let wanted = ["a-b-c_d", "a-b-c_d-1", "one-two--three"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(wanted));
    let found = links(text);
    let targets: Vec<&str> = found.iter().map(|link| link.target).collect();
    assert_eq!((targets, found[0].line), (vec!["a.md#b", "i.png"], 7));
    let document = Text { path: "docs/page.md".to_owned(), text: "# Here".to_owned() };
    let documents = [Text { path: "README.md".to_owned(), text: "## There".to_owned() }];
    for (target, is_right) in [
        ("../README.md", true),
        ("../README.md#there", true),
        ("../README.md#where", false),
        ("README.md", false),
        ("../../README.md", false),
        ("../src", true),
    ] {
        assert_eq!(fault(&document, target, &documents).is_none(), is_right, "{target}");
    }
}
