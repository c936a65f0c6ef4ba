//! One question of the trace path: the checks in the manual's order, the answer, and the fault that may spoil it.
use std::time::{Duration, Instant};

use axum::extract::Query;
use http_body_util::{BodyExt, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    answer::{answer_of, element_of, failure_of},
    body::{self, Matter, Reply},
    calendar::MICROS,
    fault::Fault,
    options::{Account, UnknownPairs},
    population::{pair_number, salt},
    rate_limiter::LOCKED_OUT,
    rng::Rng,
    schema_drift::bent,
    signature::{Claim, verify},
    words::{Element, Note},
    world::{World, locked},
};

pub(super) const TRACE_PATH: &str = "/v4/timpush/all_member_push_trace";
/// The upstream forgets a push after seven days.
const HISTORY_MICROS: i64 = 7 * 24 * 3_600 * MICROS;
/// A question is a few hundred bytes.
const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// The upstream's own timeout.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// "TaskId invalid or no push record".
const NO_RECORD: (i64, &str) = (90049, "invalid TaskId or no push record");

/// The query string; what is missing is told by code, not by refusing to read the rest.
#[derive(Deserialize)]
struct Address {
    sdkappid: Option<String>,
    identifier: Option<String>,
    usersig: Option<String>,
    random: Option<String>,
    contenttype: Option<String>,
}

/// What is to be said to a question.
enum Verdict {
    Refused(i64, &'static str),
    Trace(Shown),
    Canned(Bytes),
}

/// A good answer before it is written down.
struct Shown {
    sdk_app_id: u64,
    pair: u64,
    elements: Vec<Element>,
}

type Denial = (i64, &'static str);

/// Answers one request whose head was read at `arrival`.
pub(super) async fn answer(world: &World, arrival: Instant, request: Request<Incoming>) -> Reply {
    let (head, incoming) = request.into_parts();
    let address: Result<Address, Denial> = Query::try_from_uri(&head.uri)
        .map(|Query(address)| address)
        .map_err(|_| (60002, "URL cannot be parsed"));
    let sdk_app_id = address.as_ref().ok().and_then(|address| address.sdkappid.as_deref()?.parse().ok());
    let early = locked(&world.limiters).arrive(sdk_app_id, arrival);
    let taken = locked(&world.faults).take(sdk_app_id);

    let read = tokio::time::timeout(READ_TIMEOUT, Limited::new(incoming, MAX_QUESTION_BYTES).collect()).await;
    let question: Result<Bytes, Denial> = match read {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(_)) => Err((60003, "body cannot be read or is too large")),
        Err(_) => Err((60008, "body did not come in time")),
    };
    if let Some(delay) = taken.delay {
        tokio::time::sleep(delay).await;
    }
    let verdict = if early {
        Verdict::Refused(60007, "this API is called too often")
    } else {
        let judged = address.and_then(|address| judge(world, &address, arrival, question));
        judged.unwrap_or_else(|(code, info)| Verdict::Refused(code, info))
    };
    let path_and_query = head.uri.path_and_query().map_or(TRACE_PATH, |text| text.as_str());
    AnswerWriter { world, sdk_app_id, path_and_query }.spoil(taken.fault, verdict)
}

fn judge(
    world: &World,
    address: &Address,
    arrival: Instant,
    question: Result<Bytes, Denial>,
) -> Result<Verdict, Denial> {
    let account = admit(world, address, arrival)?;
    let (task, user) = asked(&question?)?;
    if let Some(bytes) = world.canned(account.sdk_app_id, &task, &user) {
        return Ok(Verdict::Canned(bytes));
    }
    let pair = pair_number(&task, &user);
    let elements = look_up(world, account.sdk_app_id, &task, &user)?;
    Ok(Verdict::Trace(Shown { sdk_app_id: account.sdk_app_id, pair, elements }))
}

/// Who asks, and may they?
fn admit<'a>(world: &'a World, address: &Address, arrival: Instant) -> Result<&'a Account, Denial> {
    let sdk_app_id = address.sdkappid.as_deref().filter(|text| !text.is_empty());
    let sdk_app_id = sdk_app_id.ok_or((60012, "SDKAppID is missing"))?;
    let sdk_app_id: u64 = sdk_app_id.parse().map_err(|_| (60006, "SDKAppID is invalid"))?;
    if address.contenttype.as_deref() != Some("json") {
        return Err((60025, "contenttype must be json"));
    }
    let random = address.random.as_deref().and_then(|random| random.parse::<u32>().ok());
    random.ok_or((60002, "random must be an integer from 0 to 4294967295"))?;
    let identifier = address.identifier.as_deref().filter(|text| !text.is_empty());
    let identifier = identifier.ok_or((60025, "identifier is missing"))?;
    let account = world.app(sdk_app_id).ok_or((70020, "SDKAppID does not exist"))?;

    let claim = Claim {
        sdk_app_id,
        identifier,
        key: account.key.expose_secret(),
        now_unix_seconds: world.now_micros().div_euclid(MICROS),
    };
    let verified = verify(address.usersig.as_deref().unwrap_or_default(), &claim);
    if locked(&world.limiters).verified(sdk_app_id, verified.is_ok(), arrival) {
        return Err(LOCKED_OUT);
    }
    verified.map_err(|flaw| flaw.answer())?;
    if identifier != account.admin {
        return Err((90009, "the requester is not an administrator"));
    }
    Ok(account)
}

/// The task and the user of a question's body.
fn asked(question: &[u8]) -> Result<(String, String), Denial> {
    let body: Value = serde_json::from_slice(question).map_err(|_| (60003, "body is not JSON"))?;
    let text = |key: &str| match body.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err((90100, "TaskID and UserID must be strings that are not empty")),
    };
    Ok((text("TaskID")?, text("UserID")?))
}

/// What has happened to a pair so far.
fn look_up(world: &World, sdk_app_id: u64, task: &str, user: &str) -> Result<Vec<Element>, Denial> {
    let (moment, outages) = world.present();
    let population = world.population(sdk_app_id);
    let pair = population.task_index(task).zip(population.user_index(user));
    let pushed_micros = |task| population.pushed_at(task).saturating_mul(MICROS);
    let remembered =
        pair.filter(|(task, _)| moment.now_micros.saturating_sub(pushed_micros(*task)) <= HISTORY_MICROS);
    match (remembered, world.options.unknown_pairs) {
        (Some((task, user)), _) => {
            let deliveries = population.deliveries(task, user, &outages);
            Ok(deliveries.iter().filter_map(|delivery| element_of(delivery, moment)).collect())
        }
        (None, UnknownPairs::Empty) => Ok(Vec::new()),
        (None, UnknownPairs::Refuse) => Err(NO_RECORD),
    }
}

type Written = (Map<String, Value>, Vec<Note>);

/// Where the answer to one request is written down.
struct AnswerWriter<'a> {
    world: &'a World,
    sdk_app_id: Option<u64>,
    path_and_query: &'a str,
}

impl AnswerWriter<'_> {
    /// The answer, or what the fault makes of it. Only what is written down whole enters the account.
    fn spoil(&self, fault: Option<Fault>, verdict: Verdict) -> Reply {
        let failed = |code, info: &str| body::json(StatusCode::OK, failure_of(code, info).to_string());
        let response = match fault {
            None | Some(Fault::Slow { .. }) => self.whole(verdict, |shown| plain(shown.elements)),
            Some(Fault::Forget) => self.whole(verdict, |_| (answer_of([]), Vec::new())),
            Some(Fault::Drift) => self.whole(verdict, |shown| {
                let seed = self.world.options.seed;
                let mut rng = Rng::new(&[salt::DRIFT, seed, shown.pair, self.world.next_bent()]);
                bent(shown.elements, &mut rng)
            }),
            Some(Fault::Error { code }) => failed(code, "the simulator was told to refuse"),
            Some(Fault::SecretEcho) => failed(91000, &format!("request error: {}", self.path_and_query)),
            Some(Fault::Http { status }) => body::http(status, self.path_and_query),
            Some(Fault::Html) => body::html(StatusCode::OK),
            Some(Fault::Huge { bytes }) => body::huge(bytes),
            Some(Fault::HalfJson) => body::half(&text_of(verdict)),
            Some(Fault::Reset { mid_response: true }) => body::torn(&text_of(verdict)),
            Some(Fault::Reset { mid_response: false }) => return Reply::Reset,
            Some(Fault::Hang) => return Reply::Hang,
        };
        Reply::Answer(response)
    }

    fn whole(&self, verdict: Verdict, write: impl FnOnce(Shown) -> Written) -> Response<Matter> {
        let (code, bytes) = match verdict {
            Verdict::Canned(bytes) => return body::json(StatusCode::OK, bytes),
            Verdict::Refused(code, info) => (code, Bytes::from(failure_of(code, info).to_string())),
            Verdict::Trace(shown) => {
                let (sdk_app_id, pair) = (shown.sdk_app_id, shown.pair);
                let (text, notes) = write(shown);
                locked(&self.world.account).enter(sdk_app_id, pair, &notes);
                (0, Bytes::from(Value::Object(text).to_string()))
            }
        };
        if let Some(app) = self.sdk_app_id {
            locked(&self.world.limiters).answered(app, code);
        }
        body::json(StatusCode::OK, bytes)
    }
}

fn plain(elements: Vec<Element>) -> Written {
    let notes = elements.iter().flat_map(|element| element.notes.clone()).collect();
    (answer_of(elements.into_iter().map(|element| element.json)), notes)
}

/// An answer's text that nobody will be able to read.
fn text_of(verdict: Verdict) -> Bytes {
    match verdict {
        Verdict::Canned(bytes) => bytes,
        Verdict::Refused(code, info) => failure_of(code, info).to_string().into(),
        Verdict::Trace(shown) => Value::Object(plain(shown.elements).0).to_string().into(),
    }
}
