//! Keys of mappings: which are written twice, which known one was probably meant, and how much of one may be shown.

use std::collections::HashSet;

use super::{Node, shown};

/// Tables up to this many keys are searched for duplicates pairwise, larger ones through a set.
const SMALL_TABLE_KEYS: usize = 16;
/// Keys longer than this are never compared with the known ones.
const MAX_COMPARED_CHARS: usize = 40;
/// An unknown key is a word of a configuration up to so many characters more than the longest key that is known there.
const LONGER_CHARS: usize = 8;
/// What is shown of an unknown key that is no such word: one character in four, at most so many.
const HIDDEN_SHOWN_CHARS: usize = 3;

/// Calls `note` for each key that was there before.
pub(super) fn each_duplicate(entries: &[(Box<str>, Node)], note: impl Fn(&str, &Node)) {
    let mut seen = HashSet::new();
    for (index, (key, node)) in entries.iter().enumerate() {
        let twice = match entries.len() {
            ..=SMALL_TABLE_KEYS => entries[..index].iter().any(|(earlier, _)| earlier == key),
            _ => !seen.insert(key),
        };
        if twice {
            note(key, node);
        }
    }
}

/// What may be told of a key that is not asked for: somebody may have pasted a secret in its place. Of one that is near no
/// known key and no plain word, only its first characters; `None` for one that is told whole.
pub(super) fn cut(key: &str, known: &[&'static str]) -> Option<String> {
    let longest = known.iter().map(|name| name.len()).max().unwrap_or(0);
    let is_told = key.is_empty()
        || nearest(key, known).is_some()
        || (key.len() <= longest + LONGER_CHARS && is_word(key));
    let cap = (key.chars().count() / 4).clamp(1, HIDDEN_SHOWN_CHARS);
    (!is_told).then(|| key.chars().take(cap).collect())
}

pub(super) fn push_key(path: &mut String, key: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || key.len() > MAX_COMPARED_CHARS || !key.chars().all(plain) {
        path.push('[');
        path.push_str(&shown(key));
        path.push(']');
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// `max_pairs`, `Cache-Control`, `maxPairs`, `pairs2`: words of letters, in which a capital begins a word, and perhaps one
/// digit at the end.
fn is_word(key: &str) -> bool {
    let key = key.strip_suffix(|last: char| last.is_ascii_digit()).unwrap_or(key);
    key.split(['_', '-']).all(|word| {
        let begins = word.starts_with(|first: char| first.is_ascii_alphabetic());
        let capitals = word
            .as_bytes()
            .windows(2)
            .any(|pair| pair[1].is_ascii_uppercase() && !pair[0].is_ascii_lowercase());
        begins && !capitals && word.bytes().all(|letter| letter.is_ascii_alphabetic())
    })
}

/// The known key that was probably meant: at most a third of its letters differ.
pub(super) fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    if key.chars().count() > MAX_COMPARED_CHARS {
        return None;
    }
    let key = key.to_lowercase().replace('-', "_");
    let near = known.iter().map(|name| (edits(&key, name), *name));
    let (distance, name) = near.min()?;
    (distance <= (name.len() / 3).max(1)).then_some(name)
}

/// How many letters must be changed, added or dropped to make one word of the other (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in other.iter().enumerate() {
            let change = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
