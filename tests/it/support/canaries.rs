//! Secrets to look for wherever they must not be, and upstreams that try to get them there.

use std::collections::HashSet;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::listener::Seen;
use super::{Daemon, KEY};

/// A device token as APNs makes them.
pub const TOKEN: &str = "8f3ab1c07d5e42960b1c7a3f9e8d2c4b6a5f0e1d3c2b4a69788796a5b4c3d2e1";
/// The password of a watch source.
pub const PASSWORD: &str = "correct-horse-battery-staple-7312";
/// A piece of a secret of this length is as bad as the whole.
const PIECE_BYTES: usize = 20;

/// Every page there is, with some that there are not; `shop` is [`super::APP`].
const PAGES: [&str; 14] = [
    "/",
    "/metrics",
    "/config",
    "/watches",
    "/watches?search=user",
    "/watches/shop/task/user_0",
    "/watches/shop/t/u",
    "/api/v1/watches",
    "/api/v1/watches/shop/task/user_0",
    "/api/v1/watches/shop/t/u",
    "/api/v1/openapi.json",
    "/-/healthy",
    "/-/ready",
    "/none",
];

/// Pieces of secrets that must be nowhere.
pub struct Canaries(HashSet<Vec<u8>>);

impl Canaries {
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Canaries {
        let pieces = |secret: &'a str| {
            assert!(secret.len() >= PIECE_BYTES, "too short to be looked for");
            secret.as_bytes().windows(PIECE_BYTES).map(<[u8]>::to_vec)
        };
        Canaries(secrets.into_iter().flat_map(pieces).collect())
    }

    /// The first piece of a secret in `text`.
    pub fn found_in(&self, text: &[u8]) -> Option<String> {
        let found = text.windows(PIECE_BYTES).find(|piece| self.0.contains(*piece));
        found.map(|piece| String::from_utf8_lossy(piece).into_owned())
    }

    pub fn assert_not_in(&self, place: &str, text: &[u8]) {
        if let Some(piece) = self.found_in(text) {
            panic!("a piece of a secret is in {place}: {piece}");
        }
    }

    pub fn assert_not_in_output(&self, place: &str, output: &Output) {
        self.assert_not_in(&format!("stdout of {place}"), &output.stdout);
        self.assert_not_in(&format!("stderr of {place}"), &output.stderr);
    }

    /// Every file below the folder.
    pub fn assert_not_in_files(&self, folder: &Path) -> usize {
        let mut files = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                files += self.assert_not_in_files(&path);
            } else {
                self.assert_not_in(&path.display().to_string(), &std::fs::read(&path).unwrap());
                files += 1;
            }
        }
        files
    }

    /// Every page, also those that do not exist, and all that was written to the pipes.
    pub fn assert_not_in_daemon(&self, daemon: &Daemon) {
        for path in PAGES {
            let page = daemon.get(path);
            self.assert_not_in(path, &page.body);
            self.assert_not_in(&format!("the headers of {path}"), page.head.as_bytes());
        }
        self.assert_not_in("stderr", daemon.log().as_bytes());
        self.assert_not_in("stdout", daemon.stdout().as_bytes());
    }
}

/// The heads of all requests.
pub fn heads(seen: &[Seen]) -> String {
    seen.iter().map(|seen| format!("{}\r\n", seen.head)).collect()
}

/// The signatures in the heads of requests.
pub fn usersigs(seen: &[Seen]) -> HashSet<&str> {
    seen.iter().filter_map(usersig).collect()
}

pub fn usersig(seen: &Seen) -> Option<&str> {
    let from = seen.line.split_once("usersig=")?.1;
    from.split(['&', ' ']).next()
}

pub fn http(status: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

fn refusal(code: i64, info: &str) -> Vec<u8> {
    let body = json!({"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": info});
    http("200 OK", "", &body.to_string())
}

/// An answer with the token where it belongs and wherever else it may slip in.
fn trace_with_token() -> Value {
    let failed =
        |info: String| json!({"PushStatus": 2, "ErrorCode": 410, "ErrorInfo": info, "EventTime": TOKEN});
    let good =
        json!({"PushStatus": 1, "ErrorCode": 0, "ErrorInfo": TOKEN, "EventTime": "2026-11-23 10:00:00"});
    json!({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": TOKEN, TOKEN: TOKEN, "InstanceTrace": [{
        "InstanceId": "74224656", "PushTime": TOKEN, "EventType": 1, "PushPlatform": 1, "Token": TOKEN, "CertId": TOKEN,
        "DeviceModel": TOKEN, "NotificationStatus": TOKEN, TOKEN: {"Token": TOKEN},
        "IMCommitStat": {"IMStat": good},
        "OfflinePushStat": {"OfflineStat": good, "ChannelStat": failed(format!("BadDeviceToken: {TOKEN}"))},
    }]})
}

/// All ways in which an upstream may hand a secret back, and at last one that stops the app.
pub fn echoes(target: &str, sig: &str) -> Vec<Vec<u8>> {
    let pieces = |length: usize| {
        let pieces: Vec<&str> =
            sig.as_bytes().chunks(length).map(|p| std::str::from_utf8(p).unwrap()).collect();
        pieces
    };
    let words = json!({"ActionStatus": sig, "ErrorCode": sig, "ErrorInfo": sig, "ResultCode": target});
    let half = json!({"ActionStatus": "FAIL", "ErrorInfo": target}).to_string();
    vec![
        http("200 OK", "", &trace_with_token().to_string()),
        refusal(60008, &format!("request error: {target}")),
        refusal(60008, &format!("签名{sig}错误")),
        refusal(60008, &format!("sig '{}' ends with '{}'", &sig[..24], &sig[sig.len() - 22..])),
        refusal(60008, &format!("no signature: {}", pieces(76).join("\n"))),
        refusal(60008, &format!("no signature: {}", pieces(PIECE_BYTES).join(" "))),
        refusal(90102, &format!("token {TOKEN} of key {KEY}")),
        refusal(12345, target),
        refusal(70003, sig),
        http("200 OK", "", &words.to_string()),
        http("200 OK", "", &half[..half.len() - 5]),
        http("200 OK", "", &format!("<html>{target}</html>")),
        http("502 Bad Gateway", &format!("X-Request: {target}\r\n"), target),
        http("429 Too Many Requests", "", sig),
        format!("HTTP/1.1 {sig} {target}\r\n\r\n").into_bytes(),
        format!("{sig}\r\n\r\n").into_bytes(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {sig}\r\n\r\n").into_bytes(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{sig}").into_bytes(),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{sig}\r\n").into_bytes(),
        Vec::new(),
        http("302 Found", &format!("Location: {target}\r\n"), target),
    ]
}
