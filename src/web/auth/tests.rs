//! Passwords over real sockets: who gets in, what those are told who do not, and what it costs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::checks::{MAX_QUEUED, MAX_QUEUED_OF_PEER};
use super::*;
use crate::web::tests::{Running, ask, get, patiently, start};

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
    running.app.publish_security(Security { users: users(pairs), ..Security::default() });
    running
}

#[tokio::test]
async fn only_the_right_password_gets_in_and_health_needs_none() {
    let running = guarded(&[("alice", "wonder"), ("bob", "")]).await;
    assert!(running.app.asks_for_passwords());
    running.app.set_ready();
    for path in ["/-/healthy", "/-/ready"] {
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
        for path in ["/metrics", "/", "/config", "/nowhere", "/-/healthy/", "//-/healthy"] {
            let refused = ask(running.address, "GET", path, header).await;
            assert_eq!(refused.status, 401, "{path} {header}");
            assert!(refused.header("www-authenticate").unwrap().starts_with("Basic realm="));
            assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
        }
    }
    let refused = ask(running.address, "POST", "/-/reload", "").await;
    assert_eq!(refused.status, 401);
    let api = get(&running, "/api/v1/watches").await;
    assert_eq!((api.status, api.header("content-type")), (401, Some("application/json")));
    assert!(api.text().contains(r#""errorType":"unauthorized""#), "{}", api.text());
    let scrape = ask(running.address, "GET", "/metrics", &basic("alice", "wonder")).await;
    let refused = wrong.len() * 6 + 2;
    let line = format!("timpush_web_requests_refused_total{{reason=\"password\"}} {refused}\n");
    assert!(scrape.text().contains(&line), "{}", scrape.text());
}

#[tokio::test]
async fn user_ids_are_shown_to_who_gave_a_password() {
    let running = guarded(&[("alice", "wonder")]).await;
    // From this machine, but through a proxy: nobody who is trusted for where it is.
    let far = "x-forwarded-for: 192.0.2.1\r\n";
    let header = format!("{far}{}", basic("alice", "wonder"));
    let seen = ask(running.address, "GET", "/api/v1/watches", &header).await;
    assert!(seen.status == 200 && seen.text().contains("\"users_hidden\":false"), "{}", seen.text());
    running.app.publish_security(Security::default());
    // A password that nobody checked is worth nothing.
    let hidden = ask(running.address, "GET", "/api/v1/watches", &header).await;
    assert!(hidden.status == 200 && hidden.text().contains("\"users_hidden\":true"), "{}", hidden.text());
}

#[tokio::test]
async fn a_password_that_is_changed_is_forgotten() {
    let running = guarded(&[("alice", "old")]).await;
    assert_eq!(ask(running.address, "GET", "/", &basic("alice", "old")).await.status, 200);
    running.app.publish_security(Security { users: users(&[("alice", "new")]), ..Security::default() });
    assert_eq!(ask(running.address, "GET", "/", &basic("alice", "old")).await.status, 401);
    assert_eq!(ask(running.address, "GET", "/", &basic("alice", "new")).await.status, 200);
    running.app.publish_security(Security::default());
    assert!(!running.app.asks_for_passwords());
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
        let decoy = users.decoy(name.as_bytes()).unwrap();
        assert!(std::ptr::eq(decoy, users.decoy(name.as_bytes()).unwrap()), "always the same");
        chosen.insert(std::ptr::from_ref(decoy));
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

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[tokio::test]
async fn the_queue_of_passwords_has_a_cap_for_each_client_and_for_all() {
    let checks = Checks::new();
    let one = |last: usize| address(&format!("10.0.0.{last}"));
    let own: Vec<_> = (0..MAX_QUEUED_OF_PEER).map(|_| checks.queue(one(1)).unwrap()).collect();
    assert!(checks.queue(one(1)).is_none());
    assert!(checks.queue(address("::ffff:10.0.0.1")).is_none(), "the same address in other words");
    let others: Vec<_> = (2..).map_while(|last| checks.queue(one(last))).collect();
    assert_eq!(own.len() + others.len(), MAX_QUEUED);
    drop(own);
    let six: Vec<_> = (0..MAX_QUEUED_OF_PEER)
        .map_while(|host| checks.queue(address(&format!("2001:db8::{host:x}"))))
        .collect();
    assert_eq!(six.len(), MAX_QUEUED_OF_PEER);
    drop((six, others));
    let six: Vec<_> =
        (0..20).map_while(|host| checks.queue(address(&format!("2001:db8::{host:x}")))).collect();
    assert_eq!(six.len(), MAX_QUEUED_OF_PEER, "one network is one client");

    // One at a time.
    let mut turns = six.into_iter().map(|place| Box::pin(place.turn()));
    let first = patiently(turns.next().unwrap()).await;
    let mut second = turns.next().unwrap();
    assert!(futures_util::FutureExt::now_or_never(&mut second).is_none());
    drop(first);
    patiently(second).await;
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_is_refused_and_costs_known_clients_nothing() {
    let running = guarded(&[("alice", "wonder")]).await;
    let known = basic("alice", "wonder");
    assert_eq!(ask(running.address, "GET", "/", &known).await.status, 200);
    // All the places of this client are taken, and the thread.
    let peer = Some(running.address.ip());
    let mut places: Vec<_> =
        (0..MAX_QUEUED_OF_PEER).map(|_| running.app.checks.queue(peer).unwrap()).collect();
    let turn = patiently(places.pop().unwrap().turn()).await;
    let refused = ask(running.address, "GET", "/", &basic("alice", "guess")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(ask(running.address, "GET", "/metrics", &known).await.status, 200);
    drop((places, turn));
    assert_eq!(ask(running.address, "GET", "/", &basic("alice", "guess")).await.status, 401);
    let scrape = ask(running.address, "GET", "/metrics", &known).await;
    assert!(scrape.text().contains("timpush_web_requests_refused_total{reason=\"busy\"} 1\n"));
}

#[tokio::test]
async fn the_rate_is_limited_but_not_for_health() {
    let running = start().await;
    let rate = Some(RateLimit::new(Duration::from_secs(3600), 2));
    running.app.publish_security(Security { rate, ..Security::default() });
    let mut all = Vec::new();
    for path in ["/", "/-/healthy", "/metrics", "/", "/api/v1/watches", "/-/healthy"] {
        all.push(get(&running, path).await.status);
    }
    assert_eq!(all, [200, 200, 200, 429, 429, 200]);
    running.app.publish_security(Security::default());
    let scrape = get(&running, "/metrics").await;
    assert!(scrape.text().contains("timpush_web_requests_refused_total{reason=\"rate\"} 2\n"));
}

#[tokio::test]
async fn headers_of_the_web_configuration_replace_our_own() {
    let running = start().await;
    let headers = vec![
        (hyper::header::X_FRAME_OPTIONS, HeaderValue::from_static("deny")),
        (hyper::header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'")),
    ];
    running.app.publish_security(Security { headers, ..Security::default() });
    for path in ["/", "/nowhere"] {
        let answer = get(&running, path).await;
        assert_eq!(answer.header("x-frame-options"), Some("deny"));
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'self'"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
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
    let check_all = axum::middleware::from_fn_with_state(Arc::clone(&running.app), check);
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
    assert_eq!(said("/-/healthy", "wonder").await, (200, "false true".to_owned()));
    assert_eq!(said("/", "guess").await.0, 401);
    running.app.publish_security(Security::default());
    assert_eq!(said("/", "wonder").await, (200, "false true".to_owned()));
}
