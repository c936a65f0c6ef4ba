//! What the program says to the upstream, word by word, and when it stops talking about a pair.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

use crate::support::answers::{SAMPLE, SUCCESS, nobody, now, offline};
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::noise::{Breach, fairly};
use crate::support::{AppText, FIRST_APP, KEY, Place, Scrape, Turn, config, eventually, until};

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
    let _turn = Turn::alone();
    fairly(connections_are_kept_between_questions);
}

fn connections_are_kept_between_questions() -> Result<(), Breach> {
    const QUESTIONS: usize = 30;
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let place = Place::new(&shop(&upstream).rate(10.0).users("t", 50).config());
    let _daemon = place.serve(&[]);
    let seen = upstream.await_seen(QUESTIONS);
    let connections: BTreeSet<usize> = seen.iter().map(|request| request.connection).collect();
    let words = format!("{connections:?} for {} requests", seen.len());
    assert!(
        connections.len() <= QUESTIONS / 3,
        "not even a machine that stalls all the time explains {words}"
    );
    // A second one may be opened where an answer and the next question cross; more only where the machine stalls.
    if connections.len() <= 2 { Ok(()) } else { breach(words) }
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
    daemon.scrape_until("each was refused", |s| STATUSES.iter().all(|status| failures(s, *status) > 0.0));
    let scrape = daemon.scrape();
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
    let (is_over, told_all) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (over, all) = (is_over.clone(), told_all.clone());
    let upstream = Listener::start(move |_| {
        let stages = if over.load(Ordering::SeqCst) { 5 } else { 3 };
        all.fetch_add(stages / 5, Ordering::SeqCst);
        Reply::ok(&offline(&[SUCCESS; 5][..stages]).to_string())
    });
    upstream.hold(true);
    let place = Place::new(&shop(&upstream).entry("{task: t, users: [alice]}").config());
    let daemon = place.serve(&[]);
    upstream.await_seen(1);
    assert_eq!(states(&daemon.scrape()), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(daemon.scrape().value("timpush_up", &[]), None, "nothing was answered yet");
    upstream.hold(false);
    daemon.scrape_until("it is active", |s| states(s) == [0.0, 1.0, 0.0, 0.0]);
    // One scrape may hold states that are younger than its counters; the next one cannot.
    let scrape = daemon.scrape();
    assert_eq!(scrape.sum(RESULTS, &[("outcome", "success")]), 3.0);
    assert_eq!(scrape.sum(ENDED, &[]), 0.0);
    upstream.await_seen(2);
    is_over.store(true, Ordering::SeqCst);
    daemon.scrape_until("it is settled", |s| states(s) == [0.0, 0.0, 1.0, 0.0]);
    let scrape = daemon.scrape();
    assert_eq!(scrape.sum(RESULTS, &[("outcome", "success")]), 5.0);
    assert_eq!(scrape.sum(ENDED, &[("reason", "settled")]), 1.0);
    assert_eq!(scrape.sum(ENDED, &[]), 1.0);
    assert_eq!(
        told_all.load(Ordering::SeqCst),
        2,
        "one poll confirms it, and a settled pair is polled no more"
    );
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
    daemon.scrape_until("one is settled", |s| states(s) == [0.0, 1.0, 1.0, 0.0]);
    let scrape = daemon.scrape();
    let failure = [("stage", "channel"), ("platform", "apns"), ("code", "410"), ("reason", "invalid_token")];
    assert_eq!(scrape.value("timpush_stage_failures_total", &failure), Some(1.0));
    let (waiting, broken) = (pairs_of(&upstream.seen(), "waiting"), pairs_of(&upstream.seen(), "broken"));
    until("the other is asked for twice more", || pairs_of(&upstream.seen(), "waiting") >= waiting + 2);
    assert_eq!(pairs_of(&upstream.seen(), "broken"), broken);
}

#[test]
fn a_pair_expires_once() {
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    // Long enough that a slow machine has shown the pairs and asked for both before they expire.
    let app = shop(&upstream).key("watch_for: 8s").entry("{task: t, users: [alice, bob]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&["--web.enable-lifecycle"]);
    let expired = |scrape: &Scrape| scrape.sum(ENDED, &[("reason", "expired")]);
    daemon.scrape_until("both expired", |s| expired(s) == 2.0 && s.sum(PAIRS, &[]) == 0.0);
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
    let _turn = Turn::alone();
    fairly(a_push_that_lies_ahead);
}

fn a_push_that_lies_ahead() -> Result<(), Breach> {
    /// Long enough for a reload and a look at what it brought.
    const AHEAD_SECONDS: i64 = 6;
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let app = shop(&upstream).entry("{task: t, users: [now]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&["--web.enable-lifecycle"]);
    daemon.scrape_until("the other pair is active", |s| states(s) == [0.0, 1.0, 0.0, 0.0]);
    let pushed_at = now() + AHEAD_SECONDS;
    let time = jiff::Timestamp::from_second(pushed_at).unwrap();
    place.configure(&app.entry(&format!("{{task: t, users: [later], pushed_at: {time}}}")).config());
    assert_eq!(daemon.reload().status, 200);
    let asked_before = pairs_of(&upstream.seen(), "now");
    let listed = eventually("the pair is listed", || {
        let scrape = daemon.scrape();
        if scrape.sum(PAIRS, &[]) == 2.0 { Ok(states(&scrape)) } else { Err("one is missing") }
    });
    if now() < pushed_at {
        assert_eq!(listed, [1.0, 1.0, 0.0, 0.0], "it is new until it is asked for");
    } else {
        return breach(format!("a reload took longer than {AHEAD_SECONDS} s"));
    }
    daemon.scrape_until("the push is asked for", |s| states(s) == [0.0, 2.0, 0.0, 0.0]);
    let seen = upstream.seen();
    let first = seen.iter().find(|request| request.body.contains("later")).unwrap();
    let [earliest, latest] = in_unix_millis(first.at);
    // The two sides round the time to milliseconds.
    assert!(latest >= pushed_at * 1000 - 1, "asked {} ms early", pushed_at * 1000 - latest);
    assert!(pairs_of(&seen, "now") >= asked_before + 2, "the other pair was asked for meanwhile");
    let late = earliest - pushed_at * 1000;
    assert!(late < 15_000, "asked {late} ms late");
    if late < 1500 { Ok(()) } else { breach(format!("asked {late} ms late")) }
}

fn breach(words: String) -> Result<(), Breach> {
    Err(Breach { early: 0, words })
}

/// Between which two milliseconds of Unix time that was: the machine may stall between the readings of two clocks.
fn in_unix_millis(at: Instant) -> [i64; 2] {
    let millis = |ago: Duration| i64::try_from(ago.as_millis()).unwrap();
    let least = millis(at.elapsed());
    let wall = jiff::Timestamp::now().as_millisecond();
    [wall - millis(at.elapsed()), wall - least]
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
    let scrape = daemon.scrape_until("four are active", |s| states(s) == [0.0, 4.0, 0.0, 0.0]);
    assert_eq!(scrape.value(REFUSED, &[("reason", "too_old")]), Some(1.0));
    assert_eq!(scrape.value(REFUSED, &[("reason", "over_limit")]), Some(2.0));
    assert_eq!(scrape.value("timpush_pairs_over_limit", &[]), Some(2.0));
    assert_eq!(scrape.value(REFUSED, &[("reason", "invalid")]), Some(0.0));
    assert_eq!(scrape.sum(ENDED, &[]), 0.0);
    let seen = upstream.seen();
    assert!(seen.iter().all(|request| request.body.contains("\"new\"")), "{seen:?}");
    for user in ["u4", "u5"] {
        assert_eq!(pairs_of(&seen, user), 0);
    }
}

#[test]
fn pairs_that_were_left_out_get_in_as_others_end() {
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let app = shop(&upstream).key("max_pairs: 2").key("watch_for: 3s").users("new", 3);
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    let scrape = daemon
        .scrape_until("the last pair was watched", |s| s.value(ENDED, &[("reason", "expired")]) >= Some(3.0));
    assert!(pairs_of(&upstream.seen(), "u2") > 0);
    assert_eq!(scrape.value(REFUSED, &[("reason", "over_limit")]), Some(1.0), "it is counted once");
}

/// A list that only grows names many pushes whose time is over.
#[test]
fn pairs_that_are_over_leave_their_places_to_others() {
    let upstream = Listener::start(|_| Reply::ok(&nobody().to_string()));
    let old = jiff::Timestamp::from_second(now() - 8 * 86_400).unwrap();
    let app = shop(&upstream)
        .key("max_pairs: 2")
        .entry(&format!("{{task: old, users: [a, b, c], pushed_at: {old}}}"))
        .users("new", 2);
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    let scrape = daemon.scrape_until("both are active", |s| states(s) == [0.0, 2.0, 0.0, 0.0]);
    assert_eq!(scrape.value(REFUSED, &[("reason", "too_old")]), Some(3.0));
    assert_eq!(scrape.value(REFUSED, &[("reason", "over_limit")]), Some(0.0));
}
