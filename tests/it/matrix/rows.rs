//! The rows of the matrix: what an upstream may answer, and what must come of it.

use std::io::Write;
use std::time::Duration;

use crate::support::answers::{SUCCESS, offline};
use crate::support::listener::Reply;

/// Codes, kind and what comes of them, as the domain sheet has them.
const CODES: &str = "
    60002 60003 60009 60015 90001                                    | invalid_argument | second pair, pause 60
    60012                                                            | invalid_argument | pause 60
    60004 60005                                                      | auth             | sign anew, 3 more, pause 60
    60006 60026 60027 70016 70020                                    | config           | pause 60
    60007 60011 60018 60019                                          | rate_limit       | slower
    60008 60013 60014 70169 70202 70500 90102 90992 90994 90995      | server           | again
    60010 60021 70403 90009                                          | permission       | pause 60
    60016                                                            | blocked          | pause 60
    60017 70051 70114                                                | blocked          | second pair, pause 60
    60020 72000 72002 90045                                          | not_enabled      | pause 60
    60025 70001 70003 70004 70005 70006 70007 70008 90103            | auth             | sign anew, pause 60
    60028                                                            | rate_limit       | pause 3600
    70002 70009 70013 70014                                          | auth             | pause 60
    70050                                                            | auth             | pause 60
    70107 90012 90048 90049                                          | not_found        | refuse the pair
    70402 90100                                                      | invalid_argument | refuse the pair
    70398 70399 70404 71000 72001 72010 72011 72012                  | unknown          | second pair, pause 60
    91000                                                            | server           | 3 more, refuse the pair
    0 -1 1 60001 80001 90104 90107 90057 99999 9223372036854775807   | unknown          | pair later
";

/// What must come of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The same is asked again after a back-off, and all is counted.
    Again,
    /// As `Again`, at a lower rate.
    Slower,
    /// This pair is not asked again for a minute; the other one is.
    PairLater,
    /// This pair is refused after so many questions more; the other one goes on.
    PairRefused { more: usize },
    /// A fresh signature or not, so many questions more, then all of the app stops for so many seconds.
    Paused { anew: bool, more: usize, seconds: i64 },
    /// No failure at all.
    Counted,
}

/// One row of the matrix.
pub struct Row {
    pub name: String,
    /// Kind and code of `timpush_api_failures_total`.
    pub failure: (String, String),
    /// How often the fault is met before the upstream is well again; of the whole app, or of alice alone.
    pub times: usize,
    pub outcome: Outcome,
    pub reply: Box<dyn Fn() -> Reply + Send + Sync>,
}

fn refusal(code: i64) -> Reply {
    let body = serde_json::json!({"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": "no"});
    Reply::ok(&body.to_string())
}

fn outcome(words: &str) -> (usize, Outcome) {
    const EVER: usize = usize::MAX;
    let paused = |anew, more, seconds| (EVER, Outcome::Paused { anew, more, seconds });
    match words {
        "again" => (2, Outcome::Again),
        "slower" => (1, Outcome::Slower),
        "pair later" => (EVER, Outcome::PairLater),
        "refuse the pair" => (EVER, Outcome::PairRefused { more: 0 }),
        "3 more, refuse the pair" => (EVER, Outcome::PairRefused { more: 3 }),
        "pause 60" => paused(false, 0, 60),
        "second pair, pause 60" => paused(false, 1, 60),
        "pause 3600" => paused(false, 0, 3600),
        "sign anew, pause 60" => paused(true, 1, 60),
        "sign anew, 3 more, pause 60" => paused(true, 4, 60),
        other => panic!("unknown words: {other}"),
    }
}

/// Every code; those after which a fresh signature is made also with a signature that is then taken.
pub fn of_codes() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in CODES.lines().filter(|line| !line.trim().is_empty()) {
        let [codes, kind, words] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}")
        };
        for code in codes.split_whitespace().map(|code| code.parse::<i64>().unwrap()) {
            let row = |name, (times, outcome)| Row {
                name,
                failure: (kind.to_owned(), code.to_string()),
                times,
                outcome,
                reply: Box::new(move || refusal(code)),
            };
            rows.push(row(format!("code {code}"), outcome(words)));
            if words.starts_with("sign anew") {
                rows.push(row(format!("code {code} once"), (1, Outcome::Again)));
            }
        }
    }
    rows
}

pub fn of_statuses() -> Vec<Row> {
    let mut rows = Vec::new();
    for (status, words) in [
        (500, "again"),
        (502, "again"),
        (503, "again"),
        (504, "again"),
        (599, "again"),
        (408, "again"),
        (429, "slower"),
        (201, "second pair, pause 60"),
        (204, "second pair, pause 60"),
        (206, "second pair, pause 60"),
        (301, "second pair, pause 60"),
        (302, "second pair, pause 60"),
        (304, "second pair, pause 60"),
        (307, "second pair, pause 60"),
        (308, "second pair, pause 60"),
        (400, "second pair, pause 60"),
        (401, "second pair, pause 60"),
        (403, "second pair, pause 60"),
        (404, "second pair, pause 60"),
        (407, "second pair, pause 60"),
        (413, "second pair, pause 60"),
        (451, "second pair, pause 60"),
    ] {
        let (times, outcome) = outcome(words);
        let has_body = !matches!(status, 204 | 304);
        let page = if has_body { "<html><h1>Bad luck</h1>{\"ErrorCode\":0}</html>" } else { "" };
        let length = if has_body { format!("content-length: {}\r\n", page.len()) } else { String::new() };
        let text = format!(
            "HTTP/1.1 {status} Odd\r\nlocation: /v4/elsewhere\r\ncontent-type: text/html\r\n{length}\r\n{page}"
        );
        rows.push(Row {
            name: format!("HTTP {status}"),
            failure: ("http".to_owned(), status.to_string()),
            times,
            outcome,
            reply: Box::new(move || Reply::raw(&text)),
        });
    }
    rows
}

fn silent(seconds: u64) -> Reply {
    Reply { pieces: vec![Vec::new()], pause: Duration::from_secs(seconds), keep: false }
}

pub fn good() -> String {
    offline(&[SUCCESS]).to_string()
}

fn packed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for piece in pieces {
        gzip.write_all(piece).unwrap();
    }
    gzip.finish().unwrap()
}

/// A good answer behind 64 MiB of blanks, compressed.
fn bomb() -> Vec<u8> {
    let (blanks, good) = (vec![b' '; 1 << 20], good());
    packed(std::iter::repeat_n(&*blanks, 64).chain([good.as_bytes()]))
}

/// A good answer, compressed.
fn good_packed() -> Vec<u8> {
    packed([good().as_bytes()])
}

fn with_bytes(head: &str, body: Vec<u8>) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
    Reply { pieces: vec![head, body], pause: Duration::ZERO, keep: true }
}

/// Every other way in which an exchange can break or be odd.
#[rustfmt::skip]
pub fn of_transport() -> Vec<Row> {
    type Make = Box<dyn Fn() -> Reply + Send + Sync>;
    let row = |name: &str, kind: &str, reply: Make| Row {
        name: name.to_owned(), failure: (kind.to_owned(), String::new()), times: 2, outcome: Outcome::Again, reply,
    };
    let half = good()[..good().len() / 2].to_owned();
    let more = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", good().len() + 100, good());
    let chunked = |rest: &'static str| move || Reply::last(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{rest}"));
    let gzip = bomb();
    let mut rows = vec![
        row("closed at once", "connect", Box::new(|| Reply::last(String::new()))),
        row("closed within the head", "connect", Box::new(|| Reply::last("HTTP/1.1 200 OK\r\ncontent-le".to_owned()))),
        row("closed within the body", "connect", Box::new(move || Reply::last(more.clone()))),
        row("closed within a chunk", "connect", Box::new(chunked("ff\r\n{\"Act"))),
        row("no chunk", "connect", Box::new(chunked("xyz\r\n{}\r\n0\r\n\r\n"))),
        row("no HTTP", "connect", Box::new(|| Reply::last("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()))),
        row("two lengths", "connect", Box::new(|| Reply::last("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}".to_owned()))),
        row("a head without end", "connect", Box::new(|| Reply::last(format!("HTTP/1.1 200 OK\r\n{}", "x-odd: 1\r\n".repeat(100_000))))),
        row("no answer", "timeout", Box::new(|| silent(60))),
        row("drop by drop", "timeout", Box::new(|| Reply::ok(&good()).in_pieces(1, Duration::from_millis(40)))),
        row("a page of a proxy", "malformed", Box::new(|| Reply::ok("<html>Please log in</html>"))),
        row("half of an answer", "malformed", Box::new(move || Reply::ok(&half))),
        row("nothing", "malformed", Box::new(|| Reply::ok(""))),
        row("a compressed bomb", "malformed", Box::new(move || with_bytes("content-encoding: gzip\r\n", gzip.clone()))),
        row("half of a compressed answer", "malformed", Box::new(|| {
            with_bytes("content-encoding: gzip\r\n", good_packed()[..good_packed().len() / 2].to_vec())
        })),
        row("compressed but not said", "malformed", Box::new(|| with_bytes("", good_packed()))),
        row("compressed in a way nobody asked for", "malformed", Box::new(|| with_bytes("content-encoding: br\r\n", good().into_bytes()))),
        row("too much", "malformed", Box::new(|| with_bytes("", vec![b' '; 3 << 20]))),
        row("far too much in chunks", "malformed", Box::new(|| {
            let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20)).into_bytes();
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            Reply { pieces: std::iter::once(head).chain(vec![chunk; 64]).collect(), pause: Duration::ZERO, keep: false }
        })),
        row("not UTF-8", "malformed", Box::new(|| with_bytes("", b"{\"ActionStatus\":\"OK\",\"ErrorCode\":0,\"a\":\"\xff\xfe\"".to_vec()))),
        row("nested without end", "malformed", Box::new(|| Reply::ok(&"[".repeat(200_000)))),
        row("no object", "malformed", Box::new(|| Reply::ok("[1,2,3]"))),
        row("null", "malformed", Box::new(|| Reply::ok("null"))),
        row("no code", "malformed", Box::new(|| Reply::ok("{\"ActionStatus\":\"OK\"}"))),
    ];
    let counted = |name: &str, reply: Make| Row { outcome: Outcome::Counted, ..row(name, "", reply) };
    rows.extend([
        counted("no content type", Box::new(|| with_bytes("", good().into_bytes()))),
        counted("another content type", Box::new(|| with_bytes("content-type: text/html\r\n", good().into_bytes()))),
        counted("compressed", Box::new(|| with_bytes("content-encoding: gzip\r\n", good_packed()))),
        counted("compressed, in other words", Box::new(|| with_bytes("Content-Encoding: identity, X-GZIP\r\n", good_packed()))),
        counted("in pieces", Box::new(|| Reply::ok(&good()).in_pieces(60, Duration::from_millis(20)))),
        counted("slow", Box::new(|| Reply {
            pieces: vec![Vec::new(), Reply::ok(&good()).pieces.concat()], pause: Duration::from_millis(300), keep: true,
        })),
        counted("without a length", Box::new(|| Reply::last(format!("HTTP/1.1 200 OK\r\n\r\n{}", good())))),
        counted("after two interim answers", Box::new(|| Reply::raw(&format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
            good().len(), good(),
        )))),
        counted("a code as text", Box::new(|| Reply::ok(&good().replace("\"ErrorCode\":0", "\"ErrorCode\":\"0\"")))),
    ]);
    rows
}
