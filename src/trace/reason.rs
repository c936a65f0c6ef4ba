//! Who must act on a failure: a closed set, from (stage, platform, code, text) through a data file.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{Platform, Stage};

/// The value of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    NoToken,
    InvalidToken,
    Credential,
    Quota,
    Payload,
    UserBlocked,
    AppBlocked,
    ContentBlocked,
    NoCertificate,
    VendorDown,
    Unknown,
}

impl Reason {
    pub const ALL: [Reason; 11] = [
        Reason::NoToken,
        Reason::InvalidToken,
        Reason::Credential,
        Reason::Quota,
        Reason::Payload,
        Reason::UserBlocked,
        Reason::AppBlocked,
        Reason::ContentBlocked,
        Reason::NoCertificate,
        Reason::VendorDown,
        Reason::Unknown,
    ];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::NoToken => "no_token",
            Reason::InvalidToken => "invalid_token",
            Reason::Credential => "credential",
            Reason::Quota => "quota",
            Reason::Payload => "payload",
            Reason::UserBlocked => "user_blocked",
            Reason::AppBlocked => "app_blocked",
            Reason::ContentBlocked => "content_blocked",
            Reason::NoCertificate => "no_certificate",
            Reason::VendorDown => "vendor_down",
            Reason::Unknown => "unknown",
        }
    }

    /// Who must act and what they would do, in one phrase for people; of a failure at `stage` on `platform`
    /// ([`Platform::Im`] on the online route), for what no vendor was handed is Tencent's.
    pub const fn who(self, stage: Stage, platform: Platform) -> &'static str {
        match self {
            Reason::NoToken => "app developer: let the client upload its device token after each login",
            Reason::InvalidToken => {
                "nobody for a single device (the app was removed or its token renewed); app developer if many: check \
                 token upload and sandbox against production"
            }
            Reason::Credential => "app operator: renew the certificate or key in the Chat console",
            Reason::Quota => {
                "app operator: send less, or ask the vendor for a higher quota or message category"
            }
            Reason::Payload => "sender of the push: correct its content, size or channel settings",
            Reason::UserBlocked => "user: notifications are off or the device is inactive",
            Reason::AppBlocked => "app operator: clear the app's standing with the vendor",
            Reason::ContentBlocked => "sender of the push: the vendor refused the words",
            Reason::NoCertificate => "app developer: set the certificate id in the client",
            Reason::VendorDown => "vendor: wait, and see its status page if it lasts",
            Reason::Unknown if is_before_vendor(stage, platform) => {
                "Tencent: open a ticket with the code, the TaskID and the time"
            }
            Reason::Unknown => "app operator: look the code up with the vendor",
        }
    }

    fn from_word(word: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// The reason of a failure at `stage` on `platform` ([`Platform::Im`] on the online route).
///
/// A number means something only together with stage and platform, so the most exact row of the table wins: number and
/// word, then number, then word; among these the row that names the platform, the one that names the stage, the one
/// with the longer word. `info` is the text of the upstream; case, spaces and punctuation in it do not matter.
pub fn of(stage: Stage, platform: Platform, code: i64, info: &str) -> Reason {
    let info = letters(info);
    table()
        .iter()
        .filter(|row| row.matches(stage, platform) && row.holds(code, &info))
        .max_by_key(|row| row.rank())
        .map_or(Reason::Unknown, |row| row.reason)
}

/// True if Tencent alone has had the push: nothing was handed to a vendor yet, or never is.
const fn is_before_vendor(stage: Stage, platform: Platform) -> bool {
    matches!((stage, platform), (Stage::Im | Stage::Offline, _) | (_, Platform::Im))
}

/// One line of the data file. Empty lists stand for `*`.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    stages: Vec<Stage>,
    platforms: Vec<Platform>,
    codes: Vec<i64>,
    /// As [`letters`] leaves it.
    keyword: String,
    reason: Reason,
}

impl Row {
    fn matches(&self, stage: Stage, platform: Platform) -> bool {
        (self.stages.is_empty() || self.stages.contains(&stage))
            && (self.platforms.is_empty() || self.platforms.contains(&platform))
    }

    fn holds(&self, code: i64, info: &str) -> bool {
        (self.codes.is_empty() || self.codes.contains(&code)) && info.contains(&self.keyword)
    }

    fn rank(&self) -> (bool, bool, bool, bool, usize) {
        (
            !self.codes.is_empty(),
            !self.keyword.is_empty(),
            !self.platforms.is_empty(),
            !self.stages.is_empty(),
            self.keyword.len(),
        )
    }
}

fn table() -> &'static [Row] {
    static TABLE: OnceLock<Vec<Row>> = OnceLock::new();
    TABLE.get_or_init(|| {
        parse(include_str!("reasons.tsv")).expect("a test parses the table that is compiled in")
    })
}

/// Lower case, and only letters and digits: `BadDeviceToken`, `bad device token` and `BAD_DEVICE_TOKEN` are one.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Reads the data file; a fault names its line.
fn parse(text: &str) -> Result<Vec<Row>, String> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(at, line)| row(line).map_err(|fault| format!("line {}: {fault}", at + 1)))
        .collect()
}

fn row(line: &str) -> Result<Row, String> {
    let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
    let [stages, platforms, codes, keyword, reason] = columns[..] else {
        return Err(format!("{} columns, 5 wanted", columns.len()));
    };
    let stage = |word: &str| Stage::ALL.into_iter().find(|stage| stage.as_str() == word);
    let keyword = if keyword == "*" { String::new() } else { letters(keyword) };
    let row = Row {
        stages: list(stages, stage)?,
        platforms: list(platforms, Platform::from_name)?,
        codes: list(codes, |word| word.parse().ok())?,
        keyword,
        reason: Reason::from_word(reason).ok_or_else(|| format!("no reason is called {reason:?}"))?,
    };
    if row.codes.is_empty() && row.keyword.is_empty() {
        return Err("a row needs a code or a keyword".to_owned());
    }
    Ok(row)
}

/// Words between commas; `*` alone is the empty list, which matches all.
fn list<T>(text: &str, word: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    if text == "*" {
        return Ok(Vec::new());
    }
    let read = |w: &str| word(w).ok_or_else(|| format!("{w:?} is not known"));
    text.split(',').map(|w| read(w.trim())).collect()
}

#[cfg(test)]
mod tests;
