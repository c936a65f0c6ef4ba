//! Task and user ids as producers write them: trimmed, judged, and told where they are odd.
//!
//! The upstream answers an id that is none with an empty trace, which looks like a push that is not sent yet. No text here
//! shows an id: it is personal.

use std::borrow::Cow;

use crate::document::{is_private, named, strays, trim_strays};

/// The longest task or user id, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// What programs write where there is no id, or a spreadsheet where it cannot compute one.
const PLACEHOLDERS: [&str; 12] = [
    "null",
    "nil",
    "none",
    "nan",
    "n/a",
    "undefined",
    "#n/a",
    "#name?",
    "#num!",
    "#ref!",
    "#value!",
    "#null!",
];

/// Reads an id: spaces and invisible characters at its ends are left out. `warn` is told of what is odd about it, `Err` says
/// why it is refused.
pub(super) fn read(text: &str, mut warn: impl FnMut(Cow<'static, str>)) -> Result<&str, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let has_plain_length = (1..=MAX_ID_BYTES).contains(&text.len());
    if has_plain_length && text.bytes().all(is_plain) {
        if is_placeholder(text) {
            warn(PLACEHOLDER.into());
        }
        return Ok(text);
    }
    let (id, trimmed) = trim_strays(text);
    if let Some(first) = trimmed {
        warn(format!("has {} at an end, which is left out", named(first)).into());
    }
    let right = |what| Err(format!("{what}; expected 1 to {MAX_ID_BYTES} bytes of text"));
    if id.is_empty() {
        return right("is empty".to_owned());
    }
    if id.len() > MAX_ID_BYTES {
        return right(format!("is {} bytes long", id.len()));
    }
    if let Some((at, stray)) = strays(id).next() {
        let position = 1 + id[..at].chars().count();
        return Err(format!("holds {} as character {position}; expected an id without it", named(stray)));
    }
    oddity(id).map(warn);
    Ok(id)
}

const PLACEHOLDER: &str = "is a placeholder such as null or #N/A; it is watched as an id";

/// What is odd about an id and yet allowed.
fn oddity(id: &str) -> Option<Cow<'static, str>> {
    let (first, last) = (id.chars().next()?, id.chars().next_back()?);
    let quote = [first, last].into_iter().find(|c| is_quote(*c));
    if first == '\'' && last != '\'' {
        return Some(
            "begins with the apostrophe that spreadsheets write before text; it is watched as part of the id"
                .into(),
        );
    }
    if first == '=' {
        return Some(
            "begins with = as the formula of a spreadsheet does; it is watched as part of the id".into(),
        );
    }
    if let Some(quote) = quote {
        let quote = quote_name(quote);
        return Some(
            format!("has {quote} at an end, which is watched as part of the id; expected the id alone")
                .into(),
        );
    }
    if is_scientific(id) {
        return Some(
            "is a number in scientific notation, in which digits of an id are lost; it is watched as written"
                .into(),
        );
    }
    if id.strip_suffix(".0").is_some_and(digits) {
        return Some("is a whole number written with .0; it is watched as written".into());
    }
    if is_placeholder(id) {
        return Some(PLACEHOLDER.into());
    }
    if let Some(c) = id.chars().find(|c| matches!(c, ' ' | ',' | ';')) {
        let name = match c {
            ' ' => "a space",
            ',' => "a comma",
            _ => "a semicolon",
        };
        return Some(format!("holds {name}; it is watched as one id").into());
    }
    let private = id.chars().find(|c| is_private(*c))?;
    Some(format!("holds {}; it is watched as written", named(private)).into())
}

fn is_placeholder(id: &str) -> bool {
    id.len() <= 9 && PLACEHOLDERS.iter().any(|known| id.eq_ignore_ascii_case(known))
}

/// `1.23457E+11`, `1.2e9`, `1E+11`, `1,23457E+11`: as spreadsheets and programs write large numbers. `1e9` is not one: it
/// may be a piece of a digest.
fn is_scientific(id: &str) -> bool {
    let Some((mantissa, exponent)) = id.split_once(['e', 'E']) else { return false };
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match mantissa.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent_is_right = match exponent.strip_prefix('+') {
        Some(exponent) => digits(exponent),
        None => fraction.is_some() && digits(exponent.strip_prefix('-').unwrap_or(exponent)),
    };
    digits(whole) && fraction.is_none_or(digits) && exponent_is_right
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '`' | '\u{b4}' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}'
    ) || matches!(c, '\u{300c}'..='\u{300f}' | '\u{301d}'..='\u{301f}' | '\u{ff02}' | '\u{ff07}')
}

fn quote_name(c: char) -> String {
    let name = match c {
        '"' => "quotation mark",
        '\'' => "apostrophe",
        '`' => "backtick",
        '\u{2018}' => "left single quotation mark",
        '\u{2019}' => "right single quotation mark",
        '\u{201c}' => "left double quotation mark",
        '\u{201d}' => "right double quotation mark",
        _ => "quotation mark",
    };
    format!("U+{:04X} ({name})", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Result<&str, String>, Vec<String>) {
        let mut warnings = Vec::new();
        let id = read(text, |warning| warnings.push(warning.into_owned()));
        (id, warnings)
    }

    #[test]
    fn plain_ids_are_taken_without_a_word() {
        for id in [
            "alice",
            "10086",
            "-7",
            "660cc447_537ed82a_200000cd7ee17f5_84035729_bc614e",
            "a.b@example.com",
            "tenant/42:x#y",
            "O'Brien",
            "用户一",
            "👨‍👩‍👧",
            "1e9",
            "5E-05",
            "1e5f",
            "3.14",
            "v1.0",
            "Nonesuch",
            &"x".repeat(MAX_ID_BYTES),
        ] {
            assert_eq!(told(id), (Ok(id), vec![]), "{id}");
        }
    }

    #[test]
    fn what_is_at_the_ends_is_left_out_and_named() {
        for (text, character) in [
            ("\u{feff}alice", "U+FEFF (byte order mark)"),
            ("alice\u{200b}", "U+200B (zero width space)"),
            ("\u{a0}alice", "U+00A0 (no-break space)"),
            ("alice ", "U+0020 (space)"),
            ("\talice\n", "U+0009 (tab)"),
            ("\u{202a}alice\u{202c}", "U+202A (left-to-right embedding)"),
            ("alice\u{3000}", "U+3000 (ideographic space)"),
        ] {
            let warning = format!("has {character} at an end, which is left out");
            assert_eq!(told(text), (Ok("alice"), vec![warning]));
        }
    }

    #[test]
    fn what_cannot_be_seen_inside_is_refused_by_name() {
        for (text, what) in [
            ("al\u{200b}ice", "holds U+200B (zero width space) as character 3; expected an id without it"),
            ("用\u{3000}户", "holds U+3000 (ideographic space) as character 2; expected an id without it"),
            ("a\tb", "holds U+0009 (tab) as character 2; expected an id without it"),
            (" a\u{2066}b", "holds U+2066 (left-to-right isolate) as character 2; expected an id without it"),
            ("a\u{fffd}", "holds U+FFFD (replacement character) as character 2; expected an id without it"),
            ("", "is empty; expected 1 to 256 bytes of text"),
            ("\u{200b} ", "is empty; expected 1 to 256 bytes of text"),
        ] {
            assert_eq!(told(text).0, Err(what.to_owned()), "{text:?}");
        }
        let long = format!("{} ", "x".repeat(MAX_ID_BYTES + 1));
        assert_eq!(told(&long).0, Err("is 257 bytes long; expected 1 to 256 bytes of text".to_owned()));
    }

    #[test]
    fn what_a_program_has_probably_changed_is_watched_and_warned_about() {
        for (id, beginning) in [
            ("\"alice\"", "has U+0022 (quotation mark) at an end"),
            ("alice\"", "has U+0022 (quotation mark) at an end"),
            ("'alice'", "has U+0027 (apostrophe) at an end"),
            ("“alice”", "has U+201C (left double quotation mark) at an end"),
            ("alice’", "has U+2019 (right single quotation mark) at an end"),
            ("`alice`", "has U+0060 (backtick) at an end"),
            ("「张三」", "has U+300C (quotation mark) at an end"),
            ("'12345", "begins with the apostrophe that spreadsheets write"),
            ("=\"12345\"", "begins with = as the formula of a spreadsheet"),
            ("1.23457E+11", "is a number in scientific notation"),
            ("1,23457E+11", "is a number in scientific notation"),
            ("-1.2e9", "is a number in scientific notation"),
            ("1E+11", "is a number in scientific notation"),
            ("12345.0", "is a whole number written with .0"),
            ("#N/A", "is a placeholder"),
            ("None", "is a placeholder"),
            ("NaN", "is a placeholder"),
            ("alice bob", "holds a space"),
            ("alice,bob", "holds a comma"),
            ("alice;bob", "holds a semicolon"),
            ("a\u{e000}", "holds U+E000 (private use character)"),
        ] {
            let (read, warnings) = told(id);
            assert_eq!(read, Ok(id));
            assert!(warnings.len() == 1 && warnings[0].starts_with(beginning), "{id}: {warnings:?}");
        }
    }
}
