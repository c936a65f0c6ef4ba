//! The reading half: pairs, one pair's chain, the status.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as Parameters, State};
use axum::response::Response;
use hyper::StatusCode;

use super::answers;
use super::parameters::{PairPath, WatchesParameters};
use super::reply::{Success, bad_path, refuse, success};
use super::responses::UsersHidden;
use super::shapes::{PageShape, PairShape, StatusShape};
use crate::document::shown;
use crate::schedule::State as PairState;
use crate::view::{DEFAULT_PAGE, MAX_PAGE, MAX_SEARCH_BYTES, PairName, Query, WatchQueryError, id_of_path};
use crate::web::app_state::AppState;
use crate::web::privacy::{SeesUsers, Visitor};
use crate::web::reply::ErrorShape;

/// All that the status page tells
#[utoipa::path(
    get,
    path = "/api/v1/status",
    operation_id = "getStatus",
    responses((status = 200, description = "The status.", body = Success<StatusShape>))
)]
pub(super) async fn status(State(app_state): State<Arc<AppState>>, visitor: Visitor) -> Response {
    success(answers::status(&app_state, visitor))
}

/// The watch lists, page by page
#[utoipa::path(
    get,
    path = "/api/v1/watches",
    operation_id = "listWatches",
    params(WatchesParameters),
    responses(
        (status = 200, description = "A page.", body = Success<PageShape>),
        (status = 400, description = "Parameters that cannot be used.", body = ErrorShape),
        (status = 403, response = UsersHidden),
        (status = 404, description = "No such app.", body = ErrorShape),
        (status = 500, description = "The ledger cannot be read.", body = ErrorShape),
    )
)]
pub(super) async fn watches(
    State(app_state): State<Arc<AppState>>,
    _: SeesUsers,
    parameters: Result<Parameters<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let query = match parameters {
        Ok(Parameters(parameters)) => read_query(&parameters),
        Err(rejection) => Err(rejection.body_text()),
    };
    let query = match query {
        Ok(query) => query,
        Err(faults) => return refuse(StatusCode::BAD_REQUEST, faults),
    };
    match app_state.dependencies.queries.watches(query).await {
        Ok(page) => success(answers::page(&page)),
        Err(error) => query_refusal(&error),
    }
}

/// One pair's delivery chain, from what is known
#[utoipa::path(
    get,
    path = "/api/v1/watches/{app}/{task}/{user}",
    operation_id = "getPair",
    params(PairPath),
    responses(
        (status = 200, description = "The pair.", body = Success<PairShape>),
        (status = 400, description = "A path that is no UTF-8.", body = ErrorShape),
        (status = 403, response = UsersHidden),
        (status = 404, description = "No such app or pair.", body = ErrorShape),
        (status = 500, description = "The ledger cannot be read.", body = ErrorShape),
    )
)]
pub(super) async fn pair(
    State(app_state): State<Arc<AppState>>,
    _: SeesUsers,
    path: Result<Path<PairPath>, PathRejection>,
) -> Response {
    let PairPath { app, task, user } = match path {
        Ok(Path(path)) => path,
        Err(rejection) => return bad_path(&rejection),
    };
    let (task, user) = (id_of_path(task), id_of_path(user));
    match app_state.dependencies.queries.chain(PairName { app, task, user }).await {
        Ok(chain) => success(answers::pair(&chain)),
        Err(error) => query_refusal(&error),
    }
}

fn query_refusal(error: &WatchQueryError) -> Response {
    refuse(status_of(error), error)
}

/// The status of an answer in place of one that there is not.
pub(in crate::web) fn status_of(error: &WatchQueryError) -> StatusCode {
    match error {
        WatchQueryError::NoApp(_) | WatchQueryError::NoPair => StatusCode::NOT_FOUND,
        WatchQueryError::NoPlace => StatusCode::BAD_REQUEST,
        WatchQueryError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        WatchQueryError::Unreadable => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

const PARAMETERS: [&str; 6] = ["app", "state", "failed", "search", "limit", "after"];

/// What is asked for, or every fault, a line each.
pub(in crate::web) fn read_query(parameters: &[(String, String)]) -> Result<Query, String> {
    let mut query = Query { limit: DEFAULT_PAGE, ..Query::default() };
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (key, value) in parameters {
        let read = match PARAMETERS.iter().find(|known| *known == key) {
            None => {
                let known = PARAMETERS.join(" ");
                Err(format!("{}: is no known parameter; known here: {known}", shown(key)))
            }
            Some(key) if !seen.insert(key) => Err(format!("{key}: is given twice; expected once")),
            Some(key) => read_parameter(key, value, &mut query),
        };
        faults.extend(read.err());
    }
    if faults.is_empty() { Ok(query) } else { Err(faults.join("\n")) }
}

fn read_parameter(key: &str, value: &str, query: &mut Query) -> Result<(), String> {
    let wrong = |right: &str| Err(format!("{key}: is {}; expected {right}", shown(value)));
    match key {
        "app" => query.app = Some(value.to_owned()),
        "state" => match PairState::ALL.into_iter().find(|state| state.as_str() == value) {
            Some(state) => query.state = Some(state),
            None => return wrong(&format!("one of {}", PairState::ALL.map(PairState::as_str).join(" "))),
        },
        "failed" => match value.parse() {
            Ok(failed) => query.failed = failed,
            Err(_) => return wrong("true or false"),
        },
        "search" if value.len() > MAX_SEARCH_BYTES => {
            return Err(format!(
                "search: is {} bytes long; expected at most {MAX_SEARCH_BYTES}",
                value.len()
            ));
        }
        "search" => value.clone_into(&mut query.search),
        "limit" => match value.parse() {
            Ok(limit @ 0..=MAX_PAGE) => query.limit = limit,
            _ => return wrong(&format!("a whole number from 0 to {MAX_PAGE}")),
        },
        _ => query.after = Some(value.to_owned()),
    }
    Ok(())
}
