//! Deliveries as the upstream's JSON, up to a moment.
use serde_json::{Map, Value, json};

use super::{
    calendar::{MICROS, stamp},
    delivery::{Delivery, Event},
    population::Blank,
    rng::Rng,
    words::{Element, Note, Route, Stage, holder},
};

/// A good answer around its elements.
pub(super) fn answer_of(elements: impl IntoIterator<Item = Map<String, Value>>) -> Map<String, Value> {
    let trace: Vec<Value> = elements.into_iter().map(Value::Object).collect();
    // "sucess" is how the documented sample spells it.
    object(json!({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "sucess", "InstanceTrace": trace}))
}

/// An answer that says no.
pub(super) fn failure_of(code: i64, info: &str) -> Value {
    json!({"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": info})
}

/// The moment an answer speaks of, and the zone it speaks in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now_micros: i64,
    pub(super) zone_offset_seconds: i32,
}

/// One element of `InstanceTrace`; `None` before the push reached this device's turn.
pub(super) fn element_of(delivery: &Delivery, moment: Moment) -> Option<Element> {
    if delivery.dispatched_micros > moment.now_micros {
        return None;
    }
    let mut element = Element { json: face_of(delivery, moment), notes: Vec::new() };
    let blank = delivery.device.blank;
    for route in [Route::Offline, Route::Online] {
        if route == delivery.route {
            for stage in route.stages() {
                show(&mut element, delivery, *stage, moment);
            }
        } else if blank != Blank::ObjectMissing {
            let leaves = route.stages().iter().filter(|stage| **stage != Stage::Im && blank == Blank::Zero);
            let object = leaves.map(|stage| (stage.leaf().to_owned(), unreported())).collect();
            element.json.insert(route.object().to_owned(), Value::Object(object));
        }
    }
    Some(element)
}

/// Puts one leaf into the element, and its result beside it.
fn show(element: &mut Element, delivery: &Delivery, stage: Stage, moment: Moment) {
    let event = delivery.seen(stage, moment.now_micros);
    let leaf = match (event, delivery.device.blank) {
        (Some(event), _) => Some(leaf_of(&event, moment)),
        (None, Blank::Zero) => Some(unreported()),
        (None, Blank::LeafMissing) => None,
        (None, Blank::ObjectMissing) => return,
    };
    let object = element.json.entry(holder(delivery.route, stage)).or_insert_with(|| json!({}));
    if let (Some(leaf), Value::Object(object)) = (leaf, object) {
        object.insert(stage.leaf().to_owned(), leaf);
    }
    if let Some(event) = event {
        element.notes.push(note_of(delivery, stage, &event));
    }
}

/// What the account counts for one result.
pub(super) fn note_of(delivery: &Delivery, stage: Stage, event: &Event) -> Note {
    Note {
        instance_id: delivery.device.instance_id.to_string(),
        event_type: delivery.event_type(),
        route: delivery.route,
        stage,
        platform: (delivery.route == Route::Offline).then(|| i64::from(delivery.platform())),
        failure: event.failure.map(|failure| failure.code),
    }
}

fn leaf_of(event: &Event, moment: Moment) -> Value {
    let (status, code, words) = match event.failure {
        None => (1, 0, "success"),
        Some(failure) => (2, failure.code, failure.words),
    };
    let time = stamp(event.at_micros, moment.zone_offset_seconds);
    json!({"PushStatus": status, "ErrorCode": code, "ErrorInfo": words, "EventTime": time})
}

fn unreported() -> Value {
    json!({"PushStatus": 0, "ErrorCode": 0, "ErrorInfo": "", "EventTime": ""})
}

/// The fields of an element beside its stages.
fn face_of(delivery: &Delivery, moment: Moment) -> Map<String, Value> {
    let device = delivery.device;
    let mut rng = Rng::new(&[device.seed]);
    let apple = device.platform == 1;
    let system = if apple { *rng.weighted(&[(3, "iOS"), (1, "APNS")]) } else { "Android" };
    let model = if rng.chance(0.5) { "" } else { if apple { "iPhone15,2" } else { "PGT-AN10" } };
    let version = *rng.weighted(&[(2, ""), (1, "17.5"), (1, "14")]);
    let sdk = *rng.weighted(&[(2, "8.0.1"), (1, "8.2.6325"), (1, "")]);
    let (certificate, token) = match delivery.route {
        Route::Offline => {
            (format!("{}", 1_000 + rng.below(20_000)), format!("{:016x}{:016x}", rng.next(), rng.next()))
        }
        Route::Online => ("0".to_owned(), String::new()),
    };
    let last_active = if device.spelled_as_table { "LastActiveTerminal" } else { "last_active_terminal" };
    object(json!({
        "InstanceId": device.instance_id.to_string(),
        "PushTime": stamp(delivery.pushed_at.saturating_mul(MICROS), moment.zone_offset_seconds),
        "DeviceModel": model,
        "System": system,
        "SystemVersion": version,
        "EventType": delivery.event_type(),
        "PushPlatform": delivery.platform(),
        "Token": token,
        "CertId": certificate,
        "SdkVersion": sdk,
        "PushVersion": sdk,
        "NotificationStatus": i32::from(device.notifications_on),
        last_active: i32::from(device.recently_active),
    }))
}

/// The map inside a literal that is an object by its writing.
pub(super) fn object(literal: Value) -> Map<String, Value> {
    match literal {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
