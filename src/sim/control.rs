//! The handles under `/sim/` by which a test in another process turns the simulator.
use std::sync::Arc;

use axum::extract::Query;
use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    body::{self, Matter},
    world::{World, locked},
};

pub(super) const CONTROL_PATH: &str = "/sim/";
/// Room for an answer of many megabytes.
const MAX_ORDER_BYTES: usize = 64 << 20;

type Answer = Result<Response<Matter>, (StatusCode, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    sdk_app_id: Option<u64>,
}

pub(super) async fn control(world: &Arc<World>, request: Request<Incoming>) -> Response<Matter> {
    let (head, incoming) = request.into_parts();
    let answer = match Limited::new(incoming, MAX_ORDER_BYTES).collect().await {
        Ok(whole) => turn(world, &head.method, &head.uri, &whole.to_bytes()).await,
        Err(_) => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("an order has at most {MAX_ORDER_BYTES} bytes")))
        }
    };
    answer.unwrap_or_else(|(status, error)| body::json(status, json!({"error": error}).to_string()))
}

async fn turn(world: &Arc<World>, method: &Method, uri: &Uri, order: &Bytes) -> Answer {
    let handle = uri.path().strip_prefix(CONTROL_PATH).unwrap_or_default();
    match (method.as_str(), handle) {
        ("GET", "account") => Ok(page(&world.account())),
        ("GET", "truth") => {
            let world = Arc::clone(world);
            // Telling a large population takes longer than a runtime thread may be kept.
            let truth = tokio::task::spawn_blocking(move || world.truth()).await;
            truth
                .map(|truth| page(&truth))
                .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
        }
        ("GET", "pairs") => {
            let app = choice(uri)?
                .ok_or((StatusCode::BAD_REQUEST, "sdk_app_id is missing in the query".to_owned()))?;
            Ok(page(&world.pairs(app)))
        }
        ("GET", "arrivals") => Ok(page(&world.arrivals(choice(uri)?))),
        ("GET", "faults") => Ok(page(&locked(&world.faults).orders())),
        ("POST", "faults") => done(world.set_fault(parsed(order)?)),
        ("DELETE", "faults") => {
            locked(&world.faults).clear();
            done(Ok(()))
        }
        ("POST", "answers") => done(world.set_answer(parsed(order)?)),
        ("DELETE", "answers") => {
            world.clear_answers();
            done(Ok(()))
        }
        ("POST", "outage") => done(world.outage(parsed(order)?)),
        ("DELETE", "outage") => {
            world.end_outages();
            done(Ok(()))
        }
        (_, "account" | "truth" | "pairs" | "arrivals" | "faults" | "answers" | "outage") => {
            Err((StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not for {}", uri.path())))
        }
        _ => Err((StatusCode::NOT_FOUND, format!("no handle {}", uri.path()))),
    }
}

fn choice(uri: &Uri) -> Result<Option<u64>, (StatusCode, String)> {
    let read =
        Query::<Choice>::try_from_uri(uri).map_err(|error| (StatusCode::BAD_REQUEST, error.body_text()))?;
    Ok(read.0.sdk_app_id)
}

fn parsed<T: DeserializeOwned>(order: &Bytes) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(order).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn page(report: &impl Serialize) -> Response<Matter> {
    match serde_json::to_vec(report) {
        Ok(text) => body::json(StatusCode::OK, text),
        Err(error) => {
            body::json(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": error.to_string()}).to_string())
        }
    }
}

fn done(taken: Result<(), super::Refusal>) -> Answer {
    match taken {
        Ok(()) => Ok(page(&json!({"done": true}))),
        Err(refusal) => Err((StatusCode::BAD_REQUEST, refusal.to_string())),
    }
}
