//! Single values of the config file: text, durations, zones, URLs, label names.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::Url;

use crate::document::{Place, Table, Value, format_duration, parse_duration, shown};

/// The longest text of a setting, in bytes.
const MAX_TEXT_BYTES: usize = 4096;
/// The farthest a time zone may lie from UTC, in seconds: 14 hours.
const MAX_ZONE_SECONDS: i32 = 14 * 3600;
/// Names that no public DNS answers for, or that by custom stand for a network of one's own.
const PRIVATE_ENDINGS: [&str; 12] = [
    ".localhost",
    ".localdomain",
    ".local",
    ".internal",
    ".intranet",
    ".lan",
    ".home.arpa",
    ".corp",
    ".private",
    ".svc",
    ".test",
    ".invalid",
];
const ZONE: &str = "an offset from UTC such as \"+08:00\", at most 14 hours, or UTC";

/// The value of an optional key: what is written, or the default where nothing is.
pub(super) fn or<'t, T>(
    place: Option<Place<'t>>,
    default: T,
    read: impl FnOnce(&Place<'t>) -> Option<T>,
) -> Option<T> {
    match place {
        Some(place) => read(&place),
        None => Some(default),
    }
}

/// An optional key without a default; the outer `None` means a fault.
pub(super) fn maybe<'t, T>(
    place: Option<Place<'t>>,
    read: impl FnOnce(&Place<'t>) -> Option<T>,
) -> Option<Option<T>> {
    or(place, None, |place| read(place).map(Some))
}

/// Text of one line: not empty, no control characters. The value is never shown.
pub(super) fn line(place: &Place<'_>, right: &str) -> Option<String> {
    let text = place.text(right)?;
    let wrong = match text {
        "" => "is empty",
        long if long.len() > MAX_TEXT_BYTES => "is too long",
        odd if odd.chars().any(char::is_control) => "holds a control character",
        _ => return Some(text.to_owned()),
    };
    place.fault(format!("{wrong}; expected {right}"));
    None
}

/// A duration within bounds.
pub(super) fn duration(place: &Place<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
    let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
    let right = format!("a duration from {least} to {most} such as 30s or 1h30m");
    let text = place.text(&right)?;
    let wrong = match parse_duration(text) {
        Ok(duration) if range.contains(&duration) => return Some(duration),
        Ok(_) => "is out of range".to_owned(),
        Err(fault) => fault.to_string(),
    };
    place.fault(format!("{} {wrong}; expected {right}", shown(text)));
    None
}

/// `+08:00`, `-03:30`, `Z` or `UTC` as seconds east of UTC.
pub(super) fn zone_seconds(text: &str) -> Option<i32> {
    if matches!(text, "Z" | "UTC") {
        return Some(0);
    }
    let bytes = text.as_bytes();
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = bytes else {
        return None;
    };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    let hours = digit(h1)? * 10 + digit(h2)?;
    let minutes = digit(m1)? * 10 + digit(m2)?;
    let seconds = hours * 3600 + minutes * 60;
    if minutes > 59 || seconds > MAX_ZONE_SECONDS {
        return None;
    }
    Some(if *sign == b'-' { -seconds } else { seconds })
}

pub(super) fn zone(place: &Place<'_>) -> Option<i32> {
    let text = place.text(ZONE)?;
    let seconds = zone_seconds(text);
    if seconds.is_none() {
        place.fault(format!("is {}; expected {ZONE}", shown(text)));
    }
    seconds
}

/// A URL over HTTP that names a host and carries neither a password nor a fragment. The value is never shown: a token
/// may stand in it.
pub(super) fn url(place: &Place<'_>, right: &str) -> Option<Url> {
    let text = place.text(right)?;
    let wrong = match Url::parse(text) {
        // The parser would drop spaces and line breaks without a word.
        _ if text.chars().any(|c| c.is_control() || c.is_whitespace()) => "holds white space",
        Err(_) => "is no URL",
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "is no URL over http or https",
        Ok(url) if url.host_str().is_none_or(str::is_empty) => "names no host",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => "holds a user name or password",
        Ok(url) if url.fragment().is_some() => "has a fragment (#...)",
        Ok(url) => return Some(url),
    };
    place.fault(format!("{wrong}; expected {right}"));
    None
}

/// Warns of a URL over `http` whose host is neither this machine nor on a private network; `what` is what others on the way
/// can read.
pub(super) fn warn_unencrypted(place: &Place<'_>, url: &Url, what: &str) {
    if url.scheme() == "http" && !url.host_str().is_some_and(is_private_host) {
        place.warn(format!(
            "is http:// to a host that is neither loopback nor private: {what} sent unencrypted; expected https://"
        ));
    }
}

/// By what the name or address itself says; nothing is resolved.
fn is_private_host(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => is_private_v4(mapped),
            None => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
        },
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            // A name of one word is found on the own network alone.
            !name.contains('.') || PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending))
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || is_shared
}

/// Whether Prometheus takes it as the name of a label of ours: `[a-zA-Z_][a-zA-Z0-9_]*`, not starting with `__`.
pub(super) fn is_label_name(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with("__")
}

/// The value of a key; a key with nothing behind it is as good as none, in Prometheus' toolkit too.
pub(super) fn given<'t>(table: &Table<'t>, key: &'static str) -> Option<Place<'t>> {
    table.get(key).filter(|place| *place.value() != Value::Null)
}
