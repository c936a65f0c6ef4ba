//! The key `watch`: entries, patterns of files, and addresses that answer with lists.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glob::Pattern;

use super::around::Around;
use super::secret::{read_file, read_secret};
use super::values::{duration, line, maybe, or, url, warn_unencrypted};
use crate::document::{Place, Table};
use crate::watch::{Authorization, BasicAuth, ClientTls, HttpSource, ListFormat, Sources, read_entries};

/// How many patterns of files one app may name.
const MAX_FILE_PATTERNS: usize = 1000;
/// How many addresses one app may name.
const MAX_HTTP_SOURCES: usize = 100;
const DEFAULT_REFRESH: Duration = Duration::from_secs(60);
const MIN_REFRESH: Duration = Duration::from_secs(1);
const MAX_REFRESH: Duration = Duration::from_secs(24 * 3600);
const PATTERN: &str = "a path or pattern that ends in .yaml .yml .json or .csv, such as watch/*.yaml";
const URL: &str = "a URL such as http://host/watch, without password and #";
const INLINE_PASSWORD: &str =
    "is a secret, which has no place in this file; put it into a file and name that by";

/// All sources of an app; `labels` is `None` where `watch_labels` itself has a fault.
pub(super) fn read(
    watch: Option<Place<'_>>,
    labels: Option<&[Box<str>]>,
    around: &Around<'_>,
) -> Option<Sources> {
    or(watch, Sources::default(), |watch| {
        let read = watch.table("a mapping with static, files or http", |table| {
            let warned = || watch.notes().warnings().count() as u64;
            let before = warned();
            let entries =
                or(table.get("static"), Vec::new(), |list| Some(read_entries(list, labels, around.now)));
            let warnings = warned() - before;
            let files = or(table.get("files"), Vec::new(), |list| read_patterns(list, around));
            let http = or(table.get("http"), Vec::new(), |list| read_http(list, around));
            Some(Sources { entries: entries?, warnings, files: files?, http: http? })
        });
        read.flatten()
    })
}

/// Notes a list that is longer than its cap; whether it is within.
fn within(list: &Place<'_>, count: usize, most: usize) -> bool {
    if count > most {
        list.fault(format!("holds {count} items; expected at most {most}"));
    }
    count <= most
}

fn read_patterns(list: &Place<'_>, around: &Around<'_>) -> Option<Vec<PathBuf>> {
    let items = list.items("a list of paths and patterns such as [watch/*.yaml]")?;
    let count = items.len();
    if !within(list, count, MAX_FILE_PATTERNS) {
        return None;
    }
    let mut seen = HashSet::new();
    let patterns = items.filter_map(|item| {
        let pattern = read_pattern(&item, around)?;
        if !seen.insert(pattern.clone()) {
            item.fault("is listed twice; expected once");
            return None;
        }
        Some(pattern)
    });
    let patterns: Vec<PathBuf> = patterns.collect();
    (patterns.len() == count).then_some(patterns)
}

fn read_pattern(place: &Place<'_>, around: &Around<'_>) -> Option<PathBuf> {
    let text = line(place, PATTERN)?;
    if let Err(error) = Pattern::new(&text) {
        place.fault(format!("is no pattern ({}); expected {PATTERN}", error.msg));
        return None;
    }
    let path = Path::new(&text);
    let has_wildcard = |part: &str| part.contains(['*', '?', '[']);
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let extension = path.extension().map(|extension| extension.to_string_lossy());
    let readable = match extension {
        Some(extension) => has_wildcard(&extension) || ListFormat::of(path).is_some(),
        None => has_wildcard(&name),
    };
    if text.ends_with('/') || !readable {
        place.fault(format!("names no file that can be read; expected {PATTERN}"));
        return None;
    }
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    // The folder is a name, whatever characters it holds.
    let folder = Pattern::escape(&around.folder.to_string_lossy());
    Some(Path::new(&folder).join(path))
}

fn read_http(list: &Place<'_>, around: &Around<'_>) -> Option<Vec<HttpSource>> {
    let items = list.items("a list such as [{url: \"http://host/watch\", refresh: 60s}]")?;
    let count = items.len();
    if !within(list, count, MAX_HTTP_SOURCES) {
        return None;
    }
    let mut seen = HashSet::new();
    let sources = items.filter_map(|item| {
        let source = item.table("a mapping with url", |table| read_source(table, around)).flatten()?;
        if !seen.insert(source.url.clone()) {
            item.fault("has the url of an earlier item; expected each url once");
            return None;
        }
        Some(source)
    });
    let sources: Vec<HttpSource> = sources.collect();
    (sources.len() == count).then_some(sources)
}

fn read_source(table: &Table<'_>, around: &Around<'_>) -> Option<HttpSource> {
    let url = table.required("url", URL).and_then(|place| {
        let url = url(&place, URL)?;
        warn_unencrypted(&place, &url, "the list and the credentials for it are");
        Some(url)
    });
    let range = MIN_REFRESH..=MAX_REFRESH;
    let refresh = or(table.get("refresh"), DEFAULT_REFRESH, |place| duration(place, range));
    let basic = table.get("basic_auth");
    let bearer = table.get("authorization");
    if basic.is_some() && bearer.is_some() {
        table.fault("authorization", "stands beside basic_auth; expected one of the two");
    }
    for key in ["bearer_token", "bearer_token_file"] {
        table.refuse(key, "is no key here; expected authorization with credentials_file");
    }
    let basic = maybe(basic, |place| place.table("a mapping", |table| read_basic(table, around)).flatten());
    let bearer =
        maybe(bearer, |place| place.table("a mapping", |table| read_bearer(table, around)).flatten());
    let tls = or(table.get("tls_config"), ClientTls::default(), |place| {
        place.table("a mapping", |table| read_tls(table, around)).flatten()
    });
    Some(HttpSource {
        url: url?.into(),
        refresh: refresh?,
        basic_auth: basic?,
        authorization: bearer?,
        tls: tls?,
    })
}

fn read_basic(table: &Table<'_>, around: &Around<'_>) -> Option<BasicAuth> {
    let inline = table.refuse("password", &format!("{INLINE_PASSWORD} password_file"));
    let username = table.required("username", "a user name").and_then(|place| line(&place, "a user name"));
    let password_file = secret_place(table, "password_file", inline);
    let password_file = password_file.and_then(|place| read_secret(&place, around)).map(|(path, _)| path);
    Some(BasicAuth { username: username?, password_file: password_file? })
}

/// The key that names a secret's file; that it is missing is told once, also where the secret itself was written.
fn secret_place<'t>(table: &Table<'t>, key: &'static str, inline: bool) -> Option<Place<'t>> {
    if inline { table.get(key) } else { table.required(key, "the path of a file with the secret") }
}

fn read_bearer(table: &Table<'_>, around: &Around<'_>) -> Option<Authorization> {
    const SCHEME: &str = "the scheme of the header such as Bearer (Basic has the key basic_auth)";
    let inline = table.refuse("credentials", &format!("{INLINE_PASSWORD} credentials_file"));
    let scheme = or(table.get("type"), "Bearer".to_owned(), |place| {
        let scheme = line(place, SCHEME)?;
        let token = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte));
        if !token || scheme.eq_ignore_ascii_case("basic") {
            place.fault(format!("is no scheme for this key; expected {SCHEME}"));
            return None;
        }
        Some(scheme)
    });
    let file = secret_place(table, "credentials_file", inline);
    let file = file.and_then(|place| read_secret(&place, around)).map(|(path, _)| path);
    Some(Authorization { scheme: scheme?, credentials_file: file? })
}

fn read_tls(table: &Table<'_>, around: &Around<'_>) -> Option<ClientTls> {
    table.refuse("ca", "is no key here; expected ca_file with the path of the certificates");
    table.refuse("cert", "is no key here; expected cert_file with the path of the certificate");
    table.refuse("key", &format!("{INLINE_PASSWORD} key_file"));
    let ca_file = maybe(table.get("ca_file"), |place| read_file(place, around));
    let cert = table.get("cert_file");
    let key = table.get("key_file");
    if cert.is_some() != key.is_some() {
        table.place().fault("has one of cert_file and key_file; expected both or none");
    }
    let cert_file = maybe(cert, |place| read_file(place, around));
    let key_file = maybe(key, |place| read_secret(place, around).map(|(path, _)| path));
    let server_name = maybe(table.get("server_name"), |place| line(place, "a host name"));
    let insecure_skip_verify = or(table.get("insecure_skip_verify"), false, Place::truth);
    Some(ClientTls {
        ca_file: ca_file?,
        cert_file: cert_file?,
        key_file: key_file?,
        server_name: server_name?,
        insecure_skip_verify: insecure_skip_verify?,
    })
}
