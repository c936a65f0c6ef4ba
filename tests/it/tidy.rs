//! The house rules, read off the source: captions, floors, lengths of files, names of metrics; `[lints]` in Cargo.toml holds the rest.

mod circles;
mod floor;
mod links;
mod source;

use std::fs;

use timpush_exporter::metrics::{Kind, catalogue};

pub use source::root;
use source::{Text, sources, texts};

/// No file has more lines.
const MOST_LINES: usize = 399;
/// Fails with all that was found, a line each.
pub fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn every_file_begins_with_its_caption() {
    let is_caption = |line: &str| {
        let words = line.strip_prefix("//! ").unwrap_or_default();
        let sentence = words.strip_suffix('.').unwrap_or_default();
        // One sentence: no end before the end.
        !sentence.is_empty() && !sentence.contains(". ") && sentence.contains(' ')
    };
    let first = |text: &Text| text.text.lines().next().unwrap_or_default().to_owned();
    let sources = sources();
    let broken = sources.iter().filter(|text| !is_caption(&first(text)));
    let broken: Vec<String> = broken.map(|text| format!("{}: {}", text.path, first(text))).collect();
    none("the first line of a file is its caption, one sentence", &broken);
}

#[test]
fn files_are_short() {
    let sources = sources();
    let lines = |text: &Text| text.text.lines().count();
    let broken = sources.iter().filter(|text| lines(text) > MOST_LINES);
    let broken: Vec<String> = broken.map(|text| format!("{}: {} lines", text.path, lines(text))).collect();
    none("files have under 400 lines", &broken);
}

#[test]
fn no_test_is_ignored() {
    // Written in two parts, so that this file does not break its own rule.
    let ignored = format!("{}{}", "#[ig", "nore");
    let broken: Vec<String> =
        sources().into_iter().filter(|s| s.text.contains(&ignored)).map(|s| s.path).collect();
    none("tests that are ignored", &broken);
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let machines = [("/ro", "ot/"), ("/ho", "me/"), ("/Us", "ers/"), ("/wo", "rk/"), ("/tm", "p/h/")];
    let registries = [
        ("crates", ".io"),
        ("pypi", ".org"),
        ("npmjs", ".org"),
        ("npmjs", ".com"),
        ("golang", ".org"),
        ("rubygems", ".org"),
    ];
    let words: Vec<String> = machines.iter().chain(&registries).map(|(a, b)| format!("{a}{b}")).collect();
    let mut broken = Vec::new();
    for text in texts("") {
        for (at, line) in text.text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                broken.push(format!("{}:{}: {word}", text.path, at + 1));
            }
        }
    }
    none("paths of a developer's machine, and hosts of package registries", &broken);
}

/// The words of a text that begin with the prefix of our metrics, with the line of each.
fn metric_words(text: &str) -> Vec<(usize, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = |(at, line)| {
        let line: &str = line;
        line.split(move |c| !is_word(c)).map(move |word| (at + 1, word.trim_matches(':')))
    };
    let all = text.lines().enumerate().flat_map(words);
    all.filter(|(_, word)| word.starts_with("timpush_") && !word.contains(':')).collect()
}

/// True for a metric, a series of a histogram, a beginning such as `timpush_api_` before a star, or our own name.
fn is_known(word: &str) -> bool {
    let series = |name: &str| catalogue().iter().any(|metric| metric.name == name);
    let histogram = |name: &str| {
        let is_histogram = |metric: &&timpush_exporter::metrics::Metric| metric.kind == Kind::Histogram;
        catalogue().iter().filter(is_histogram).any(|metric| metric.name == name)
    };
    let parts = ["_bucket", "_sum", "_count"];
    let of_histogram = parts.iter().any(|part| word.strip_suffix(part).is_some_and(histogram));
    let beginning = word.ends_with('_') && catalogue().iter().any(|metric| metric.name.starts_with(word));
    word == "timpush_exporter" || series(word) || of_histogram || beginning
}

#[test]
fn metrics_are_named_as_they_are() {
    assert!(is_known("timpush_up") && is_known("timpush_stage_delay_seconds_bucket"));
    assert!(!is_known("timpush_down") && !is_known("timpush_up_bucket"));
    let tables = fs::read_to_string(root().join("docs/metrics.md")).expect("docs/metrics.md is there");
    let named = metric_words(&tables);
    let missing = catalogue().iter().filter(|metric| named.iter().all(|(_, word)| *word != metric.name));
    let missing: Vec<String> = missing.map(|metric| metric.name.to_owned()).collect();
    none("metrics that docs/metrics.md does not name", &missing);
    let mut texts: Vec<Text> = ["grafana", "deploy", "docs"].into_iter().flat_map(texts).collect();
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md is there");
    texts.push(Text { path: "README.md".to_owned(), text: readme });
    let mut foreign = Vec::new();
    for text in &texts {
        for (line, word) in metric_words(&text.text).into_iter().filter(|(_, word)| !is_known(word)) {
            foreign.push(format!("{}:{line}: {word}", text.path));
        }
    }
    none("names that no metric has", &foreign);
}
