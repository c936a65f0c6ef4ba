//! From text to a tree: YAML and JSON, within fixed limits.

use std::cell::Cell;

use serde::de::DeserializeSeed;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{NonFiniteFloatPolicy, UserMessageFormatter};

use super::node::{FromJson, YamlRoot};
use super::{Fault, Node};

/// How many values one document may hold: two million pairs, each as an entry of its own, fit.
pub const MAX_NODES: usize = 16_000_000;
/// How deep lists and mappings may nest in YAML; in JSON it is 128, the limit of `serde_json`.
pub const MAX_DEPTH: usize = 32;
/// How many values YAML aliases (`*name`) may repeat in all.
const MAX_ALIAS_EVENTS: usize = 1_000_000;
/// How many characters of a value or key a fault shows.
const MAX_SHOWN_CHARS: usize = 64;
/// The longest word that is shown whole; keys, tokens and signatures are longer.
const MAX_WORD_CHARS: usize = 24;
/// What is shown of a text with a longer word.
const SECRET_SHOWN_CHARS: usize = 6;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Yaml,
    Json,
}

/// Reads one document; see [`super::utf8`] for bytes. What follows a YAML document may be further `---` and `...` alone.
///
/// Keys written twice are kept: [`super::Place::table`] notes them with their path.
pub fn parse(text: &str, syntax: Syntax) -> Result<Node, Fault> {
    match syntax {
        Syntax::Yaml => parse_yaml(text),
        Syntax::Json => parse_json(text),
    }
}

fn parse_yaml(text: &str) -> Result<Node, Fault> {
    let root = parse_one(text).or_else(|error| match error {
        serde_saphyr::Error::MultipleDocuments { .. } => match first_of(text, &error) {
            Some(first) => parse_one(first),
            None => Err(error),
        },
        other => Err(other),
    });
    root.map_err(yaml_fault)
}

/// The first document of a text, if nothing follows the place of the error but markers, comments and empty lines.
fn first_of<'t>(text: &'t str, error: &serde_saphyr::Error) -> Option<&'t str> {
    let at = usize::try_from(error.location()?.span().byte_offset()?).ok()?;
    let end = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let (first, rest) = text.split_at(end);
    let is_marker = |line: &str| {
        let tail = ["---", "..."].iter().find_map(|marker| line.strip_prefix(marker)).unwrap_or(line);
        tail.trim().is_empty() || tail.trim_start().starts_with('#')
    };
    rest.lines().all(is_marker).then_some(first)
}

fn parse_one(text: &str) -> Result<Node, serde_saphyr::Error> {
    let limits = serde_saphyr::alias_limits! {
        max_total_replayed_events: MAX_ALIAS_EVENTS,
        max_replay_stack_depth: MAX_DEPTH,
    };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // Each node is at most a start and an end event.
            max_events: 2 * MAX_NODES + 8,
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_total_scalar_bytes: text.len().saturating_mul(2).saturating_add(64 << 20),
        },
        // The tree keeps both, so that the fault can name the key path.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        alias_limits: limits,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        // A snippet would show lines of the file, and with them whatever was pasted there.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<YamlRoot>(text, options).map(|root| root.0)
}

fn yaml_fault(error: serde_saphyr::Error) -> Fault {
    use serde_saphyr::Error;
    let error = error.without_snippet();
    let place = error.location().map(|at| format!("line {} column {}", at.line(), at.column()));
    let text = match error {
        Error::MultipleDocuments { .. } => {
            "starts a second YAML document; expected one document (no further ---)".to_owned()
        }
        // A password that starts with ! looks like a tag, so the tag is not shown.
        Error::UnsupportedTag { .. } => "has a tag (!...); text that starts with ! needs quotes".to_owned(),
        other => {
            let text = other.render_with_formatter(&UserMessageFormatter);
            let text = text.split(" at line ").next().unwrap_or_default();
            // The same limits are told by several variants, depending on who met them; fixtures pin these words.
            if text.contains("limits breached") || text.contains("recursion limit") {
                format!(
                    "is too large or too deep; expected at most {MAX_NODES} values, {MAX_DEPTH} levels and few repeats by \
                     alias"
                )
            } else {
                format!("is no YAML: {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
            }
        }
    };
    Fault { place: place.unwrap_or_default(), text }
}

fn parse_json(text: &str) -> Result<Node, Fault> {
    let left = Cell::new(MAX_NODES);
    let mut reader = serde_json::Deserializer::from_str(text);
    let node = FromJson(&left).deserialize(&mut reader).and_then(|node| reader.end().map(|()| node));
    node.map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        Fault { place, text: format!("is no JSON: {text}") }
    })
}

/// A value or key as a fault may show it: quoted, control characters escaped, cut after some characters. A text with a
/// word so long that it may be a pasted secret is cut after its first few.
pub fn shown(text: &str) -> String {
    let longest = text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
    let cap = if longest > MAX_WORD_CHARS { SECRET_SHOWN_CHARS } else { MAX_SHOWN_CHARS };
    let cut: String = text.chars().take(cap).collect();
    let more = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut:?}{more}")
}
