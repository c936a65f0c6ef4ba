//! What a text that should be a secret key shows of how it was pasted.

use super::inspect;
use crate::document::named;

/// Hex digits of a secret key, as the console shows it.
const KEY_DIGITS: usize = 64;

/// Why a text is probably not the secret key that the console shows. Never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyDoubt {
    #[error("it is a PEM block (-----BEGIN ...)")]
    Pem,
    #[error("it is a UserSig, which belongs in usersig_file")]
    UserSig,
    #[error("it is JSON")]
    Json,
    #[error("it has {0} lines")]
    Lines(usize),
    #[error("it is an assignment (NAME=...), not the value alone")]
    Assignment,
    #[error("it is in quotes")]
    Quotes,
    #[error("it holds {}, which is no hex digit", named(*.0))]
    Character(char),
    #[error("it has {0} words")]
    Words(usize),
    #[error("it has {0} characters")]
    Length(usize),
    #[error("it has characters that are no hex digits")]
    NotHex,
}

impl KeyDoubt {
    /// The first doubt about a text that was trimmed; `None` for 64 hex digits.
    pub fn of(key: &str) -> Option<KeyDoubt> {
        if key.len() == KEY_DIGITS && key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let quotes = ['"', '\'', '`', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{ab}', '\u{bb}'];
        let lines = key.lines().filter(|line| !line.trim().is_empty()).count();
        let words = key.split_whitespace().count();
        let characters = key.chars().count();
        Some(if key.contains("-----BEGIN ") {
            Self::Pem
        } else if inspect(key).is_ok() {
            Self::UserSig
        } else if key.starts_with(['{', '[']) {
            Self::Json
        } else if lines > 1 {
            Self::Lines(lines)
        } else if is_assignment(key) {
            Self::Assignment
        } else if key.starts_with(quotes) || key.ends_with(quotes) {
            Self::Quotes
        } else if let Some(odd) =
            key.chars().find(|c| !c.is_ascii() || c.is_ascii_control() && !c.is_whitespace())
        {
            Self::Character(odd)
        } else if words > 1 {
            Self::Words(words)
        } else if characters != KEY_DIGITS {
            Self::Length(characters)
        } else {
            Self::NotHex
        })
    }
}

/// `NAME=value`, `export NAME=value`, `name: value`.
fn is_assignment(text: &str) -> bool {
    let name_of = |part: &str| part.trim_start_matches("export ").trim().trim_matches(['"', '\'']).to_owned();
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    let (equals, colon) = (text.split_once('='), text.split_once(':'));
    // An equals sign at the end is the padding of base64.
    let assigned =
        |(name, value): (&str, &str)| is_name(&name_of(name)) && !value.trim_matches('=').is_empty();
    equals.is_some_and(assigned) || colon.is_some_and(assigned)
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret, SecretString};

    use super::*;
    use crate::usersig::{Identity, sign};

    const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

    #[test]
    fn what_was_pasted_with_the_key_is_told() {
        use KeyDoubt::{Assignment, Character, Json, Length, Lines, NotHex, Pem, Quotes, UserSig, Words};
        let identity = Identity { sdk_app_id: 1_400_000_001, admin: "administrator".to_owned() };
        let sig = sign(&identity, &SecretString::from(KEY), 0, 1000);
        let upper = KEY.to_uppercase();
        assert_eq!(KeyDoubt::of(KEY), None);
        assert_eq!(KeyDoubt::of(&upper), None);
        let cases = [
            (format!("-----BEGIN PRIVATE KEY-----\n{KEY}"), Pem),
            (sig.expose_secret().to_owned(), UserSig),
            (format!("{{\"key\": \"{KEY}\"}}"), Json),
            (format!("{KEY}\r\n\r\n{KEY}"), Lines(2)),
            (format!("# the key of shop\n{KEY}"), Lines(2)),
            (format!("SHOP_KEY={KEY}"), Assignment),
            (format!("export SHOP_KEY=\"{KEY}\""), Assignment),
            (format!("secret-key: {KEY}"), Assignment),
            (format!("\"secret_key\": \"{KEY}\","), Assignment),
            (format!("\"{KEY}\""), Quotes),
            (format!("'{KEY}"), Quotes),
            (format!("\u{201c}{KEY}\u{201d}"), Quotes),
            (format!("{KEY}\u{200b}"), Character('\u{200b}')),
            (format!("{}\u{a0}{}", &KEY[..32], &KEY[32..]), Character('\u{a0}')),
            (format!("{KEY} {KEY}"), Words(2)),
            (format!("{KEY}\tshop"), Words(2)),
            (format!("{KEY}{KEY}"), Length(128)),
            (KEY[1..].to_owned(), Length(63)),
            ("<the secret key>".to_owned(), Words(3)),
            ("c2VjcmV0IGtleQ==".to_owned(), Length(16)),
            (KEY.replace('5', "o"), NotHex),
        ];
        for (text, doubt) in cases {
            assert_eq!(KeyDoubt::of(&text), Some(doubt), "{text}");
        }
    }
}
