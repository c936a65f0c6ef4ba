//! The upstream's words: the body of an answer, read tolerantly.

use serde_json::{Map, Value};

/// Most elements of `InstanceTrace` that are read from one answer; one or two are expected.
pub const MAX_INSTANCES: usize = 64;
/// Most characters of an `ErrorInfo` that are kept.
pub const MAX_INFO_CHARS: usize = 200;
/// Most names of unknown fields that are kept of one answer.
pub const MAX_UNKNOWN_FIELDS: usize = 16;
/// The longest key that is taken for the name of a field, in characters; real ones have up to 29.
const MAX_FIELD_CHARS: usize = 40;
/// More digits than the name of a field has: such a key is a value.
const MAX_FIELD_DIGITS: usize = 2;
/// Most characters of an identifier or time that are kept; real ones have up to 19.
pub const MAX_TEXT_CHARS: usize = 128;

/// The body of one answer of `all_member_push_trace`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `ActionStatus` says OK and the code is 0; HTTP 200 alone is no success.
    pub success: bool,
    /// `ErrorCode`, or `ResultCode` where that is missing.
    pub code: i64,
    /// `ErrorInfo`, or `ResultInfo` where that is missing: cut to [`MAX_INFO_CHARS`] and without control
    /// characters; empty where both are missing. May quote the request and name users: never for the log.
    pub error_info: String,
    /// At most [`MAX_INSTANCES`]; empty too where `InstanceTrace` is null or missing, which is no error.
    pub instances: Vec<Instance>,
    /// Each at most once.
    pub drift: Vec<Drift>,
    /// The fields that are not documented, as `InstanceTrace[].Battery`: each at most once, at most
    /// [`MAX_UNKNOWN_FIELDS`].
    pub unknown_fields: Vec<String>,
}

/// One element of `InstanceTrace`. The device token is never kept. An empty text counts as missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    pub instance_id: Option<String>,
    pub push_time: Option<String>,
    /// 1 offline, 2 online.
    pub event_type: Option<i64>,
    pub push_platform: Option<i64>,
    pub notification_status: Option<i64>,
    /// `LastActiveTerminal` or `last_active_terminal`: the documents disagree.
    pub last_active_terminal: Option<i64>,
    /// `IMCommitStat.IMStat`.
    pub im: Option<Stat>,
    /// `OfflinePushStat`.
    pub offline: OfflineStats,
    /// `OnlinePushStat`.
    pub online: OnlineStats,
}

/// `OfflinePushStat`: the stages through the vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfflineStats {
    pub offline: Option<Stat>,
    pub channel: Option<Stat>,
    pub device: Option<Stat>,
    pub click: Option<Stat>,
}

/// `OnlinePushStat`: the stages over the long connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnlineStats {
    pub channel: Option<Stat>,
    pub device: Option<Stat>,
}

/// One leaf: what is known of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// 1 success, 2 failure; other values are not documented.
    pub push_status: Option<i64>,
    pub error_code: Option<i64>,
    /// Cut to [`MAX_INFO_CHARS`], without control characters and without the device token; empty where missing.
    pub error_info: String,
    pub event_time: Option<String>,
}

/// A way in which the words left the documented contract. What the words mean is judged by the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drift {
    /// A value of another type than documented, which could not be read as that one either.
    ValueType,
    /// `ActionStatus` is missing.
    MissingField,
    /// More elements than [`MAX_INSTANCES`] or a text longer than [`MAX_TEXT_CHARS`]: the rest was not read.
    Cut,
}

/// Why a body is no answer. Never quotes the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the body is not JSON")]
    NotJson,
    #[error("the body is JSON but not an object")]
    NotObject,
    #[error("the body has neither an ErrorCode nor a ResultCode that is a whole number")]
    NoCode,
}

/// JSON text in which each escape of half a character, as an emoji that was cut leaves it, stands for U+FFFD.
fn without_lone_surrogates(text: &str) -> String {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut whole = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        whole.push_str(&text[at..at + found]);
        at += found;
        let (length, replaced) = match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
            (Some(0xd800..=0xdfff), _) => (6, Some("\\ufffd")),
            (Some(_), _) => (6, None),
            (None, _) => (text[at..].chars().take(2).map(char::len_utf8).sum(), None),
        };
        whole.push_str(replaced.unwrap_or(&text[at..at + length]));
        at += length;
    }
    whole.push_str(&text[at..]);
    whole
}

impl Answer {
    /// Reads a body. Bytes that are not UTF-8 are replaced; numbers may stand in texts; null is as good as missing.
    pub fn parse(body: &[u8]) -> Result<Answer, Malformed> {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}');
        let value: Value = serde_json::from_str(text)
            .or_else(|_| serde_json::from_str(&without_lone_surrogates(text)))
            .map_err(|_| Malformed::NotJson)?;
        let Value::Object(answer) = &value else {
            return Err(Malformed::NotObject);
        };
        let mut reader = Reader::default();
        reader.know(answer, ANSWER_KEYS, &[]);
        let code = reader.number(answer, "ErrorCode").or_else(|| reader.number(answer, "ResultCode"));
        let code = code.ok_or(Malformed::NoCode)?;
        let accepted = match reader.text(answer, "ActionStatus") {
            Some(status) => status.eq_ignore_ascii_case("OK"),
            None => {
                reader.note(Drift::MissingField);
                true
            }
        };
        let error_info = reader.info(answer, "ErrorInfo", None);
        let error_info =
            if error_info.is_empty() { reader.info(answer, "ResultInfo", None) } else { error_info };
        let instances = reader.instances(answer);
        let (drift, unknown_fields) = (reader.drift, reader.unknown_fields);
        Ok(Answer { success: accepted && code == 0, code, error_info, instances, drift, unknown_fields })
    }

    /// The same, without the names of fields that name this user: they go to the log.
    #[must_use]
    pub fn without_user(mut self, user: &str) -> Answer {
        let user = user.to_lowercase();
        let mut fields: Vec<String> = Vec::new();
        for field in self.unknown_fields {
            let (path, key) = field.rsplit_once('.').map_or(("", &*field), |(path, key)| (path, key));
            let key = key.to_lowercase();
            let is_named = key == user || (user.len() >= LEAST_ID_CHARS && key.contains(&user));
            let field = match path {
                _ if !is_named => field,
                "" => HIDDEN_FIELD.to_owned(),
                path => format!("{path}.{HIDDEN_FIELD}"),
            };
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        self.unknown_fields = fields;
        self
    }
}

const ANSWER_KEYS: &[&str] =
    &["ActionStatus", "ErrorCode", "ErrorInfo", "InstanceTrace", "ResultCode", "ResultInfo"];
const INSTANCE_KEYS: &[&str] = &[
    "InstanceId",
    "PushTime",
    "DeviceModel",
    "System",
    "SystemVersion",
    "EventType",
    "PushPlatform",
    "Token",
    "CertId",
    "SdkVersion",
    "PushVersion",
    "NotificationStatus",
    "LastActiveTerminal",
    "last_active_terminal",
    "IMCommitStat",
    "OfflinePushStat",
    "OnlinePushStat",
];
/// How the path of a field begins that stands in an element.
const ELEMENT: &str = "InstanceTrace[]";
const IM: &str = "IMCommitStat";
const OFFLINE: &str = "OfflinePushStat";
const ONLINE: &str = "OnlinePushStat";
const IM_KEYS: &[&str] = &["IMStat"];
const OFFLINE_KEYS: &[&str] = &["OfflineStat", "ChannelStat", "DeviceStat", "ClickStat"];
const ONLINE_KEYS: &[&str] = &["ChannelStat", "DeviceStat"];
const STAT_KEYS: &[&str] = &["PushStatus", "ErrorCode", "ErrorInfo", "EventTime"];

/// Stands for a key that may not be shown.
const HIDDEN_FIELD: &str = "(a key that is no name of a field)";
/// An id as long as this is looked for within names of fields; a shorter one may stand in any.
const LEAST_ID_CHARS: usize = 4;

/// A key that may be shown. One that does not look like the name of a field may be a value: an id, a token.
fn field_name(key: &str) -> &str {
    let begins = key.starts_with(|first: char| first.is_ascii_alphabetic());
    let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    if begins && is_plain && key.len() <= MAX_FIELD_CHARS && digits <= MAX_FIELD_DIGITS {
        key
    } else {
        HIDDEN_FIELD
    }
}

type Object = Map<String, Value>;

/// Walks a parsed body and notes what it meets.
#[derive(Default)]
struct Reader {
    drift: Vec<Drift>,
    unknown_fields: Vec<String>,
}

impl Reader {
    fn note(&mut self, drift: Drift) {
        if !self.drift.contains(&drift) {
            self.drift.push(drift);
        }
    }

    /// Notes keys of `object` that are not in `keys`; `path` leads to it.
    fn know(&mut self, object: &Object, keys: &[&str], path: &[&str]) {
        for key in object.keys().filter(|key| !keys.contains(&key.as_str())) {
            let mut name: String = path.iter().map(|part| format!("{part}.")).collect();
            name.push_str(field_name(key));
            if self.unknown_fields.len() < MAX_UNKNOWN_FIELDS && !self.unknown_fields.contains(&name) {
                self.unknown_fields.push(name);
            }
        }
    }

    fn instances(&mut self, answer: &Object) -> Vec<Instance> {
        let elements = match answer.get("InstanceTrace") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(elements)) => elements,
            Some(_) => {
                self.note(Drift::ValueType);
                return Vec::new();
            }
        };
        if elements.len() > MAX_INSTANCES {
            self.note(Drift::Cut);
        }
        elements.iter().take(MAX_INSTANCES).filter_map(|element| self.instance(element)).collect()
    }

    fn instance(&mut self, element: &Value) -> Option<Instance> {
        let Value::Object(element) = element else {
            self.note(Drift::ValueType);
            return None;
        };
        self.know(element, INSTANCE_KEYS, &[ELEMENT]);
        let token = element.get("Token").and_then(Value::as_str).filter(|token| !token.is_empty());
        let im = self.object(element, &[ELEMENT, IM], IM_KEYS);
        let offline = self.object(element, &[ELEMENT, OFFLINE], OFFLINE_KEYS);
        let online = self.object(element, &[ELEMENT, ONLINE], ONLINE_KEYS);
        let terminal = self.number(element, "LastActiveTerminal");
        Some(Instance {
            instance_id: self.text(element, "InstanceId"),
            push_time: self.text(element, "PushTime"),
            event_type: self.number(element, "EventType"),
            push_platform: self.number(element, "PushPlatform"),
            notification_status: self.number(element, "NotificationStatus"),
            last_active_terminal: terminal.or_else(|| self.number(element, "last_active_terminal")),
            im: self.stat(im, &[ELEMENT, IM, "IMStat"], token),
            offline: OfflineStats {
                offline: self.stat(offline, &[ELEMENT, OFFLINE, "OfflineStat"], token),
                channel: self.stat(offline, &[ELEMENT, OFFLINE, "ChannelStat"], token),
                device: self.stat(offline, &[ELEMENT, OFFLINE, "DeviceStat"], token),
                click: self.stat(offline, &[ELEMENT, OFFLINE, "ClickStat"], token),
            },
            online: OnlineStats {
                channel: self.stat(online, &[ELEMENT, ONLINE, "ChannelStat"], token),
                device: self.stat(online, &[ELEMENT, ONLINE, "DeviceStat"], token),
            },
        })
    }

    fn stat(&mut self, parent: Option<&Object>, path: &[&str], token: Option<&str>) -> Option<Stat> {
        let stat = self.object(parent?, path, STAT_KEYS)?;
        Some(Stat {
            push_status: self.number(stat, "PushStatus"),
            error_code: self.number(stat, "ErrorCode"),
            error_info: self.info(stat, "ErrorInfo", token),
            event_time: self.text(stat, "EventTime"),
        })
    }

    /// The object under the last key of `path`, which may have those `keys`.
    fn object<'v>(&mut self, parent: &'v Object, path: &[&str], keys: &[&str]) -> Option<&'v Object> {
        match parent.get(*path.last()?)? {
            Value::Object(object) => {
                self.know(object, keys, path);
                Some(object)
            }
            Value::Null => None,
            _ => {
                self.note(Drift::ValueType);
                None
            }
        }
    }

    /// A whole number, also where it stands in a text or is written with a fraction of 0.
    fn number(&mut self, parent: &Object, key: &str) -> Option<i64> {
        let number = match parent.get(key)? {
            Value::Null => return None,
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        if number.is_none() {
            self.note(Drift::ValueType);
        }
        number
    }

    /// A text that is not empty, also where a number stands in its place.
    fn text(&mut self, parent: &Object, key: &str) -> Option<String> {
        let text = self.raw_text(parent, key)?;
        let (text, whole) = clean(&text, MAX_TEXT_CHARS);
        if !whole {
            self.note(Drift::Cut);
        }
        Some(text).filter(|text| !text.is_empty())
    }

    /// A text for people, without `secret`.
    fn info(&mut self, parent: &Object, key: &str, secret: Option<&str>) -> String {
        let text = self.raw_text(parent, key).unwrap_or_default();
        match secret {
            Some(secret) => clean(&text.replace(secret, "…"), MAX_INFO_CHARS).0,
            None => clean(&text, MAX_INFO_CHARS).0,
        }
    }

    fn raw_text(&mut self, parent: &Object, key: &str) -> Option<String> {
        match parent.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                self.note(Drift::ValueType);
                None
            }
        }
    }
}

/// The number without its fraction of 0; `None` for any other, and for those too large to be told from neighbours.
fn whole(number: f64) -> Option<i64> {
    const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= LARGEST_EXACT).then_some(number as i64)
}

/// At most `limit` characters with spaces for control characters, and whether that is all of the text.
fn clean(text: &str, limit: usize) -> (String, bool) {
    let mut chars = text.chars();
    let kept = chars.by_ref().take(limit).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (kept, chars.next().is_none())
}

#[cfg(test)]
mod tests;
