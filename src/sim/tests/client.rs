//! A small client for the tests: one connection, plain bytes, and a signer of its own.
use std::{
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::sim::{Account, Options, PopulationOptions, Simulator};

pub(super) const APP: u64 = 1_400_000_001;
pub(super) const KEY: &str = "clé 秘密 🔑";

/// A simulator of one app whose rate no test can break.
pub(super) fn options() -> Options {
    Options {
        apps: vec![Account::new(APP, "administrator", KEY)],
        requests_per_second: 1e9,
        ..Options::default()
    }
}

/// A population in which everything has happened long ago.
pub(super) fn settled(tasks: u32, users_per_task: u32) -> Options {
    let population = PopulationOptions {
        tasks,
        users_per_task,
        push_span: std::time::Duration::from_secs(3_600),
        past_share: 1.0,
    };
    Options { population, speed: 1e12, ..options() }
}

pub(super) fn now_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A UserSig valid for a minute from `time`.
pub(super) fn usersig(identifier: &str, sdk_app_id: u64, key: &str, time: i64) -> String {
    let text =
        format!("TLS.identifier:{identifier}\nTLS.sdkappid:{sdk_app_id}\nTLS.time:{time}\nTLS.expire:60\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let sig = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let ticket = json!({"TLS.ver": "2.0", "TLS.identifier": identifier, "TLS.sdkappid": sdk_app_id,
        "TLS.time": time, "TLS.expire": 60, "TLS.sig": sig});
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(ticket.to_string().as_bytes()).unwrap();
    let packed = BASE64_STANDARD.encode(encoder.finish().unwrap());
    packed.replace('+', "*").replace('/', "-").replace('=', "_")
}

/// The path of a question signed by the administrator of [`APP`].
pub(super) fn trace_path() -> String {
    let sig = usersig("administrator", APP, KEY, now_seconds());
    trace_path_of(&[("sdkappid", &APP.to_string()), ("usersig", &sig)])
}

/// The path of a good question without a signature, with these parameters set or, where empty, left out.
pub(super) fn trace_path_of(changes: &[(&str, &str)]) -> String {
    let mut query = [
        ("sdkappid", "1400000001"),
        ("identifier", "administrator"),
        ("usersig", "x"),
        ("random", "4294967295"),
        ("contenttype", "json"),
    ];
    for (name, value) in changes {
        query.iter_mut().filter(|(own, _)| own == name).for_each(|pair| pair.1 = value);
    }
    let query: Vec<String> =
        query.iter().filter(|pair| !pair.1.is_empty()).map(|(n, v)| format!("{n}={v}")).collect();
    format!("/v4/timpush/all_member_push_trace?{}", query.join("&"))
}

pub(super) fn question(task: &str, user: &str) -> String {
    json!({"TaskID": task, "UserID": user}).to_string()
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `ErrorCode`.
    pub(super) fn code(&self) -> i64 {
        self.json()["ErrorCode"].as_i64().unwrap_or_else(|| panic!("no ErrorCode: {self:?}"))
    }
}

/// One connection that stays open.
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    pub(super) async fn new(simulator: &Simulator) -> Client {
        Client(BufReader::new(TcpStream::connect(simulator.address()).await.unwrap()))
    }

    pub(super) async fn send(&mut self, method: &str, path: &str, body: &str) {
        let length = body.len();
        let text = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-length: {length}\r\n\r\n{body}");
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    pub(super) async fn receive(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = head.to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await?;
        Ok(Answer { status, head, body })
    }

    pub(super) async fn call(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.send(method, path, body).await;
        self.receive().await.unwrap()
    }

    /// A good question for a pair.
    pub(super) async fn ask(&mut self, task: &str, user: &str) -> Answer {
        self.call("POST", &trace_path(), &question(task, user)).await
    }
}
