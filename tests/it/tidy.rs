//! The house rules, read off the source: captions, floors, lengths, words that may not be there, names of metrics.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use timpush_exporter::metrics::{Kind, catalogue};

/// No file has more lines.
const MOST_LINES: usize = 399;
/// No function has more lines, its signature among them.
const MOST_FUNCTION_LINES: usize = 69;
/// No function has more parameters, `self` aside.
const MOST_PARAMETERS: usize = 4;
/// Built by tools, or not ours.
const FOREIGN: [&str; 3] = ["target", ".git", "Cargo.lock"];
/// The room that every other one may use.
const COMMON: &str = "tree";
/// Folder and file above all rooms.
const COMMAND_LINE: [&str; 2] = ["command", "main.rs"];

/// A text file of the repository.
struct Text {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

impl Text {
    /// True for files that hold nothing but tests.
    fn is_test(&self) -> bool {
        let in_folder = self.path.starts_with("tests/") || self.path.contains("/tests/");
        in_folder || self.path.ends_with("tests.rs")
    }

    /// What the program is made of: without the tests at its end, and nothing at all of a test file.
    fn code(&self) -> &str {
        if self.is_test() {
            return "";
        }
        let end = self.text.find("#[cfg(test)]\nmod tests {");
        &self.text[..end.unwrap_or(self.text.len())]
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below a folder of the repository, by path.
fn texts(below: &str) -> Vec<Text> {
    let mut found = Vec::new();
    gather(&root().join(below), &mut found);
    assert!(!found.is_empty(), "{below} holds no text");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn gather(folder: &Path, found: &mut Vec<Text>) {
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
fn sources() -> Vec<Text> {
    let rust = |text: &Text| text.path.ends_with(".rs");
    texts("").into_iter().filter(rust).collect()
}

/// Fails with all that was found, a line each.
fn none(rule: &str, broken: &[String]) {
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
    let broken: Vec<String> = broken
        .map(|text| format!("{}: {}", text.path, first(text)))
        .collect();
    none("the first line of a file is its caption, one sentence", &broken);
}

#[test]
fn files_are_short() {
    let sources = sources();
    let lines = |text: &Text| text.text.lines().count();
    let broken = sources.iter().filter(|text| lines(text) > MOST_LINES);
    let broken: Vec<String> = broken
        .map(|text| format!("{}: {} lines", text.path, lines(text)))
        .collect();
    none("files have under 400 lines", &broken);
}

/// A function as it stands in the source.
struct Function {
    /// File and line.
    place: String,
    name: String,
    lines: usize,
    /// As written, `self` not among them.
    parameters: Vec<String>,
}

/// All functions with a body or without, closures not.
fn functions(source: &Text) -> Vec<Function> {
    let lines: Vec<&str> = source.text.lines().collect();
    let starts = lines.iter().enumerate().filter_map(|(at, line)| {
        let words = line.trim_start();
        let before = words.split("fn ").next()?;
        let is_start = words.contains("fn ")
            && before.split_whitespace().all(|word| {
                ["const", "async", "unsafe", "extern", "\"C\""].contains(&word) || word.starts_with("pub")
            });
        is_start.then_some((at, line.len() - words.len()))
    });
    starts
        .map(|(at, indent)| function(source, &lines, (at, indent)))
        .collect()
}

fn function(source: &Text, lines: &[&str], (at, indent): (usize, usize)) -> Function {
    let text = lines[at..].join("\n");
    let (_, rest) = text.split_once("fn ").expect("a start has the word");
    let name_end = rest.find(['(', '<']).expect("a function has parentheses");
    let (name, rest) = rest.split_at(name_end);
    // What is formatted closes a body where its first line begins, and one line ends with its own brace.
    let end = " ".repeat(indent) + "}";
    let closes = |line: &&str| **line == end;
    let is_one_line = lines[at].ends_with(['}', ';']);
    let length = if is_one_line {
        1
    } else {
        1 + lines[at..].iter().position(closes).unwrap_or(0)
    };
    Function {
        place: format!("{}:{}", source.path, at + 1),
        name: name.to_owned(),
        lines: length,
        parameters: parameters(rest),
    }
}

/// The parameters of a function, from its generics on; those of bounds such as `Fn(u32)` are not among them.
fn parameters(text: &str) -> Vec<String> {
    let mut depth = 0;
    let mut generics = text.starts_with('<');
    let mut all = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        if generics {
            generics = depth > 0;
        } else if depth == 0 {
            break;
        } else if c == ',' && depth == 1 {
            all.push(String::new());
        } else if depth > 1 || c != '(' {
            all.last_mut().expect("there is always one").push(c);
        }
        before = c;
    }
    let trimmed = all.iter().map(|parameter| parameter.trim().to_owned());
    let is_self = |parameter: &str| {
        let words = parameter.split(':').next().unwrap_or_default();
        words.split([' ', '&']).any(|word| word == "self")
    };
    trimmed
        .filter(|p| !p.is_empty() && !p.starts_with("//") && !is_self(p))
        .collect()
}

#[test]
fn functions_are_counted_as_they_are_written() {
    let text = "trait T {\n    fn a(&mut self) -> u8;\n}\n\npub(super) async fn b<F: Fn(u8, u8) -> u8>(\n    f: F,\n    \
                (x, y): (u8, u8),\n    z: Vec<(u8, u8)>,\n) where\n    F: Sized,\n{\n    if true {\n    }\n}\n\nfn c() {}\n";
    let source = Text {
        path: "p".to_owned(),
        text: text.to_owned(),
    };
    let found = functions(&source);
    let told: Vec<(&str, usize)> = found.iter().map(|f| (f.name.as_str(), f.lines)).collect();
    assert_eq!(told, [("a", 1), ("b", 10), ("c", 1)]);
    assert!(found[0].parameters.is_empty() && found[2].parameters.is_empty());
    assert_eq!(
        found[1].parameters,
        ["f: F", "(x, y): (u8, u8)", "z: Vec<(u8, u8)>"]
    );
    assert_eq!(found[1].place, "p:5");
}

#[test]
fn functions_are_short_and_take_few_parameters() {
    let all: Vec<Function> = sources().iter().flat_map(functions).collect();
    assert!(all.len() > 1000, "only {} functions were found", all.len());
    let long = all.iter().filter(|function| function.lines > MOST_FUNCTION_LINES);
    let long: Vec<String> = long
        .map(|f| format!("{}: {} has {} lines", f.place, f.name, f.lines))
        .collect();
    none("functions have under 70 lines", &long);
    let wide = all
        .iter()
        .filter(|function| function.parameters.len() > MOST_PARAMETERS);
    let wide: Vec<String> = wide
        .map(|f| format!("{}: {} takes {:?}", f.place, f.name, f.parameters))
        .collect();
    none("functions have at most 4 parameters", &wide);
}

/// The floor of every room as `src/lib.rs` tells it; `None` for what stands apart.
fn floors() -> BTreeMap<String, Option<u32>> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    let mut said: Option<&str> = None;
    for line in lib.lines() {
        if let Some(words) = line.strip_prefix("/// ") {
            said = said.or(Some(words));
        } else if let Some(room) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            let words = said.take().unwrap_or_else(|| panic!("{room} has no floor"));
            let (place, _) = words.split_once(':').unwrap_or_else(|| panic!("{room}: {words}"));
            let floor = match place.strip_prefix("Floor ") {
                Some(number) => Some(number.parse().unwrap_or_else(|_| panic!("{room}: {words}"))),
                None if place == "Apart" => None,
                None => panic!("{room}: {words}"),
            };
            floors.insert(room.to_owned(), floor);
        }
    }
    floors
}

/// The names that follow `crate::`, those in braces among them.
fn imports(text: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for rest in text.split("crate::").skip(1) {
        let Some(braces) = rest.strip_prefix('{') else {
            rooms.push(&rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]);
            continue;
        };
        let mut depth = 0;
        for part in braces.split_inclusive([',', '{', '}']) {
            let name = part.trim().split(|c| !is_name(c)).next().unwrap_or_default();
            if depth == 0 && !name.is_empty() {
                rooms.push(name);
            }
            match part.chars().last() {
                Some('{') => depth += 1,
                Some('}') if depth == 0 => break,
                Some('}') => depth -= 1,
                _ => {}
            }
        }
    }
    rooms
}

#[test]
fn imports_only_look_down() {
    assert_eq!(
        imports("use crate::a::B; use crate::{b, c::{D, e}, f::g};"),
        ["a", "b", "c", "f"]
    );
    let floors = floors();
    assert!(floors.len() > 10, "{floors:?}");
    let mut broken = Vec::new();
    let mut looked_down = 0;
    for source in texts("src") {
        let path = source.path.strip_prefix("src/").expect("it lies there");
        let room = path
            .split('/')
            .next()
            .expect("a path has a first part")
            .trim_end_matches(".rs");
        if path == "lib.rs"
            || COMMAND_LINE
                .iter()
                .any(|name| name.trim_end_matches(".rs") == room)
        {
            continue;
        }
        let Some(own) = floors.get(room) else {
            broken.push(format!("{}: src/lib.rs names no room {room}", source.path));
            continue;
        };
        for used in imports(&source.text).into_iter().filter(|used| *used != room) {
            let floor = floors
                .get(used)
                .unwrap_or_else(|| panic!("{}: no room {used}", source.path));
            let is_below = matches!((own, floor), (Some(own), Some(floor)) if floor < own);
            let is_common = used == COMMON && own.is_some();
            if !is_below && !is_common {
                broken.push(format!("{} imports {used}", source.path));
            }
            looked_down += 1;
        }
    }
    assert!(looked_down > 30, "only {looked_down} imports were found");
    none("a room uses rooms of lower floors only", &broken);
}

#[test]
fn what_may_not_be_in_code_is_not_there() {
    // Written in two parts, so that this file does not break its own rule.
    let anywhere = [
        ("to", "do!"),
        ("unimple", "mented!"),
        ("#[ig", "nore"),
        ("db", "g!("),
    ];
    let anywhere = anywhere.map(|(first, second)| format!("{first}{second}"));
    let mut broken = Vec::new();
    for source in sources() {
        for word in anywhere.iter().filter(|word| source.text.contains(word.as_str())) {
            broken.push(format!("{}: {word}", source.path));
        }
        let is_said = |line: &&str| line.contains(".unwrap()") && !line.trim_start().starts_with("//");
        let unwraps = source.code().lines().filter(is_said).count();
        if source.path.starts_with("src/") && unwraps > 0 {
            broken.push(format!("{}: {unwraps} times unwrap() outside tests", source.path));
        }
    }
    none("words that may not be in code", &broken);
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let machines = [
        ("/ro", "ot/"),
        ("/ho", "me/"),
        ("/Us", "ers/"),
        ("/wo", "rk/"),
        ("/tm", "p/h/"),
    ];
    let registries = [
        ("crates", ".io"),
        ("pypi", ".org"),
        ("npmjs", ".org"),
        ("npmjs", ".com"),
        ("golang", ".org"),
        ("rubygems", ".org"),
    ];
    let words: Vec<String> = machines
        .iter()
        .chain(&registries)
        .map(|(a, b)| format!("{a}{b}"))
        .collect();
    let mut broken = Vec::new();
    for text in texts("") {
        for (at, line) in text.text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                broken.push(format!("{}:{}: {word}", text.path, at + 1));
            }
        }
    }
    none(
        "paths of a developer's machine, and hosts of package registries",
        &broken,
    );
}

/// The words of a text that begin with the prefix of our metrics, with the line of each.
fn metric_words(text: &str) -> Vec<(usize, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = |(at, line)| {
        let line: &str = line;
        line.split(move |c| !is_word(c))
            .map(move |word| (at + 1, word.trim_matches(':')))
    };
    let all = text.lines().enumerate().flat_map(words);
    all.filter(|(_, word)| word.starts_with("timpush_") && !word.contains(':'))
        .collect()
}

/// True for a metric, a series of a histogram, a beginning such as `timpush_api_` before a star, or our own name.
fn is_known(word: &str) -> bool {
    let series = |name: &str| catalogue().iter().any(|metric| metric.name == name);
    let histogram = |name: &str| {
        let is_histogram = |metric: &&timpush_exporter::metrics::Metric| metric.kind == Kind::Histogram;
        catalogue()
            .iter()
            .filter(is_histogram)
            .any(|metric| metric.name == name)
    };
    let parts = ["_bucket", "_sum", "_count"];
    let of_histogram = parts
        .iter()
        .any(|part| word.strip_suffix(part).is_some_and(histogram));
    let beginning = word.ends_with('_') && catalogue().iter().any(|metric| metric.name.starts_with(word));
    word == "timpush_exporter" || series(word) || of_histogram || beginning
}

#[test]
fn metrics_are_named_as_they_are() {
    assert!(is_known("timpush_up") && is_known("timpush_stage_delay_seconds_bucket"));
    assert!(!is_known("timpush_down") && !is_known("timpush_up_bucket"));
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md is there");
    let named = metric_words(&readme);
    let missing = catalogue()
        .iter()
        .filter(|metric| named.iter().all(|(_, word)| *word != metric.name));
    let missing: Vec<String> = missing.map(|metric| metric.name.to_owned()).collect();
    none("metrics that README.md does not name", &missing);
    let mut texts: Vec<Text> = ["grafana", "deploy"].into_iter().flat_map(texts).collect();
    texts.push(Text {
        path: "README.md".to_owned(),
        text: readme.clone(),
    });
    let mut foreign = Vec::new();
    for text in &texts {
        for (line, word) in metric_words(&text.text)
            .into_iter()
            .filter(|(_, word)| !is_known(word))
        {
            foreign.push(format!("{}:{line}: {word}", text.path));
        }
    }
    none("names that no metric has", &foreign);
}
