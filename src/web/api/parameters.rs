//! What requests to the API hold, with the words of the document: parts of a path, parameters, entries.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use utoipa::openapi::schema::{Array, Object, OneOf, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::words::States;
use crate::view::{DEFAULT_PAGE, MAX_PAGE, MAX_SEARCH_BYTES};

const _: () =
    assert!(MAX_SEARCH_BYTES == 256 && MAX_PAGE == 1000 && DEFAULT_PAGE == 50, "as the attributes below say");

/// Names a task of an app.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TaskPath {
    /// Name of the app.
    pub(super) app: String,
    /// TaskID, percent-encoded; ~. or ~.. for . or .., which clients take for steps in the path.
    pub(super) task: String,
}

/// Names a pair of an app.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct PairPath {
    /// Name of the app.
    pub(super) app: String,
    /// TaskID, percent-encoded; ~. or ~.. for . or .., which clients take for steps in the path.
    pub(super) task: String,
    /// UserID, percent-encoded; ~. or ~.. for . or .., which clients take for steps in the path.
    pub(super) user: String,
}

/// Which pairs to list; [`super::read::read_query`] reads them, to tell every fault.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document alone")]
pub(super) struct WatchesParameters {
    /// Only of this app.
    #[param(required = false)]
    app: String,
    /// Only in this state.
    #[param(required = false, inline, value_type = States)]
    state: String,
    /// Only pairs one of whose devices failed at some stage.
    #[param(required = false, default = false)]
    failed: bool,
    /// Only pairs whose task holds this text, or whose user does where users are not hidden; case counts.
    #[param(required = false, max_length = 256)]
    search: String,
    /// Pairs on the page; 0 gives the total alone.
    #[param(required = false, maximum = 1000, default = 50)]
    limit: usize,
    /// The next of the page before.
    #[param(required = false)]
    after: String,
}

/// One entry, or several in a list; [`crate::watch::read_posts`] reads them, to tell every fault.
pub(super) struct EntriesShape;

impl PartialSchema for EntriesShape {
    fn schema() -> RefOr<Schema> {
        let one = || Ref::from_schema_name("Entry");
        Schema::from(OneOf::builder().item(one()).item(Array::new(one()))).into()
    }
}

impl ToSchema for EntriesShape {}

/// Pairs of one task to watch.
#[derive(ToSchema)]
#[schema(as = Entry)]
#[expect(dead_code, reason = "for the document alone")]
pub(super) struct EntryShape {
    /// Name of an app of the configuration.
    app: String,
    /// The TaskID that the push was answered with.
    #[schema(min_length = 1)]
    task: String,
    #[schema(schema_with = users)]
    users: Vec<String>,
    /// Values for the app's watch_labels.
    #[schema(required = false)]
    labels: BTreeMap<String, String>,
    /// When the push was or will be; polling starts then.
    #[schema(required = false)]
    pushed_at: Timestamp,
}

fn users() -> Array {
    let user = Object::builder().schema_type(Type::String).min_length(Some(1));
    let users = Array::builder().items(RefOr::T(user.build().into())).min_items(Some(1));
    users.description(Some("UserIDs; each makes one pair with the task.")).build()
}
