//! The file of `--web.config.file`, in the format of Prometheus' exporter-toolkit: TLS, passwords, headers, rate.

mod material;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};

use self::material::Reader;
use super::around::Around;
use super::values::{duration, given, or};
use crate::document::{self, Fault, Faults, Notes, Place, Syntax, Table, Value};
use crate::http::{PasswordHash, RateLimit, Security, Users};

pub use material::ReadFiles;

/// How many may have a password.
pub const MAX_USERS: usize = 1000;
/// The longest name of a user, in bytes.
const MAX_USER_BYTES: usize = 256;
const MAX_BURST: u64 = 1_000_000;
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const MIN_INTERVAL: Duration = Duration::from_millis(1);
/// The headers that may be set, with the values that are allowed where those are few. The toolkit has the same.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

/// A web configuration that can be used.
#[derive(Debug)]
pub struct WebConfig {
    pub security: Security,
    /// What is allowed and yet seldom meant, one line each.
    pub warnings: Vec<String>,
    /// The policy for client certificates, where TLS is on.
    client_auth: Option<&'static str>,
}

/// Reads and checks a web configuration with the files that it names. Blocks. What was read is told either way, so
/// that a change of it can be seen.
pub fn load(path: &Path) -> (Result<WebConfig, Faults>, ReadFiles) {
    let reader = Reader::default();
    let read = reader.read(path);
    let file = || path.display().to_string();
    let result = match &read {
        Err(why) => {
            let text = format!("{why}; expected a readable YAML file");
            Err(Faults::one(file(), Fault::whole(text)))
        }
        Ok(bytes) => document::utf8(bytes)
            .map_err(|fault| Faults::one(file(), fault))
            .and_then(|text| parse(text, path, &reader)),
    };
    (result, reader.seen())
}

fn parse(text: &str, path: &Path, reader: &Reader) -> Result<WebConfig, Faults> {
    let file = || path.display().to_string();
    let node = document::parse(text, Syntax::Yaml).map_err(|fault| Faults::one(file(), fault))?;
    let notes = Notes::new();
    let around = Around::of(path, &|_| None);
    let root = Place::root(&node, text, &notes);
    let right = "a mapping with tls_server_config, http_server_config, basic_auth_users or rate_limit";
    let read = root.table(right, |table| read(table, &around, reader)).flatten();
    match read {
        Some(mut config) if notes.is_empty() => {
            config.warnings.extend(notes.warnings().lines());
            Ok(config)
        }
        _ => Err(notes.faults(file())),
    }
}

fn read(root: &Table<'_>, around: &Around<'_>, reader: &Reader) -> Option<WebConfig> {
    let mut warnings = Vec::new();
    let tls = or(given(root, "tls_server_config"), None, |place| {
        place.table("a mapping", |table| tls::read(table, around, reader)).flatten().map(Some)
    });
    let headers = or(given(root, "http_server_config"), Vec::new(), |place| {
        place.table("a mapping", |table| read_http(table, &mut warnings)).flatten()
    });
    let users = or(given(root, "basic_auth_users"), Users::default(), read_users);
    let rate = or(given(root, "rate_limit"), None, |place| place.table("a mapping", read_rate).flatten());
    let (tls, users) = (tls?, users?);
    if tls.is_none() && !users.is_empty() {
        warnings.push("basic_auth_users: passwords travel unencrypted without tls_server_config".to_owned());
    }
    let client_auth = tls.as_ref().map(|(_, policy)| policy.as_str());
    let security = Security { tls: tls.map(|(tls, _)| tls), users, rate: rate?, headers: headers? };
    Some(WebConfig { security, warnings, client_auth })
}

fn read_http(table: &Table<'_>, warnings: &mut Vec<String>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let http2 = or(given(table, "http2"), false, Place::truth);
    if http2 == Some(true) {
        warnings.push("http_server_config.http2: this program serves HTTP/1.1 only, with TLS too".to_owned());
    }
    let headers = or(given(table, "headers"), Vec::new(), |place| {
        let read = |table: &Table<'_>| {
            let read = HEADERS.map(|(name, values)| read_header(table, name, values));
            read.into_iter().collect::<Option<Vec<_>>>()
        };
        let headers = place.table("a mapping of names and values of headers", read).flatten()?;
        Some(headers.into_iter().flatten().collect())
    });
    http2?;
    headers
}

/// The outer `None` means a fault. A blank value leaves the header as it is.
fn read_header(
    table: &Table<'_>,
    name: &'static str,
    values: &[&str],
) -> Option<Option<(HeaderName, HeaderValue)>> {
    let Some(place) = given(table, name) else {
        return Some(None);
    };
    let right = if values.is_empty() { "the value of a header".to_owned() } else { values.join(" or ") };
    let text = place.text(&right)?;
    if text.is_empty() {
        return Some(None);
    }
    let is_allowed = values.is_empty() || values.contains(&text);
    let value = HeaderValue::from_str(text).ok().filter(|_| is_allowed);
    let Some(value) = value else {
        place.fault(format!("is no value for this header; expected {right}"));
        return None;
    };
    let name = HeaderName::from_bytes(name.as_bytes()).expect("the names in HEADERS are names of headers");
    Some(Some((name, value)))
}

fn read_users(place: &Place<'_>) -> Option<Users> {
    let pairs = place.pairs("a mapping of user names and bcrypt hashes")?;
    let count = pairs.len();
    if count > MAX_USERS {
        place.fault(format!("holds {count} users; expected at most {MAX_USERS}"));
        return None;
    }
    let mut seen = HashSet::new();
    let users = pairs.filter_map(|(name, place)| {
        // That it is written twice is noted already.
        let is_new = seen.insert(name);
        let hash = read_hash(&place);
        let is_name = !name.is_empty() && name.len() <= MAX_USER_BYTES && !name.contains([':', '\0', '\n']);
        if !is_name {
            place.fault("has a name that no client can send; expected one without a colon");
        }
        hash.filter(|_| is_new && is_name).map(|hash| (name.into(), hash))
    });
    let users: Vec<_> = users.collect();
    (users.len() == count).then(|| Users::new(users))
}

/// The value is never shown: it may be the password.
fn read_hash(place: &Place<'_>) -> Option<PasswordHash> {
    let text = place.text("a bcrypt hash such as htpasswd -nB makes")?;
    PasswordHash::parse(text).map_err(|fault| place.fault(fault.to_string())).ok()
}

/// The outer `None` means a fault; the inner one that there is no limit.
fn read_rate(table: &Table<'_>) -> Option<Option<RateLimit>> {
    let interval = given(table, "interval");
    let burst = given(table, "burst");
    let is_off = interval.as_ref().is_none_or(|place| match place.value() {
        Value::Whole(0) => true,
        Value::Text(text) => matches!(document::parse_duration(text), Ok(Duration::ZERO)),
        _ => false,
    });
    let right = format!("a whole number from 1 to {MAX_BURST}");
    let burst = match (burst, is_off) {
        (None, true) => return Some(None),
        (None, false) => {
            table.fault("burst", format!("is missing; expected {right}: without it nothing is let through"));
            None
        }
        (Some(place), _) => place.whole(&right).and_then(|burst| {
            let burst = u32::try_from(burst).ok().filter(|burst| u64::from(*burst) <= MAX_BURST);
            if burst.is_none_or(|burst| burst == 0 && !is_off) {
                place.fault(format!("is out of range; expected {right}"));
                return None;
            }
            burst
        }),
    };
    let interval = match interval {
        Some(place) if !is_off => Some(duration(&place, MIN_INTERVAL..=MAX_INTERVAL)?),
        _ => None,
    };
    let burst = burst?;
    Some(interval.map(|interval| RateLimit::new(interval, burst)))
}

impl WebConfig {
    /// What `--config.check` says of the file.
    pub fn summary(&self, path: &Path) -> String {
        let mut lines = vec![format!("{}: no faults", path.display()), String::new()];
        lines.push(match (&self.security.tls, self.client_auth) {
            (Some(tls), Some(policy)) => {
                let until = jiff::Timestamp::from_second(tls.expires_at());
                let until = until.map_or_else(|_| "further than can be told".to_owned(), |at| at.to_string());
                format!("TLS: on, the certificate is good until {until}; client certificates: {policy}")
            }
            _ => "TLS: off".to_owned(),
        });
        lines.push(match self.security.users.len() {
            0 => "basic auth: off".to_owned(),
            users => format!("basic auth: on, users: {users}"),
        });
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.join("\n") + "\n"
    }
}
