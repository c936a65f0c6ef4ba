//! What a credential's file or variable holds: a text that can be used, or what is wrong with it.

use std::io;

use secrecy::{ExposeSecret, SecretString};

use super::text::url_alphabet;
use super::{Identity, KeyDoubt, MalformedUserSig, inspect};
use crate::document::{likely, named, not_text};
use crate::sys::Hung;

/// Most bytes of a credential; a key has 64, a UserSig about 250.
pub const MAX_CREDENTIAL_BYTES: u64 = 16 * 1024;

/// A UserSig and the last second (Unix) in which it is good. `Debug` does not show the text.
#[derive(Clone, Debug)]
pub struct Signed {
    pub text: SecretString,
    pub expires_at: i64,
}

/// Why a credential cannot be used. Never quotes what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// What it is, with its article.
    #[error("is {0}, not a regular file")]
    NotRegular(&'static str),
    #[error("cannot be read: {0}")]
    Hung(Hung),
    #[error("was not read yet")]
    NotRead,
    #[error("is not set; put the secret key of the application into that environment variable")]
    Unset,
    #[error("is empty")]
    Empty,
    #[error("holds more than {MAX_CREDENTIAL_BYTES} bytes; a secret key has 64, a UserSig about 250")]
    TooLong,
    /// What it is instead.
    #[error("is not UTF-8 text but {0}")]
    NotUtf8(&'static str),
    #[error("is not text: it holds control characters")]
    Control,
    #[error("holds no UserSig: {source}{}", hint(*doubt))]
    MalformedUserSig {
        source: MalformedUserSig,
        /// What the text looks like instead; `None` for a secret key.
        doubt: Option<KeyDoubt>,
    },
    #[error(
        "holds a UserSig of sdk_app_id {} and admin {:?}, but this app has sdk_app_id {} and admin {:?}",
        found.sdk_app_id, found.admin, wanted.sdk_app_id, wanted.admin
    )]
    OtherIdentity { found: Identity, wanted: Identity },
    #[error("holds a UserSig that expired at {}; put a new one there", moment(*at))]
    Expired {
        /// Unix seconds.
        at: i64,
    },
}

fn hint(doubt: Option<KeyDoubt>) -> String {
    use KeyDoubt::{Character, Length, NotHex, UserSig};
    match doubt {
        None => "; a secret key belongs in secret_key_file".to_owned(),
        // Of these a UserSig shows nothing that its own fault does not tell.
        Some(UserSig | Length(_) | NotHex) => String::new(),
        Some(Character(stray)) => format!("; it holds {}", named(stray)),
        Some(doubt) => format!("; {doubt}"),
    }
}

/// A time as people read it, in UTC.
pub fn moment(unix_seconds: i64) -> String {
    match jiff::Timestamp::from_second(unix_seconds) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{unix_seconds} (Unix seconds)"),
    }
}

/// The text of a credential, without what editors add: line ends, and some a byte order mark.
pub fn credential_text(bytes: &[u8]) -> Result<SecretString, CredentialFault> {
    use CredentialFault::{Control, Empty, NotUtf8, TooLong};
    if bytes.len() as u64 > MAX_CREDENTIAL_BYTES {
        return Err(TooLong);
    }
    if let Some(kind) = not_text(bytes) {
        return Err(NotUtf8(kind));
    }
    let is_binary = bytes.contains(&0);
    let text = str::from_utf8(bytes).map_err(|_| if is_binary { Control } else { NotUtf8(likely(bytes)) })?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(Empty);
    }
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err(Control);
    }
    Ok(SecretString::from(text))
}

/// Checks a UserSig that was made elsewhere: whose it is, and that it has not expired at `now` (Unix seconds).
pub fn signed(usersig: &SecretString, wanted: &Identity, now: i64) -> Result<Signed, CredentialFault> {
    let text = usersig.expose_secret();
    let malformed = |source| CredentialFault::MalformedUserSig { source, doubt: KeyDoubt::of(text) };
    let inspected = inspect(text).map_err(malformed)?;
    if inspected.identity != *wanted {
        return Err(CredentialFault::OtherIdentity { found: inspected.identity, wanted: wanted.clone() });
    }
    if now > inspected.expires_at {
        return Err(CredentialFault::Expired { at: inspected.expires_at });
    }
    Ok(Signed { text: SecretString::from(url_alphabet(text)), expires_at: inspected.expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

    #[test]
    fn what_is_no_text_is_told_by_its_kind_and_what_editors_add_is_dropped() {
        let read = |bytes: &[u8]| credential_text(bytes).map(|text| text.expose_secret().to_owned());
        for bytes in ["abc", "\u{feff}abc\r\n", "\n abc\t\n\n"] {
            assert_eq!(read(bytes.as_bytes()), Ok("abc".to_owned()), "{bytes:?}");
        }
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let other = "is not UTF-8 text but ";
        let control = "is not text: it holds control characters";
        let cases: [(&[u8], &str); 8] = [
            (&utf16("\u{feff}abc"), &format!("{other}UTF-16 (little-endian)")),
            (&utf16("abc"), &format!("{other}UTF-16 (little-endian)")),
            (b"\xfe\xff\0a\0b", &format!("{other}UTF-16 (big-endian)")),
            (b"abc\xff", &format!("{other}probably Latin-1 (Windows-1252)")),
            (b"abcdef\0", control),
            (b"abcdef\0\xff", control),
            (b"\x1b[200~abc", control),
            (b"\x7fabc", control),
        ];
        for (bytes, told) in cases {
            assert_eq!(read(bytes).unwrap_err().to_string(), told, "{bytes:?}");
        }
        assert_eq!(read(b"\xef\xbb\xbf \n"), Err(CredentialFault::Empty));
        assert_eq!(read(&vec![b'a'; 16_385]), Err(CredentialFault::TooLong));
    }

    #[test]
    fn what_stands_in_the_place_of_a_usersig_is_told_and_not_shown() {
        let identity = Identity { sdk_app_id: 1, admin: "a".to_owned() };
        let told = |text: &str| signed(&SecretString::from(text), &identity, 0).unwrap_err().to_string();
        for (text, end) in [
            (KEY, "; a secret key belongs in secret_key_file"),
            ("usersig=eJxabc", "; it is an assignment (NAME=...), not the value alone"),
            ("\"eJxabc\"", "; it is in quotes"),
            ("eJx\nabc", "; it has 2 lines"),
            ("eJx\u{200b}abc", "; it holds U+200B (zero width space)"),
            ("eJx!abc", "(A-Z a-z 0-9 * - _)"),
        ] {
            let told = told(text);
            assert!(told.starts_with("holds no UserSig: ") && told.ends_with(end), "{told}");
            assert!(!told.contains("abc") && !told.contains(KEY), "{told}");
        }
    }
}
