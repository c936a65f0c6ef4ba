//! Tests of addresses: what is asked, what is taken, and what is kept.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::{Authorization, BasicAuth, ClientTls, HttpSource, Sources};
use super::peer::{Peer, answer, ok};
use super::{Feed, FeedError, Figures, Report};

/// A list with one pair.
pub(super) const ONE: &str = r#"[{"task":"t","users":["a"]}]"#;
const TWO: &str = r#"[{"task":"t","users":["a","b"]}]"#;
const MINUTE: i64 = 60_000;

pub(super) fn source(peer: &Peer) -> HttpSource {
    HttpSource {
        url: peer.url(),
        refresh: Duration::from_secs(60),
        basic_auth: None,
        authorization: None,
        tls: ClientTls::default(),
    }
}

pub(super) fn try_feed(source: HttpSource) -> Result<Feed, FeedError> {
    let sources = Sources { http: vec![source], ..Sources::default() };
    Feed::new(&sources, &Arc::from([]))
}

pub(super) fn feed(source: HttpSource) -> Feed {
    try_feed(source).unwrap()
}

/// Looks, and expects to be told of the one source there is.
async fn look(feed: &mut Feed, now: i64) -> Report {
    let mut reports = feed.look(now).await.reports;
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports.remove(0)
}

fn users(feed: &Feed) -> Vec<String> {
    let lists = feed.lists();
    let entries = lists.iter().flat_map(|list| list.iter());
    entries.flat_map(|entry| entry.users.clone()).collect()
}

#[tokio::test]
async fn an_address_is_asked_when_it_is_due() {
    let peer = Peer::start(None);
    peer.answer(&ok(ONE));
    let mut feed = feed(source(&peer));
    assert!(feed.next_at().unwrap() < 0);
    let refreshed = feed.look(1_000).await;
    assert!(refreshed.changed);
    let expected = Report {
        source: "http[0]".to_owned(),
        figures: Figures { entries: 1, lists: 1, ..Figures::default() },
        last_success_at: Some(1),
        newly_refused: 0,
        messages: Vec::new(),
        error: None,
    };
    assert_eq!(refreshed.reports, [expected]);
    assert_eq!(feed.next_at(), Some(61_000));
    let head = &peer.heads()[0];
    assert!(head.starts_with("GET /watch HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("accept: application/json\r\n") && !head.contains("authorization"), "{head}");

    peer.answer(&ok(TWO));
    assert!(feed.look(60_999).await.reports.is_empty());
    assert_eq!((peer.heads().len(), users(&feed).len()), (1, 1));
    assert!(feed.look(61_000).await.changed);
    assert_eq!(users(&feed), ["a", "b"]);

    let same = feed.look(121_000).await;
    assert_eq!((same.changed, same.reports[0].last_success_at), (false, Some(121)));
}

#[tokio::test]
async fn an_answer_of_304_is_a_success_that_keeps_the_list() {
    let peer = Peer::start(None);
    peer.answer(&answer("304 Not Modified", "", ""));
    let mut feed = feed(source(&peer));
    let report = look(&mut feed, 0).await;
    assert!(report.error.unwrap().contains("answered 304 Not Modified"));
    assert_eq!(report.last_success_at, None);

    peer.answer(&answer("200 OK", "etag: \"v1\"\r\n", ONE));
    assert_eq!(look(&mut feed, MINUTE).await.error, None);
    peer.answer(&answer("304 Not Modified", "", ""));
    let refreshed = feed.look(2 * MINUTE).await;
    assert!(!refreshed.changed);
    assert_eq!(refreshed.reports[0].last_success_at, Some(120));
    assert_eq!(users(&feed), ["a"]);
    let asked: Vec<bool> =
        peer.heads().iter().map(|head| head.contains("if-none-match: \"v1\"\r\n")).collect();
    assert_eq!(asked, [false, false, true]);

    // Whoever answers with something else has forgotten what that tag was of.
    peer.answer(&answer("200 OK", "etag: \"v2\"\r\n", "{}"));
    assert!(look(&mut feed, 3 * MINUTE).await.error.is_some());
    feed.look(4 * MINUTE).await;
    assert!(!peer.heads()[4].contains("if-none-match"));
    assert_eq!(users(&feed), ["a"]);
}

#[tokio::test]
async fn whatever_fails_keeps_the_last_good_list_and_is_logged_once() {
    let peer = Peer::start(None);
    peer.answer(&ok(ONE));
    let mut source = source(&peer);
    source.url.push_str("?token=hidden");
    let shown = source.shown_url();
    let mut feed = feed(source);
    look(&mut feed, 0).await;
    let list = "is a mapping; expected a list of entries ([] for none)";
    let cases = [
        (
            answer("500 Internal Server Error", "", ONE),
            "answered 500 Internal Server Error; expected 200 OK with a list as JSON",
        ),
        (
            answer("302 Found", "location: http://127.0.0.1:1/?token=hidden\r\n", ""),
            "answered 302 Found; redirects are not followed, the URL itself would have to be the right one",
        ),
        (answer("204 No Content", "", ""), "answered 204 No Content; expected 200 OK with a list as JSON"),
        (ok("{}"), list),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[".to_owned(), "error decoding response body"),
        ("rubbish\r\n\r\n".to_owned(), "error sending request"),
    ];
    for (number, (answer, text)) in (1..).zip(cases) {
        peer.answer(&answer);
        let refreshed = feed.look(2 * number * MINUTE).await;
        let report = &refreshed.reports[0];
        let error = report.error.as_ref().unwrap();
        assert!(error.starts_with(&format!("{shown}: {text}")), "{error}");
        assert_eq!(report.messages, [format!("{error}; the 1 pairs known before stay")]);
        assert_eq!((refreshed.changed, report.figures.entries, report.last_success_at), (false, 1, Some(0)));
        assert!(!format!("{report:?}").contains("hidden"));
        assert_eq!(users(&feed), ["a"]);
        let again = feed.look((2 * number + 1) * MINUTE).await;
        assert!(again.reports.is_empty(), "{again:?}");
    }
    peer.answer(&ok(ONE));
    let refreshed = feed.look(100 * MINUTE).await;
    assert!(!refreshed.changed);
    assert_eq!(refreshed.reports[0].messages, [format!("{shown}: can be read again")]);
    assert_eq!(refreshed.reports[0].last_success_at, Some(6_000));
}

#[tokio::test]
async fn an_address_without_a_listener_is_told_without_its_query() {
    let mut source = source(&Peer::start(None)); // Gone by the time it is asked.
    source.url.push_str("?token=hidden");
    let mut feed = feed(source);
    let report = look(&mut feed, 0).await;
    let text = format!("{report:?} {feed:?}");
    assert!(text.contains("watch?...") && text.contains("refused") && !text.contains("hidden"), "{text}");
    assert!(feed.lists().is_empty());
}

#[tokio::test]
async fn silence_ends_with_the_shorter_of_refresh_and_timeout() {
    let peer = Peer::start(None);
    let mut source = source(&peer);
    source.refresh = Duration::from_millis(50);
    let report = look(&mut feed(source), 0).await;
    assert!(report.error.unwrap().ends_with("gave no whole answer within 50 ms"));
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_not_taken() {
    let peer = Peer::start(None);
    let mut feed = feed(source(&peer));
    feed.http[0].feed.set_max_bytes(ONE.len());
    peer.answer(&ok(ONE));
    assert_eq!(look(&mut feed, 0).await.error, None);
    let text = format!("answered with more than {} bytes; expected at most that", ONE.len());
    let length_told = ok(TWO);
    let length_untold = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{TWO}");
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n14\r\n{ONE:.20}\r\n14\r\n{ONE:.20}\r\n"
    );
    for (number, answer) in (1..).zip([length_told, length_untold, chunked]) {
        peer.answer(&answer);
        // Trouble told already is not told again: a good answer between.
        let refreshed = feed.look(2 * number * MINUTE).await;
        assert!(refreshed.reports[0].error.as_ref().unwrap().ends_with(&text));
        peer.answer(&ok(ONE));
        assert_eq!(look(&mut feed, (2 * number + 1) * MINUTE).await.error, None);
    }
    assert_eq!(users(&feed), ["a"]);
}

#[tokio::test]
async fn secrets_are_read_for_every_request_and_never_shown() {
    let (peer, folder) = (Peer::start(None), tempfile::tempdir().unwrap());
    let secret = folder.path().join("secret");
    peer.answer(&ok(ONE));
    let mut bearer = source(&peer);
    bearer.authorization =
        Some(Authorization { scheme: "Token".to_owned(), credentials_file: secret.clone() });
    let mut feed_of_bearer = feed(bearer);
    for (number, token) in (0..).zip(["first-token", "second-token"]) {
        fs::write(&secret, format!(" {token}\n")).unwrap();
        look(&mut feed_of_bearer, number * MINUTE).await;
        let line = format!("\r\nauthorization: Token {token}\r\n");
        assert!(peer.heads().last().unwrap().contains(&line), "{:?}", peer.heads());
    }
    let asked = peer.heads().len();
    for (number, (content, text)) in (2..).zip([
        (&b"two\nlines"[..], "holds characters that no header can hold"),
        (b"\xffsecret", "is not UTF-8"),
        (b" \n", "is empty"),
    ]) {
        fs::write(&secret, content).unwrap();
        let report = look(&mut feed_of_bearer, number * MINUTE).await;
        let error = report.error.as_ref().unwrap();
        assert!(error.contains("authorization.credentials_file") && error.contains(text), "{error}");
        assert!(!error.contains("lines") && !error.contains("secret\"") && report.figures.entries == 1);
    }
    assert_eq!(peer.heads().len(), asked, "nothing is asked without its secret");

    let mut basic = source(&peer);
    basic.basic_auth = Some(BasicAuth { username: "scraper".to_owned(), password_file: secret.clone() });
    fs::write(&secret, "pass word\n").unwrap();
    let mut feed_of_basic = feed(basic);
    look(&mut feed_of_basic, 0).await;
    // printf 'scraper:pass word' | base64
    let line = "\r\nauthorization: Basic c2NyYXBlcjpwYXNzIHdvcmQ=\r\n";
    assert!(peer.heads().last().unwrap().contains(line), "{:?}", peer.heads().last());
    fs::remove_file(&secret).unwrap();
    let error = look(&mut feed_of_basic, MINUTE).await.error.unwrap();
    assert!(error.contains("basic_auth.password_file") && error.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn refused_entries_are_counted_once_for_each_body() {
    let peer = Peer::start(None);
    let bad = r#"[{"task":"t","users":["a"]},{"task":"","users":["b","c"]}]"#;
    peer.answer(&ok(bad));
    let mut feed = feed(source(&peer));
    let first = look(&mut feed, 0).await;
    assert_eq!((first.newly_refused, first.figures.entries, first.error), (2, 1, None));
    assert!(first.messages[0].contains("/watch: [1].task: is empty"), "{:?}", first.messages);
    let second = look(&mut feed, MINUTE).await;
    assert_eq!((second.newly_refused, second.messages.len()), (0, 0));
}

#[test]
fn other_schemes_are_refused() {
    let source = HttpSource {
        url: "ftp://h/w?token=hidden".to_owned(),
        refresh: Duration::from_secs(1),
        basic_auth: None,
        authorization: None,
        tls: ClientTls::default(),
    };
    let text = try_feed(source).unwrap_err().to_string();
    assert_eq!(text, "watch.http[0]: ftp://h/w?...: has the scheme ftp; expected http:// or https://");
}

/// An answer with a body in that encoding.
fn encoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_body_may_be_packed_with_gzip_and_is_capped_when_unpacked() {
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let peer = Peer::start(None);
    let mut feed = feed(source(&peer));
    feed.http[0].feed.set_max_bytes(1_000);
    let (mut now, mut asked) = (0, 0);
    for (encoding, body, wrong) in [
        ("gzip", gzip(ONE), None),
        ("X-GZip", gzip(TWO), None),
        ("identity", ONE.as_bytes().to_vec(), None),
        ("gzip, identity", gzip(TWO), None),
        (
            "gzip",
            gzip(&format!("{ONE}{}", " ".repeat(1_000))),
            Some("has more than 1000 bytes after unpacking"),
        ),
        ("gzip", gzip(ONE)[..20].to_vec(), Some("a body that is not gzip, or was cut short")),
        ("br", ONE.as_bytes().to_vec(), Some("Content-Encoding \"br\"; expected gzip or none")),
        ("gzip", ONE.as_bytes().to_vec(), Some("a body that is not gzip, or was cut short")),
        ("gzip, gzip", gzip(ONE), Some("Content-Encoding \"gzip, gzip\"; expected gzip or none")),
        ("identity", gzip(ONE), Some("is compressed with gzip; expected text in UTF-8")),
    ] {
        peer.answer_bytes(&encoded(encoding, &body));
        let report = look(&mut feed, now).await;
        match wrong {
            None => assert_eq!(report.error, None, "{encoding}"),
            Some(wrong) => assert!(report.error.as_ref().is_some_and(|e| e.contains(wrong)), "{report:?}"),
        }
        now += MINUTE;
        asked += 1;
        let users = users(&feed).len();
        assert_eq!(
            (users, peer.heads().len()),
            (if asked == 1 || asked == 3 { 1 } else { 2 }, asked),
            "{encoding}"
        );
    }
    assert!(peer.heads()[0].contains("accept-encoding: gzip\r\n"));
}
