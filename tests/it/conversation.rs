//! What the program says to the upstream, word by word, and when it stops talking about a pair.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

use crate::support::answers::{SAMPLE, SUCCESS, nobody, now, offline};
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::{AppText, FIRST_APP, KEY, Place, Scrape, config, until};

const PAIRS: &str = "timpush_watched_pairs";
const ENDED: &str = "timpush_pairs_ended_total";
const REFUSED: &str = "timpush_pairs_refused_total";
const FAILURES: &str = "timpush_api_failures_total";
const RESULTS: &str = "timpush_stage_results_total";

/// An app named shop that asks `upstream` twenty times a second.
fn shop(upstream: &Listener) -> AppText {
    AppText::new("shop", FIRST_APP, &upstream.url(), 20.0)
}

fn pairs_of(seen: &[Seen], user: &str) -> usize {
    let about = |seen: &&Seen| seen.body.contains(&format!("\"UserID\":\"{user}\""));
    seen.iter().filter(about).count()
}

/// The pairs that are listed, by state.
fn states(scrape: &Scrape) -> [f64; 4] {
    ["new", "active", "settled", "failing"].map(|state| scrape.sum(PAIRS, &[("state", state)]))
}

#[test]
fn the_request_is_that_of_the_manual() {
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let app = shop(&upstream)
        .key("admin: \"ops & co\"")
        .entry("{task: 660cc447_537ed82a, users: [\"zo\\u00eb \\\"q\\\"\"]}");
    let place = Place::new(&app.config());
    let _daemon = place.serve(&[]);
    let seen = upstream.await_seen(3);
    let mut randoms = BTreeSet::new();
    for request in &seen[..3] {
        let (method, target) = request.line.split_once(' ').unwrap();
        assert_eq!(method, "POST");
        assert!(
            target.starts_with("/v4/timpush/all_member_push_trace?") && target.ends_with(" HTTP/1.1"),
            "{target}"
        );
        let query = request.query();
        let keys: Vec<&str> = query.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["sdkappid", "identifier", "usersig", "random", "contenttype"]);
        assert_eq!(query[0].1, FIRST_APP.to_string());
        assert_eq!(query[1].1, "ops%20%26%20co");
        verify(&query[2].1, "ops & co");
        let random: u32 = query[3].1.parse().expect("random is a number of 32 bits");
        assert!(randoms.insert(random), "{random} is there twice");
        assert_eq!(query[4].1, "json");
        assert_eq!(request.body, "{\"TaskID\":\"660cc447_537ed82a\",\"UserID\":\"zo\u{eb} \\\"q\\\"\"}");
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("content-length"), Some(&*request.body.len().to_string()));
        for foreign in ["referer", "cookie", "authorization", "transfer-encoding"] {
            assert_eq!(request.header(foreign), None, "{foreign}");
        }
    }
}

/// Checks a signature as the official verifier does, in our own words.
fn verify(usersig: &str, admin: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "*-_".contains(c);
    assert!(usersig.chars().all(plain), "must be escaped: {usersig}");
    let folded = usersig.replace('*', "+").replace('-', "/").replace('_', "=");
    let mut json = String::new();
    let folded = STANDARD.decode(folded).unwrap();
    flate2::read::ZlibDecoder::new(&*folded).read_to_string(&mut json).unwrap();
    let claims: Value = serde_json::from_str(&json).unwrap();
    let (time, expire) = (claims["TLS.time"].as_i64().unwrap(), claims["TLS.expire"].as_i64().unwrap());
    assert_eq!(claims["TLS.ver"], "2.0");
    assert_eq!(claims["TLS.identifier"], admin);
    assert_eq!(claims["TLS.sdkappid"], FIRST_APP);
    assert!(time <= now() && now() < time + expire, "{time} {expire}");
    let content =
        format!("TLS.identifier:{admin}\nTLS.sdkappid:{FIRST_APP}\nTLS.time:{time}\nTLS.expire:{expire}\n");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(content.as_bytes());
    let signature = STANDARD.decode(claims["TLS.sig"].as_str().unwrap()).unwrap();
    mac.verify_slice(&signature).expect("the signature is that of the key");
}

#[test]
fn connections_are_kept() {
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let place = Place::new(&shop(&upstream).users("t", 50).config());
    let _daemon = place.serve(&[]);
    let seen = upstream.await_seen(30);
    let connections: BTreeSet<usize> = seen.iter().map(|request| request.connection).collect();
    // A second one may be opened where an answer and the next question cross.
    assert!(connections.len() <= 2, "{connections:?} for {} requests", seen.len());
}

#[test]
fn no_redirect_is_followed() {
    const STATUSES: [u64; 5] = [301, 302, 303, 307, 308];
    let elsewhere = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let location = elsewhere.url();
    let upstream = Listener::start(move |seen| {
        // The endpoint's own path comes first: /302/v4/...
        let status = seen.line.split('/').nth(1).unwrap();
        let head =
            format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}/\r\ncontent-length: 0\r\n\r\n");
        Reply::raw(&head)
    });
    let app = |status: u64| {
        let endpoint = format!("{}/{status}", upstream.url());
        AppText::new(&format!("app{status}"), status, &endpoint, 20.0).users("t", 3)
    };
    let place = Place::new(&config(&STATUSES.map(app)));
    let daemon = place.serve(&[]);
    let failures = |scrape: &Scrape, status: u64| {
        let (app, code) = (format!("app{status}"), status.to_string());
        scrape.sum(FAILURES, &[("app", &app), ("kind", "http"), ("code", &code)])
    };
    let scrape =
        daemon.scrape_until("each was refused", |s| STATUSES.iter().all(|status| failures(s, *status) > 0.0));
    assert_eq!(scrape.samples("timpush_up", &[]).count(), STATUSES.len());
    assert_eq!(scrape.sum("timpush_up", &[]), 0.0);
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[test]
fn an_answer_is_read_up_to_a_cap_and_the_next_question_goes_on() {
    let upstream = Listener::start(|seen| {
        if seen.body.contains("greedy") {
            let mut reply = Reply::ok(&format!("{{\"pad\":\"{}\"}}", "x".repeat(8 << 20)));
            reply.keep = false;
            return reply;
        }
        Reply::ok(SAMPLE)
    });
    let app = shop(&upstream).entry("{task: t, users: [greedy, alice]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    let scrape = daemon.scrape_until("one failed and one was counted", |scrape| {
        scrape.sum(FAILURES, &[]) > 0.0 && scrape.sum(RESULTS, &[]) > 0.0
    });
    assert_eq!(scrape.sum(FAILURES, &[("kind", "malformed")]), scrape.sum(FAILURES, &[]));
    // Of the sample: five stages offline, two online, one success each.
    assert_eq!(scrape.sum(RESULTS, &[]), 7.0);
    assert_eq!(scrape.sum(RESULTS, &[("route", "offline"), ("outcome", "success")]), 5.0);
    assert_eq!(scrape.sum(RESULTS, &[("route", "online"), ("outcome", "success")]), 2.0);
}

#[test]
fn an_answer_may_come_in_pieces() {
    let upstream = Listener::start(|seen| {
        let pause = Duration::from_millis(2);
        if seen.body.contains("chunked") {
            let mut text =
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                    .to_owned();
            for piece in SAMPLE.as_bytes().chunks(100) {
                let piece = std::str::from_utf8(piece).unwrap();
                text.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
            }
            return Reply::raw(&(text + "0\r\n\r\n")).in_pieces(37, pause);
        }
        Reply::ok(SAMPLE).in_pieces(41, pause)
    });
    let app = shop(&upstream).entry("{task: t, users: [chunked, whole]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    let scrape = daemon.scrape_until("both answers are counted", |s| s.sum(RESULTS, &[]) == 14.0);
    assert_eq!(scrape.sum(FAILURES, &[]), 0.0);
}

#[test]
fn a_pair_is_new_then_active_then_settled() {
    let upstream = Listener::start(|seen| {
        let stages = if seen.number < 2 { 3 } else { 5 };
        Reply::ok(&offline(&[SUCCESS; 5][..stages]).to_string())
    });
    upstream.hold(true);
    let place = Place::new(&shop(&upstream).entry("{task: t, users: [alice]}").config());
    let daemon = place.serve(&[]);
    upstream.await_seen(1);
    assert_eq!(states(&daemon.scrape()), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(daemon.scrape().value("timpush_up", &[]), None, "nothing was answered yet");
    upstream.hold(false);
    let scrape = daemon.scrape_until("it is active", |s| states(s) == [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(scrape.sum(RESULTS, &[("outcome", "success")]), 3.0);
    assert_eq!(scrape.sum(ENDED, &[]), 0.0);
    let scrape = daemon.scrape_until("it is settled", |s| states(s) == [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(scrape.sum(RESULTS, &[("outcome", "success")]), 5.0);
    assert_eq!(scrape.sum(ENDED, &[("reason", "settled")]), 1.0);
    assert_eq!(scrape.sum(ENDED, &[]), 1.0);
    assert_eq!(upstream.seen().len(), 3, "a settled pair is not asked for");
}

#[test]
fn a_pair_whose_chain_broke_is_settled_and_asked_no_more() {
    let upstream = Listener::start(|seen| {
        let broken = offline(&[SUCCESS, SUCCESS, 2]);
        Reply::ok(&if seen.body.contains("broken") { broken } else { nobody() }.to_string())
    });
    let app = shop(&upstream).entry("{task: t, users: [broken, waiting]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    let scrape = daemon.scrape_until("one is settled", |s| states(s) == [0.0, 1.0, 1.0, 0.0]);
    let failure = [("stage", "channel"), ("platform", "apns"), ("code", "410"), ("reason", "invalid_token")];
    assert_eq!(scrape.value("timpush_stage_failures_total", &failure), Some(1.0));
    let (waiting, broken) = (pairs_of(&upstream.seen(), "waiting"), pairs_of(&upstream.seen(), "broken"));
    until("the other is asked for twice more", || pairs_of(&upstream.seen(), "waiting") >= waiting + 2);
    assert_eq!(pairs_of(&upstream.seen(), "broken"), broken);
}

#[test]
fn a_pair_expires_once() {
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let app = shop(&upstream).key("watch_for: 3s").entry("{task: t, users: [alice, bob]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&["--web.enable-lifecycle"]);
    assert_eq!(daemon.scrape().sum(PAIRS, &[]), 2.0);
    let expired = |scrape: &Scrape| scrape.sum(ENDED, &[("reason", "expired")]);
    let scrape = daemon.scrape_until("both expired", |s| s.sum(PAIRS, &[]) == 0.0);
    assert_eq!(expired(&scrape), 2.0);
    let asked = upstream.seen().len();
    assert!(asked >= 2, "they were asked for while they lived");
    // Neither a list that still names them nor a restart begins anew.
    place.configure(&app.clone().users("later", 1).config());
    assert_eq!(daemon.reload().status, 200);
    daemon.scrape_until("the third expired", |s| expired(s) == 3.0);
    assert_eq!(pairs_of(&upstream.seen()[asked..], "alice"), 0);
    daemon.stop();
    let daemon = place.serve(&[]);
    let scrape = daemon.scrape();
    assert_eq!((expired(&scrape), scrape.sum(ENDED, &[])), (3.0, 3.0));
    assert_eq!(scrape.sum(PAIRS, &[]), 0.0);
}

#[test]
fn a_push_that_lies_ahead_is_not_asked_for_before() {
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let pushed_at = now() + 4;
    let time = jiff::Timestamp::from_second(pushed_at).unwrap();
    let app = shop(&upstream)
        .entry(&format!("{{task: t, users: [later], pushed_at: {time}}}"))
        .entry("{task: t, users: [now]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    daemon.scrape_until("the other pair is active", |s| states(s) == [1.0, 1.0, 0.0, 0.0]);
    daemon.scrape_until("the push is asked for", |s| states(s) == [0.0, 2.0, 0.0, 0.0]);
    let seen = upstream.seen();
    let first = seen.iter().find(|request| request.body.contains("later")).unwrap();
    let at = jiff::Timestamp::now().as_millisecond() - i64::try_from(first.at.elapsed().as_millis()).unwrap();
    // The clocks are read one after the other: a millisecond is theirs.
    assert!(at >= pushed_at * 1000 - 1, "asked {} ms early", pushed_at * 1000 - at);
    assert!(at < pushed_at * 1000 + 1500, "asked {} ms late", at - pushed_at * 1000);
    assert!(pairs_of(&seen, "now") >= 3, "the other pair was asked for meanwhile");
}

#[test]
fn pairs_that_are_too_old_or_too_many_are_refused() {
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let old = jiff::Timestamp::from_second(now() - 8 * 86_400).unwrap();
    let app = shop(&upstream)
        .key("max_pairs: 4")
        .entry(&format!("{{task: old, users: [alice], pushed_at: {old}}}"))
        .users("new", 6);
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    let scrape = daemon.scrape_until("three are active", |s| states(s) == [0.0, 3.0, 0.0, 0.0]);
    assert_eq!(scrape.value(REFUSED, &[("reason", "too_old")]), Some(1.0));
    assert_eq!(scrape.value(REFUSED, &[("reason", "over_limit")]), Some(3.0));
    assert_eq!(scrape.value(REFUSED, &[("reason", "invalid")]), Some(0.0));
    assert_eq!(scrape.sum(ENDED, &[]), 0.0);
    let seen = upstream.seen();
    assert!(seen.iter().all(|request| request.body.contains("\"new\"")), "{seen:?}");
    for user in ["u3", "u4", "u5"] {
        assert_eq!(pairs_of(&seen, user), 0);
    }
}
