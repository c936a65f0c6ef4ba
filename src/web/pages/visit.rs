//! Visits: a request read, the pollers asked, the page that answers it.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as Asked, State};
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use maud::Markup;

use super::super::api::{read_query, status_of};
use super::super::app_state::{AppState, unix_now};
use super::super::findings;
use super::super::privacy::{SeesUsers, Visitor};
use super::watches::Listing;
use super::{Facts, layout};
use crate::trace::visible;
use crate::view::{DEFAULT_PAGE, PairName, Query, WatchQueryError, id_of_path};

/// What the form asks: a field left empty asks nothing, and a page without rows is no page.
fn read_form(fields: Vec<(String, String)>) -> Result<Query, String> {
    let filled: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut query = read_query(&filled)?;
    if query.limit == 0 {
        query.limit = DEFAULT_PAGE;
    }
    Ok(query)
}

fn answer(status: StatusCode, page: Markup) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}

/// `GET /`.
pub(in super::super) async fn status(State(app_state): State<Arc<AppState>>, visitor: Visitor) -> Response {
    let snapshot = (app_state.dependencies.snapshot)();
    let facts = Facts {
        status: &app_state.status.load(),
        findings: &findings::of_state(&app_state),
        committed_at: snapshot.committed_at,
        started_at: app_state.started_at,
        now: unix_now(),
        readiness: app_state.readiness(),
    };
    answer(StatusCode::OK, super::status::page_of(&facts, visitor))
}

/// `GET /watches`.
pub(in super::super) async fn watches(
    State(app_state): State<Arc<AppState>>,
    _: SeesUsers,
    form: Result<Asked<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let query = form.map_err(|why| why.body_text()).and_then(|Asked(fields)| read_form(fields));
    let (status, query, found) = match query {
        Err(why) => (StatusCode::BAD_REQUEST, Query { limit: DEFAULT_PAGE, ..Query::default() }, Err(why)),
        Ok(query) => match app_state.dependencies.queries.watches(query.clone()).await {
            Ok(page) => (StatusCode::OK, query, Ok(page)),
            Err(why) => (status_of(&why), query, Err(why.to_string())),
        },
    };
    let mut apps: Vec<String> = app_state.status.load().apps.iter().map(|app| app.name.clone()).collect();
    apps.sort_unstable();
    let listing = Listing { query: &query, answer: found, apps: &apps, now: unix_now() };
    answer(status, super::watches::page_of(&listing))
}

/// `GET /watches/{app}/{task}/{user}`.
pub(in super::super) async fn chain(
    State(app_state): State<Arc<AppState>>,
    _: SeesUsers,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Response {
    let (app, task, user) = match path {
        Ok(Path(parts)) => parts,
        Err(why) => {
            return answer(StatusCode::BAD_REQUEST, layout::apology("No such page", &why.body_text()));
        }
    };
    let (task, user) = (id_of_path(task), id_of_path(user));
    match app_state.dependencies.queries.chain(PairName { app, task, user }).await {
        Ok(chain) => answer(StatusCode::OK, super::chain::page_of(&chain, unix_now())),
        Err(why) => {
            let title = match why {
                WatchQueryError::NoApp(_) => "No such app",
                WatchQueryError::NoPair => "No such pair",
                _ => "No answer",
            };
            answer(status_of(&why), layout::apology(title, &sentence(&why.to_string())))
        }
    }
}

/// In place of a page that this client may not see.
pub(in super::super) fn forbidden(why: &str) -> Response {
    answer(StatusCode::FORBIDDEN, layout::refusal("Users are not shown here", &sentence(why)))
}

/// A page path that leads nowhere.
pub(in super::super) fn lost() -> Response {
    let why = "A pair's page is /watches/APP/TASK/USER, each part percent-encoded.";
    answer(StatusCode::NOT_FOUND, layout::apology("No such page", why))
}

/// A text of an error as a sentence of a page.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{}.", visible(&format!("{first}{}", letters.as_str())))
}
