//! One app as the file says it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::around::Around;
use super::values::{duration, is_label_name, line, maybe, or, url, warn_unencrypted, zone, zone_seconds};
use super::{App, Region, credential, sources};
use reqwest::Url;

use crate::document::{Place, Table, shown};
use crate::metrics::names::RESERVED_LABELS;
use crate::usersig::Identity;

/// How many apps one daemon serves.
pub const MAX_APPS: usize = 10_000;
/// The `identifier` where `admin` is not given: the administrator every app is born with.
pub const DEFAULT_ADMIN: &str = "administrator";
/// What `time_zone` is unless given: the upstream writes its times in UTC+8.
pub const DEFAULT_TIME_ZONE: &str = "+08:00";
/// What `max_pairs` is unless given: what one request per second looks at once in seven days.
pub const DEFAULT_MAX_PAIRS: usize = 600_000;
const MAX_PAIRS: u64 = 2_000_000;
const MAX_NAME_CHARS: usize = 64;
const MAX_WATCH_LABELS: usize = 8;
/// The slowest budget of an app, about one request a day: slower is a mistake.
pub const MIN_REQUESTS_PER_SECOND: f64 = 0.000_01;
/// The fastest budget of an app.
pub const MAX_REQUESTS_PER_SECOND: f64 = 1000.0;
const DEFAULT_REQUESTS_PER_SECOND: f64 = 1.0;
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const MIN_REQUEST_TIMEOUT: Duration = Duration::from_millis(1);
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// The upstream keeps seven days.
const MAX_WATCH_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
const MIN_WATCH_FOR: Duration = Duration::from_millis(1);
/// The columns of a CSV list that are not watch labels.
const LIST_COLUMNS: [&str; 3] = ["task", "user", "pushed_at"];
const APP: &str = "a mapping with name, sdk_app_id and more";
const NAME: &str = "1 to 64 of the characters A-Z a-z 0-9 _ -";
const ENDPOINT: &str =
    "a base URL such as https://host or http://127.0.0.1:9/prefix, without password, query and #";

/// All apps; `None` where there was any fault.
pub(super) fn read_apps(apps: &Place<'_>, around: &Around<'_>) -> Option<Vec<App>> {
    let items = apps.items("a list of apps")?;
    let count = items.len();
    if count == 0 || count > MAX_APPS {
        apps.fault(format!("holds {count} apps; expected 1 to {MAX_APPS}"));
        return None;
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut read = Vec::with_capacity(count);
    for (index, item) in items.enumerate() {
        let app = item.table(APP, |app| {
            let name = app.required("name", NAME).and_then(|place| read_name(&place));
            if let Some(name) = &name {
                match names.get(name) {
                    Some(first) => {
                        app.fault("name", format!("is the name of apps[{first}] too; expected another"))
                    }
                    None => drop(names.insert(name.clone(), index)),
                }
            }
            read_app(app, name, around)
        });
        read.extend(app.flatten());
    }
    (read.len() == count).then_some(read)
}

fn read_app(app: &Table<'_>, name: Option<String>, around: &Around<'_>) -> Option<App> {
    let sdk_app_id = app.required("sdk_app_id", SDK_APP_ID).and_then(|place| read_sdk_app_id(&place));
    let endpoint = read_endpoint(app);
    let admin = or(app.get("admin"), DEFAULT_ADMIN.to_owned(), |place| read_admin(place, sdk_app_id));
    let identity = sdk_app_id.zip(admin.clone()).map(|(sdk_app_id, admin)| Identity { sdk_app_id, admin });
    let credential = credential::read(app, identity.as_ref(), around);
    let rate = or(app.get("requests_per_second"), DEFAULT_REQUESTS_PER_SECOND, read_rate);
    let timeout = MIN_REQUEST_TIMEOUT..=MAX_REQUEST_TIMEOUT;
    let timeout = or(app.get("request_timeout"), DEFAULT_REQUEST_TIMEOUT, |place| duration(place, timeout));
    let zone = maybe(app.get("time_zone"), zone);
    let watch_for = MIN_WATCH_FOR..=MAX_WATCH_FOR;
    let watch_for = or(app.get("watch_for"), MAX_WATCH_FOR, |place| duration(place, watch_for));
    let max_pairs = or(app.get("max_pairs"), DEFAULT_MAX_PAIRS, read_max_pairs);
    let watch_labels = or(app.get("watch_labels"), Vec::new(), read_watch_labels);
    // Where the labels are wrong, entries are still read; only the names of their labels cannot be judged.
    let watch = sources::read(app.get("watch"), watch_labels.as_deref(), around);
    let (region, endpoint) = endpoint?;
    let default_zone = zone_seconds(DEFAULT_TIME_ZONE).expect("the default is an offset; a test reads it");
    Some(App {
        name: Arc::from(name?),
        sdk_app_id: sdk_app_id?,
        region,
        endpoint,
        admin: admin?,
        credential: credential?,
        requests_per_second: rate?,
        request_timeout: timeout?,
        zone_offset_seconds: zone?.unwrap_or(default_zone),
        watch_for: watch_for?,
        max_pairs: max_pairs?,
        watch_labels: Arc::from(watch_labels?),
        watch: watch?,
    })
}

fn read_name(place: &Place<'_>) -> Option<String> {
    let name = place.id(NAME)?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !plain {
        place.fault(format!("is {}; expected {NAME}", shown(&name)));
        return None;
    }
    Some(name.into_owned())
}

const SDK_APP_ID: &str = "the SDKAppID, a whole number from 1 without quotes";

fn read_sdk_app_id(place: &Place<'_>) -> Option<u64> {
    match place.whole(SDK_APP_ID)? {
        0 => {
            place.fault(format!("is 0; expected {SDK_APP_ID}"));
            None
        }
        id => Some(id),
    }
}

fn read_admin(place: &Place<'_>, sdk_app_id: Option<u64>) -> Option<String> {
    let admin = line(place, "an administrator account")?;
    if sdk_app_id.is_some_and(|id| admin == id.to_string()) {
        place.warn("is the sdk_app_id; expected an administrator account such as administrator");
    } else if admin.contains(char::is_whitespace) {
        place.warn("holds white space, which is part of the account; expected an account without");
    }
    Some(admin)
}

/// The region's name where one is given, and the base URL: exactly one of `region` and `endpoint`.
fn read_endpoint(app: &Table<'_>) -> Option<(Option<&'static str>, String)> {
    let right = format!("one of {}", Region::names());
    let region_place = app.get("region");
    let endpoint_place = app.get("endpoint");
    let both = region_place.is_some() && endpoint_place.is_some();
    let region = region_place.and_then(|place| {
        let name = place.text(&right)?;
        let region = Region::named(name);
        if region.is_none() {
            place.fault(format!("is {}; expected {right} (endpoint takes any other host)", shown(name)));
        }
        region
    });
    let endpoint = endpoint_place.and_then(|place| read_base_url(&place));
    if both {
        app.fault("endpoint", "stands beside region; expected one of the two");
        return None;
    }
    if region_place.is_none() && endpoint_place.is_none() {
        app.place().fault("names neither region nor endpoint; expected one of the two");
    }
    match (region, endpoint) {
        (Some(region), _) => Some((Some(region.name), region.endpoint.to_owned())),
        (None, endpoint) => endpoint.map(|endpoint| (None, endpoint)),
    }
}

fn read_base_url(place: &Place<'_>) -> Option<String> {
    let url = url(place, ENDPOINT)?;
    if url.query().is_some() {
        place.fault(format!("has a query (?...); expected {ENDPOINT}"));
        return None;
    }
    if holds_api_path(&url) {
        place.fault(
            "holds the path of the API (/v4/timpush/...), which is added to it; expected the base URL alone",
        );
        return None;
    }
    warn_unencrypted(place, &url, "the UserSig in each URL is");
    place.text(ENDPOINT).map(|text| text.trim_end_matches('/').to_owned())
}

/// `/v4/timpush/all_member_push_trace`, and what is left of it by those who cut it. A prefix of a proxy may be called
/// anything else.
fn holds_api_path(url: &Url) -> bool {
    let parts: Vec<&str> =
        url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let is_version = |part: &&str| part.eq_ignore_ascii_case("v4");
    let after_version = parts.iter().skip_while(|part| !is_version(part)).nth(1);
    parts.first().is_some_and(is_version)
        || parts.last().is_some_and(is_version)
        || after_version.is_some_and(|part| part.eq_ignore_ascii_case("timpush"))
        || parts.iter().any(|part| part.starts_with("all_member_push"))
}

fn read_rate(place: &Place<'_>) -> Option<f64> {
    let right = format!("a number above 0 (from {MIN_REQUESTS_PER_SECOND}) up to {MAX_REQUESTS_PER_SECOND}");
    let rate = place.number(&right)?;
    if (MIN_REQUESTS_PER_SECOND..=MAX_REQUESTS_PER_SECOND).contains(&rate) {
        return Some(rate);
    }
    place.fault(format!("is {rate}; expected {right}"));
    None
}

fn read_max_pairs(place: &Place<'_>) -> Option<usize> {
    let right = format!("a whole number from 1 to {MAX_PAIRS}");
    let pairs = place.whole(&right)?;
    if !(1..=MAX_PAIRS).contains(&pairs) {
        place.fault(format!("is {pairs}; expected {right}"));
        return None;
    }
    usize::try_from(pairs).ok()
}

fn read_watch_labels(place: &Place<'_>) -> Option<Vec<Box<str>>> {
    const RIGHT: &str = "a label name such as campaign (letters, digits and _, no digit first, no __ first)";
    let items = place.items("a list of label names such as [campaign]")?;
    let count = items.len();
    if count > MAX_WATCH_LABELS {
        place.fault(format!("holds {count} names; expected at most {MAX_WATCH_LABELS}"));
    }
    let mut names: Vec<Box<str>> = Vec::new();
    for item in items.take(MAX_WATCH_LABELS) {
        let Some(name) = item.text(RIGHT) else { continue };
        if !is_label_name(name) {
            item.fault(format!("is {}; expected {RIGHT}", shown(name)));
        } else if RESERVED_LABELS.contains(&name) || LIST_COLUMNS.contains(&name) {
            item.fault(format!("{name} is taken by the exporter or Prometheus; expected another name"));
        } else if names.iter().any(|known| **known == *name) {
            item.fault(format!("{name} is listed twice; expected once"));
        } else {
            names.push(name.into());
        }
    }
    (names.len() == count).then_some(names)
}
