//! The closed sets of words in the answers, as the document lists them.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::schedule::State;
use crate::trace::{Notifications, Outcome, Reason, Route, Stage};

fn words<'a>(description: &str, words: impl IntoIterator<Item = &'a str>) -> Object {
    let object = Object::builder().schema_type(Type::String).enum_values(Some(words));
    object.description((!description.is_empty()).then_some(description)).build()
}

pub(super) fn success() -> Schema {
    words("", ["success"]).into()
}

pub(super) fn states() -> Schema {
    let text = "new: never answered; active: news may come; settled: nothing more can come; failing: the upstream \
                refuses the pair, or its polls keep failing.";
    words(text, State::ALL.map(State::as_str)).into()
}

/// The states of a parameter, which has words of its own.
pub(super) struct States;

impl PartialSchema for States {
    fn schema() -> RefOr<Schema> {
        Schema::from(words("", State::ALL.map(State::as_str))).into()
    }
}

impl ToSchema for States {}

pub(super) fn stages() -> Schema {
    words("The stage, as the label of that name.", Stage::ALL.map(Stage::as_str)).into()
}

pub(super) fn outcomes() -> Schema {
    let outcomes = Outcome::ALL.map(Outcome::as_str).into_iter().chain(["unreported"]);
    words("unreported is the lack of a result, never a failure.", outcomes).into()
}

pub(super) fn reasons() -> Schema {
    words("Why it failed, as the label of that name.", Reason::ALL.map(Reason::as_str)).into()
}

/// The same where there may be no failure.
pub(super) fn reasons_or_none() -> Schema {
    let mut reasons = words("Why it failed, as the label of that name.", Reason::ALL.map(Reason::as_str));
    reasons.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
    reasons.enum_values.get_or_insert_default().push(serde_json::Value::Null);
    reasons.into()
}

pub(super) fn routes() -> Schema {
    words("The route, as the label of that name.", Route::ALL.map(Route::as_str)).into()
}

pub(super) fn notifications() -> Schema {
    words("NotificationStatus.", Notifications::ALL.map(Notifications::as_str)).into()
}

pub(super) fn finding_severities() -> Schema {
    let text = "info: good to know; warning: somebody must act, not at once; critical: results are missing, or about \
                to be lost.";
    words(text, ["info", "warning", "critical"]).into()
}

pub(super) fn severities() -> Schema {
    let text = "The worst of the findings: the verdict of the status page.";
    words(text, ["ok", "info", "warning", "critical"]).into()
}

pub(super) fn readiness() -> Schema {
    words("", ["starting", "ready", "stopping"]).into()
}
