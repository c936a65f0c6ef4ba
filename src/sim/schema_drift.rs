//! Good answers bent out of the documented shape, without losing count of what they still say.
use serde_json::{Map, Value, json};

use super::{
    answer::answer_of,
    rng::{Rng, number_of},
    words::{Element, Note, Route, Stage, holder},
};

/// How often each twist happens to each element.
const TWIST_SHARE: f64 = 0.3;
/// The first `PushPlatform` that no page of the manual names.
const FIRST_UNKNOWN_PLATFORM: u64 = 9;
const UNKNOWN_PLATFORMS: u64 = 4;

type Twist = fn(&mut Element, &mut Rng);

/// The twists of one element; those that hide a result take its note away.
const TWISTS: [Twist; 7] =
    [strange_keys, numbers_as_text, hidden_leaf, garbage_times, odd_words, lost_fields, null_object];

/// The bent answer, and the results that it still shows.
pub(super) fn bent(mut elements: Vec<Element>, rng: &mut Rng) -> (Map<String, Value>, Vec<Note>) {
    let phantoms: Vec<Element> = elements.iter().filter_map(|element| phantom(element, rng)).collect();
    elements.extend(phantoms);
    for element in &mut elements {
        for twist in TWISTS {
            if rng.chance(TWIST_SHARE) {
                twist(element, rng);
            }
        }
    }
    if rng.chance(TWIST_SHARE) && !elements.is_empty() {
        let index = rng.below(elements.len() as u64) as usize;
        elements.push(elements[index].clone());
    }
    let notes = elements.iter().flat_map(|element| element.notes.clone()).collect();
    (bent_top(elements, rng), notes)
}

fn bent_top(elements: Vec<Element>, rng: &mut Rng) -> Map<String, Value> {
    let none = elements.is_empty();
    let mut top = answer_of(elements.into_iter().map(|element| element.json));
    match rng.below(3) {
        0 if none => drop(top.remove("InstanceTrace")),
        1 if none => drop(top.insert("InstanceTrace".into(), Value::Null)),
        _ => {}
    }
    if rng.chance(TWIST_SHARE) {
        top.insert("ErrorCode".into(), json!("0"));
    }
    if rng.chance(TWIST_SHARE) {
        top.remove("ErrorInfo");
    }
    if rng.chance(TWIST_SHARE) {
        top.insert("RequestId".into(), json!({"Trace": [1, null, "x"]}));
        top.insert("ResultCode".into(), json!(0));
    }
    top
}

/// A second device of the same fate on a platform without a name. Its InstanceId is its own, so that the true device keeps its platform.
fn phantom(element: &Element, rng: &mut Rng) -> Option<Element> {
    let offline = element.json.get("EventType") == Some(&json!(1));
    if !offline || !rng.chance(TWIST_SHARE) {
        return None;
    }
    let mut copy = element.clone();
    let instance_id = format!("9{}", element.json.get("InstanceId")?.as_str()?);
    let platform = FIRST_UNKNOWN_PLATFORM + number_of(&instance_id) % UNKNOWN_PLATFORMS;
    copy.json.insert("InstanceId".into(), json!(instance_id));
    copy.json.insert("PushPlatform".into(), json!(platform));
    for note in &mut copy.notes {
        note.instance_id.clone_from(&instance_id);
        note.platform = Some(platform as i64);
    }
    Some(copy)
}

fn strange_keys(element: &mut Element, rng: &mut Rng) {
    element.json.insert("HarmonyStat".into(), json!({"PushStatus": 2, "ErrorCode": -7, "Deep": [[{}]]}));
    element.json.insert("BootTime".into(), json!(1.5e300));
    if let Some(leaf) = any_leaf(element, rng) {
        leaf.insert("RetryCount".into(), json!(3));
    }
}

fn numbers_as_text(element: &mut Element, _: &mut Rng) {
    fn bend(value: &mut Value) {
        match value {
            Value::Number(number) => *value = Value::String(number.to_string()),
            Value::Object(map) => {
                map.iter_mut()
                    .filter(|(key, _)| !OWN_KEYS.contains(&key.as_str()))
                    .for_each(|(_, value)| bend(value));
            }
            _ => {}
        }
    }
    // What the other twists have put in stays as it is.
    const OWN_KEYS: [&str; 4] = ["HarmonyStat", "BootTime", "RetryCount", "EventTime"];
    element
        .json
        .iter_mut()
        .filter(|(key, _)| !OWN_KEYS.contains(&key.as_str()))
        .for_each(|(_, value)| bend(value));
}

/// A leaf that had a result no longer says so: such a leaf is unreported.
fn hidden_leaf(element: &mut Element, rng: &mut Rng) {
    if element.notes.is_empty() {
        return;
    }
    let index = rng.below(element.notes.len() as u64) as usize;
    let note = element.notes.remove(index);
    let Some(Value::Object(object)) = element.json.get_mut(holder(note.route, note.stage)) else {
        return;
    };
    let key = note.stage.leaf();
    let status = match rng.below(6) {
        0 => return drop(object.insert(key.into(), Value::Null)),
        1 => return drop(object.remove(key)),
        2 => json!(0),
        3 => json!(3),
        4 => json!("unknown"),
        _ => Value::Null,
    };
    if let Some(Value::Object(leaf)) = object.get_mut(key) {
        leaf.insert("PushStatus".into(), status);
    }
}

fn garbage_times(element: &mut Element, rng: &mut Rng) {
    let garbage = [
        json!(""),
        json!("0000-00-00 00:00:00"),
        json!("yesterday"),
        json!("2025-02-30 25:61:61"),
        json!("2025-03-13T16:16:29Z"),
        json!(1_741_853_789),
        Value::Null,
    ];
    let index = rng.below(garbage.len() as u64) as usize;
    if rng.chance(TWIST_SHARE) {
        element.json.insert("PushTime".into(), garbage[index].clone());
    } else if let Some(leaf) = any_leaf(element, rng) {
        leaf.insert("EventTime".into(), garbage[index].clone());
    }
}

fn odd_words(element: &mut Element, rng: &mut Rng) {
    let words = [json!("🚫 推送失败\u{0}\n\"quoted\""), json!("x".repeat(5_000)), json!(17), Value::Null];
    let index = rng.below(words.len() as u64) as usize;
    if let Some(leaf) = any_leaf(element, rng) {
        leaf.insert("ErrorInfo".into(), words[index].clone());
    }
}

fn lost_fields(element: &mut Element, _: &mut Rng) {
    for key in
        ["LastActiveTerminal", "last_active_terminal", "DeviceModel", "PushVersion", "NotificationStatus"]
    {
        element.json.remove(key);
    }
}

/// The object of the other route is null.
fn null_object(element: &mut Element, _: &mut Rng) {
    let empty =
        |route: Route| element.notes.iter().all(|note| note.route != route || note.stage == Stage::Im);
    if let Some(route) = [Route::Offline, Route::Online].into_iter().find(|route| empty(*route)) {
        element.json.insert(route.object().into(), Value::Null);
    }
}

/// A leaf that shows a result.
fn any_leaf<'a>(element: &'a mut Element, rng: &mut Rng) -> Option<&'a mut Map<String, Value>> {
    let index = rng.below(element.notes.len() as u64) as usize;
    let note = element.notes.get(index)?;
    let path = (holder(note.route, note.stage), note.stage.leaf());
    element.json.get_mut(path.0)?.get_mut(path.1)?.as_object_mut()
}
