//! The configuration in force as YAML, for people: all defaults filled in, no secret, no user id.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{App, Config};
use crate::document::format_duration;
use crate::usersig::Credential;
use crate::watch::{ClientTls, Entry, HttpSource};

/// How many static entries of one app are written out; a line counts the others.
const MAX_ENTRIES_SHOWN: usize = 100;

#[derive(Serialize)]
struct File {
    apps: Vec<AppShown>,
}

#[derive(Serialize)]
struct AppShown {
    name: String,
    sdk_app_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'static str>,
    endpoint: String,
    admin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key_env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usersig_file: Option<String>,
    requests_per_second: f64,
    request_timeout: String,
    time_zone: String,
    watch_for: String,
    max_pairs: usize,
    watch_labels: Vec<String>,
    watch: WatchShown,
}

#[derive(Serialize)]
struct WatchShown {
    r#static: Vec<EntryShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    static_not_shown: Option<String>,
    files: Vec<String>,
    http: Vec<HttpShown>,
}

#[derive(Serialize)]
struct EntryShown {
    task: String,
    users: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pushed_at: Option<String>,
}

#[derive(Serialize)]
struct HttpShown {
    url: String,
    refresh: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    basic_auth: Option<BTreeMap<&'static str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<BTreeMap<&'static str, String>>,
    tls_config: TlsShown,
}

#[derive(Serialize)]
struct TlsShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    insecure_skip_verify: bool,
}

/// The configuration in force as YAML in the shape of the file. Paths and names of secrets are in it, secrets are not;
/// users are counted, since their ids are personal; the query of a URL is left out.
pub fn render(config: &Config) -> String {
    let file = File { apps: config.apps.iter().map(show_app).collect() };
    let yaml = serde_saphyr::to_string(&file);
    yaml.expect("text, numbers, lists and mappings with text keys can all be written as YAML")
}

fn show_app(app: &App) -> AppShown {
    let (mut secret_key_file, mut secret_key_env, mut usersig_file) = (None, None, None);
    match &app.credential {
        Credential::KeyFile(path) => secret_key_file = Some(show_path(path)),
        Credential::KeyEnv(name) => secret_key_env = Some(name.clone()),
        Credential::UserSigFile(path) => usersig_file = Some(show_path(path)),
    }
    AppShown {
        name: app.name.to_string(),
        sdk_app_id: app.sdk_app_id,
        region: app.region,
        endpoint: app.endpoint.clone(),
        admin: app.admin.clone(),
        secret_key_file,
        secret_key_env,
        usersig_file,
        requests_per_second: app.requests_per_second,
        request_timeout: format_duration(app.request_timeout),
        time_zone: show_zone(app.zone_offset_seconds),
        watch_for: format_duration(app.watch_for),
        max_pairs: app.max_pairs,
        watch_labels: app.watch_labels.iter().map(ToString::to_string).collect(),
        watch: show_watch(app),
    }
}

fn show_watch(app: &App) -> WatchShown {
    let entries = &app.watch.entries;
    let more = entries.len().saturating_sub(MAX_ENTRIES_SHOWN);
    WatchShown {
        r#static: entries.iter().take(MAX_ENTRIES_SHOWN).map(show_entry).collect(),
        static_not_shown: (more > 0).then(|| format!("{more} more entries")),
        files: app.watch.files.iter().map(|path| show_path(path)).collect(),
        http: app.watch.http.iter().map(show_http).collect(),
    }
}

fn show_entry(entry: &Entry) -> EntryShown {
    let users = match entry.users.len() {
        1 => "1 user".to_owned(),
        count => format!("{count} users"),
    };
    let time = entry.pushed_at.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    EntryShown {
        task: entry.task.clone(),
        users,
        labels: entry.labels.clone(),
        pushed_at: time.map(|time| time.to_string()),
    }
}

fn show_http(source: &HttpSource) -> HttpShown {
    let basic = source.basic_auth.as_ref().map(|basic| {
        BTreeMap::from([
            ("username", basic.username.clone()),
            ("password_file", show_path(&basic.password_file)),
        ])
    });
    let bearer = source.authorization.as_ref().map(|bearer| {
        let file = show_path(&bearer.credentials_file);
        BTreeMap::from([("type", bearer.scheme.clone()), ("credentials_file", file)])
    });
    HttpShown {
        url: source.shown_url(),
        refresh: format_duration(source.refresh),
        basic_auth: basic,
        authorization: bearer,
        tls_config: show_tls(&source.tls),
    }
}

fn show_tls(tls: &ClientTls) -> TlsShown {
    TlsShown {
        ca_file: tls.ca_file.as_deref().map(show_path),
        cert_file: tls.cert_file.as_deref().map(show_path),
        key_file: tls.key_file.as_deref().map(show_path),
        server_name: tls.server_name.clone(),
        insecure_skip_verify: tls.insecure_skip_verify,
    }
}

fn show_path(path: &Path) -> String {
    path.display().to_string()
}

fn show_zone(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}
