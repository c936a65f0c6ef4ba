//! Requests with a wall clock that the tests tell: no socket, and a slot file in a temporary folder.

use std::path::Path;

use secrecy::ExposeSecret;

use super::*;
use crate::api::code::{Failure, classify, classify_http};
use crate::budget::Budgets;

/// Unix milliseconds.
const NOW: i64 = 1_790_000_000_000;
const MINUTE: i64 = 60_000;

fn app(folder: &Path, more: &str) -> App {
    std::fs::write(folder.join("key"), "a key of sixteen").unwrap();
    let text = format!(
        "apps: [{{name: shop, sdk_app_id: 1400000001, region: singapore, secret_key_file: key, requests_per_second: 50{more}}}]"
    );
    crate::config::parse(&text, &folder.join("config.yaml")).unwrap().apps.remove(0)
}

fn share(folder: &Path, app: &App) -> Share {
    Budgets::new(folder.into()).open(&app.budget_key(), &app.name, app.requests_per_second).unwrap()
}

/// Requests that have read their credential.
async fn requests(folder: &Path) -> Requests {
    let app = app(folder, "");
    let mut requests = Requests::new(&app, Client::new().unwrap(), share(folder, &app), NOW);
    assert!(requests.awaits_credential());
    assert_eq!(requests.start_at(Some(NOW), NOW), None, "nothing can be signed yet");
    read_credential(&mut requests).await;
    requests
}

async fn read_credential(requests: &mut Requests) -> CredentialNews {
    let reading = requests.next_reading().unwrap();
    assert!(requests.next_reading().is_none(), "one at a time");
    let read = reading.run().await;
    requests.credential_read(read).unwrap()
}

/// Starts one as soon as the budget allows.
async fn start(requests: &mut Requests, now: i64) -> Request {
    loop {
        match requests.take_start().unwrap() {
            Some(start) => {
                let signed = requests.sign(now).unwrap();
                return requests.begin(start, signed);
            }
            None => tokio::task::yield_now().await,
        }
    }
}

/// One that was handed to the network.
async fn send(requests: &mut Requests, now: i64) -> Request {
    let Request { client, endpoint, signed, gate, answered, epoch } = start(requests, now).await;
    let SendGate { not_before, sent } = gate;
    sent.send(Moment::now()).unwrap();
    requests.follow().await.unwrap();
    let (sent, _) = oneshot::channel();
    Request { client, endpoint, signed, gate: SendGate { not_before, sent }, answered, epoch }
}

fn failed(pair: i64, epoch: u32, failure: Failure) -> FailedRequest {
    let pair = std::num::NonZero::new(pair).unwrap();
    FailedRequest { pair, task: 1, epoch, is_accused: false, failure }
}

#[tokio::test]
async fn one_request_is_made_ready_at_a_time_and_all_count_until_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut requests = requests(folder.path()).await;
    let request = start(&mut requests, NOW).await;
    assert_eq!(requests.start_at(Some(NOW), NOW), None, "it is not handed to the network yet");
    request.gate.sent.send(Moment::now()).unwrap();
    requests.follow().await.unwrap();
    assert!(requests.start_at(Some(NOW), NOW).is_some());
    let second = send(&mut requests, NOW).await;
    assert_eq!(requests.in_flight.len(), 2);
    for epoch in [request.epoch, second.epoch] {
        requests.end(epoch);
    }
    assert_eq!(requests.in_flight.len(), 0);
    assert_eq!(requests.start_at(None, NOW), None, "no pair is to be polled");
}

#[tokio::test]
async fn a_task_that_is_gone_counts_as_a_request_that_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut requests = requests(folder.path()).await;
    drop(start(&mut requests, NOW).await);
    requests.follow().await.unwrap();
    assert!(requests.start_at(Some(NOW), NOW).is_some());
}

#[tokio::test]
async fn what_stops_the_app_lets_nothing_through_until_its_pause_is_over_and_then_one_probe() {
    let folder = tempfile::tempdir().unwrap();
    let mut requests = requests(folder.path()).await;
    let first = send(&mut requests, NOW).await;
    let late = send(&mut requests, NOW).await;
    requests.end(first.epoch);
    // The administrator may not.
    let (_, resume_at) = requests.on_failure(failed(1, first.epoch, classify(60_010)), NOW);
    let resume_at = resume_at.expect("a pause begins");
    assert_eq!(resume_at, NOW + MINUTE);
    assert!(!requests.lets_through(resume_at - 1));
    assert!(requests.start_at(Some(NOW), NOW).unwrap() > Moment::now().after(Duration::from_secs(50)));
    requests.keep_pause(NOW).unwrap();
    // An answer to what left before ends nothing.
    requests.end(late.epoch);
    assert!(!requests.on_success(late.epoch).has_resumed);
    assert!(requests.lets_through(resume_at));
    let probe = send(&mut requests, resume_at).await;
    assert_eq!(requests.start_at(Some(resume_at), resume_at), None, "one probe at a time");
    requests.end(probe.epoch);
    assert!(requests.on_success(probe.epoch).has_resumed);
    requests.keep_pause(resume_at).unwrap();
    assert!(requests.start_at(Some(resume_at), resume_at).is_some());
}

#[tokio::test]
async fn a_pause_is_found_by_the_next_process_and_ends_with_another_credential() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(folder.path(), "");
    {
        let mut before = requests(folder.path()).await;
        let request = send(&mut before, NOW).await;
        before.on_failure(failed(1, request.epoch, classify(60_010)), NOW);
        before.keep_pause(NOW).unwrap();
    }
    let budget = share(folder.path(), &app);
    let mut requests = Requests::new(&app, Client::new().unwrap(), budget, NOW + 1000);
    assert!(!requests.lets_through(NOW + 1000));
    assert!(
        !read_credential(&mut requests).await.has_resumed,
        "the first one that a process reads is no other"
    );
    std::fs::write(folder.path().join("key"), "another key of some length").unwrap();
    let news = read_credential(&mut requests).await;
    assert!(news.has_resumed && news.is_known && news.trouble.is_none());
    assert!(requests.lets_through(NOW + 1000));
}

#[tokio::test]
async fn a_refused_signature_is_made_anew_after_the_credential_was_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut requests = requests(folder.path()).await;
    let request = send(&mut requests, NOW).await;
    requests.end(request.epoch);
    // The signature has expired.
    let (decision, pause) = requests.on_failure(failed(1, request.epoch, classify(70_001)), NOW);
    assert_eq!((decision, pause), (Decision::SignAndAgain, None));
    assert_eq!(requests.start_at(Some(NOW), NOW), None, "the credential is read first");
    read_credential(&mut requests).await;
    let again = send(&mut requests, NOW).await;
    assert_ne!(again.signed.text.expose_secret(), request.signed.text.expose_secret());
    assert_ne!(again.epoch, request.epoch);
}

#[tokio::test]
async fn too_many_requests_slow_down_and_answers_make_it_quicker_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut requests = requests(folder.path()).await;
    let rate = requests.rate();
    let (decision, pause) = requests.on_failure(failed(1, 0, classify_http(429)), NOW);
    assert_eq!((decision, pause), (Decision::Slower, None));
    let slow = requests.rate();
    assert!(slow < rate);
    assert!(requests.on_success(0).is_quicker);
    assert!(requests.rate() > slow);
}

#[tokio::test]
async fn another_endpoint_knows_nothing_of_a_pause_and_the_same_one_tries_again() {
    let folder = tempfile::tempdir().unwrap();
    let before = app(folder.path(), "");
    let mut requests = requests(folder.path()).await;
    let stop = |requests: &mut Requests| {
        let epoch = requests.breaker().epoch();
        requests.on_failure(failed(1, epoch, classify(60_010)), NOW);
        assert!(!requests.lets_through(NOW));
    };
    stop(&mut requests);
    let longer = app(folder.path(), ", watch_for: 2d");
    assert!(!requests.configure(&longer, &before, None), "that is nothing to do about it");
    assert!(!requests.lets_through(NOW));
    let admin = app(folder.path(), ", admin: other");
    assert!(requests.configure(&admin, &longer, None));
    assert!(requests.lets_through(NOW));
    stop(&mut requests);
    let mut elsewhere = admin.clone();
    elsewhere.endpoint = "https://elsewhere.invalid".to_owned();
    let budget = share(folder.path(), &elsewhere);
    assert!(!requests.configure(&elsewhere, &admin, Some(budget)), "no pause of that budget ended");
    assert!(requests.lets_through(NOW));
}
