//! Passwords over real sockets: who gets in, what those are told who do not, and what it costs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::credentials::Credentials;
use super::password_queue::MAX_WAITING;
use super::*;
use crate::http::tests::{Running, SHORT, ask, get, patiently, start};
use crate::http::{RequestRefusal, Security, ServerEvent};

/// As cheap as bcrypt gets: these tests are not about its strength.
const COST: u32 = MIN_COST;

fn hash(password: &str) -> PasswordHash {
    PasswordHash::parse(&bcrypt::hash(password, COST).unwrap()).unwrap()
}

fn users(pairs: &[(&str, &str)]) -> Users {
    Users::new(pairs.iter().map(|(name, password)| ((*name).into(), hash(password))).collect())
}

fn credentials(name: &str, password: &str) -> Credentials {
    let mut headers = HeaderMap::new();
    headers
        .insert(AUTHORIZATION, basic(name, password).trim_end().split_once(": ").unwrap().1.parse().unwrap());
    Credentials::of(&headers).unwrap()
}

/// The header line of a name and password.
fn basic(name: &str, password: &str) -> String {
    format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

async fn guarded(pairs: &[(&str, &str)]) -> Running {
    let running = start().await;
    running.server.publish_security(Security { users: users(pairs), ..Security::default() });
    running
}

#[tokio::test]
async fn only_the_right_password_gets_in_and_health_needs_none() {
    let running = guarded(&[("alice", "wonder"), ("bob", "")]).await;
    assert!(running.server.asks_for_passwords());

    for path in ["/health"] {
        assert_eq!(get(&running, path).await.status, 200, "{path}");
        assert_eq!(ask(running.address, "GET", path, &basic("alice", "no")).await.status, 200, "{path}");
    }
    let right =
        [basic("alice", "wonder"), basic("bob", ""), basic("alice", "wonder").replace("Basic", "bAsIc")];
    for header in right {
        for path in ["/metrics", "/", "/config"] {
            assert_eq!(ask(running.address, "GET", path, &header).await.status, 200, "{path} {header}");
        }
    }
    let wrong = [
        String::new(),
        basic("alice", "Wonder"),
        basic("alice", ""),
        basic("bob", "wonder"),
        basic("carol", "wonder"),
        basic("", ""),
        basic("alice", "wonder").replace("Basic ", "Bearer "),
        "authorization: Basic\r\n".to_owned(),
        "authorization: Basic !!!\r\n".to_owned(),
        format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode("alice")),
    ];
    for header in &wrong {
        for path in ["/metrics", "/", "/config", "/nowhere", "/health/", "//health"] {
            let refused = ask(running.address, "GET", path, header).await;
            assert_eq!(refused.status, 401, "{path} {header}");
            assert!(refused.header("www-authenticate").unwrap().starts_with("Basic realm="));
            assert_eq!(refused.header("x-error-of"), Some(path));
        }
    }
    let refused = ask(running.address, "POST", "/-/reload", "").await;
    assert_eq!(refused.status, 401);
    let refused = wrong.len() * 6 + 1;
    assert_eq!(running.count(ServerEvent::RequestRefused(RequestRefusal::Password)), refused);
}

#[tokio::test]
async fn a_password_that_is_changed_is_forgotten() {
    let running = guarded(&[("alice", "old")]).await;
    assert_eq!(ask(running.address, "GET", "/", &basic("alice", "old")).await.status, 200);
    running.server.publish_security(Security { users: users(&[("alice", "new")]), ..Security::default() });
    assert_eq!(ask(running.address, "GET", "/", &basic("alice", "old")).await.status, 401);
    assert_eq!(ask(running.address, "GET", "/", &basic("alice", "new")).await.status, 200);
    running.server.publish_security(Security::default());
    assert!(!running.server.asks_for_passwords());
    assert_eq!(get(&running, "/").await.status, 200);
}

#[test]
fn a_right_password_is_remembered_and_no_other() {
    let users = users(&[("alice", "wonder"), ("bob", "wonder")]);
    let right = credentials("alice", "wonder");
    assert!(!users.recalls(&right));
    assert!(users.verify(&right));
    assert!(users.recalls(&right));
    for (name, password) in
        [("alice", "wonder2"), ("bob", "wonder"), ("alic", "e:wonder"), ("carol", "wonder")]
    {
        assert!(!users.recalls(&credentials(name, password)), "{name} {password}");
    }
    for (name, password) in [("alice", "wonde"), ("carol", "wonder")] {
        assert!(!users.verify(&credentials(name, password)));
        assert!(!users.recalls(&credentials(name, password)));
    }
    assert!(users.recalls(&right), "a wrong password does not push out the right one");
    let shown = format!("{users:?}");
    assert!(!shown.contains("alice") && !shown.contains("$2"), "{shown}");
}

/// By work, not by time: what a password costs is decided by the hash that it is compared with.
#[test]
fn an_unknown_name_is_compared_with_the_hash_of_a_known_one() {
    let users = users(&[("alice", "a"), ("bob", "b"), ("carol", "c")]);
    let mut chosen = std::collections::HashSet::new();
    for name in 0..200 {
        let name = format!("stranger{name}");
        let dummy = users.dummy(name.as_bytes()).unwrap();
        assert!(std::ptr::eq(dummy, users.dummy(name.as_bytes()).unwrap()), "always the same");
        chosen.insert(std::ptr::from_ref(dummy));
    }
    assert_eq!(chosen.len(), 3, "each of them stands in for some");
    // A stranger is not let in by the password of the one that stands in.
    for password in ["a", "b", "c"] {
        assert!(!users.verify(&credentials("stranger", password)));
    }
}

#[test]
fn hashes_are_read() {
    let good = bcrypt::hash("x", COST).unwrap();
    for version in ["2a", "2b", "2y"] {
        let text = good.replacen("2b", version, 1);
        assert!(PasswordHash::parse(&text).unwrap().is_of(b"x"), "{text}");
    }
    for text in
        ["", "hunter2", "$2y$10$short", &good.replacen("2b", "2x", 1), &good[..59], &format!("{good}x")]
    {
        assert_eq!(PasswordHash::parse(text).unwrap_err(), HashFault::NoHash, "{text}");
    }
    for cost in [3, 17, 31, 99] {
        let text = good.replacen("$04$", &format!("${cost:02}$"), 1);
        assert_eq!(PasswordHash::parse(&text).unwrap_err(), HashFault::Cost(cost), "{text}");
    }
    // One made by another program, from the source of the exporter-toolkit.
    let foreign =
        PasswordHash::parse("$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi").unwrap();
    assert!(foreign.is_of(b"fakepassword") && !foreign.is_of(b"fakepasswor"));
}

#[tokio::test]
async fn one_password_is_checked_at_a_time_and_the_others_wait_for_a_while() {
    let password_queue = PasswordQueue::with_wait(SHORT);
    let first = password_queue.turn().await.unwrap();
    let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(password_queue.turn())).collect();
    for turn in &mut waiting {
        assert!(futures_util::FutureExt::now_or_never(turn.as_mut()).is_none());
    }
    assert!(password_queue.turn().await.is_none(), "too many wait");
    drop(first);
    let second = patiently(waiting.remove(0)).await;
    assert!(patiently(password_queue.turn()).await.is_none() && second.is_some(), "it took too long");
    drop((second, waiting));
    assert!(patiently(password_queue.turn()).await.is_some());
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_is_refused_and_costs_known_clients_nothing() {
    let running = guarded(&[("alice", "wonder")]).await;
    let known = basic("alice", "wonder");
    assert_eq!(ask(running.address, "GET", "/", &known).await.status, 200);
    let turn = running.server.password_queue.turn().await.unwrap();
    let address = running.address;
    let guess = || async move { ask(address, "GET", "/metrics", &basic("alice", "guess")).await };
    // One more than may wait; those that do wait for the turn that is held here.
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..=MAX_WAITING {
        guesses.spawn(guess());
    }
    let refused = patiently(guesses.join_next()).await.unwrap().unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(ask(running.address, "GET", "/metrics", &known).await.status, 200);
    drop(turn);
    while let Some(guess) = patiently(guesses.join_next()).await {
        let status = guess.unwrap().status;
        assert!(status == 401 || status == 503, "{status}");
    }
    assert!(running.count(ServerEvent::RequestRefused(RequestRefusal::Busy)) > 0);
}

#[tokio::test]
async fn the_rate_is_limited_but_not_for_health() {
    let running = start().await;
    let rate = Some(RateLimit::new(Duration::from_secs(3600), 2));
    running.server.publish_security(Security { rate, ..Security::default() });
    let mut all = Vec::new();
    for path in ["/", "/health", "/metrics", "/", "/api/v1/watches", "/health"] {
        all.push(get(&running, path).await.status);
    }
    assert_eq!(all, [200, 200, 200, 429, 429, 200]);
    running.server.publish_security(Security::default());
    assert_eq!(running.count(ServerEvent::RequestRefused(RequestRefusal::Rate)), 2);
}

/// What the routes may rely on: the mark is there after a right password, and only then.
#[tokio::test]
async fn a_checked_request_is_marked_and_its_password_is_taken_off() {
    use axum::body::Body;
    use tower::ServiceExt as _;
    let running = guarded(&[("alice", "wonder")]).await;
    let show = |request: Request| async move {
        let marked = request.extensions().get::<Authenticated>().is_some();
        let text = format!("{marked} {}", request.headers().contains_key(AUTHORIZATION));
        axum::response::IntoResponse::into_response(text)
    };
    let check_all = axum::middleware::from_fn_with_state(Arc::clone(&running.server), check);
    let router = axum::Router::new().fallback(show).layer(check_all);
    let said = async |path: &str, password: &str| {
        let header = basic("alice", password);
        let value = header.trim_end().split_once(": ").unwrap().1;
        let request = hyper::Request::get(path).header(AUTHORIZATION, value).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(said("/", "wonder").await, (200, "true false".to_owned()));
    assert_eq!(said("/health", "wonder").await, (200, "false true".to_owned()));
    assert_eq!(said("/", "guess").await.0, 401);
    running.server.publish_security(Security::default());
    assert_eq!(said("/", "wonder").await, (200, "false true".to_owned()));
}
