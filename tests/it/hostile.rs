//! Hostile input: the fuzzers' corpus and a short random run of them, bombs of every kind, odd letters.

use std::io::Write;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use serde_json::json;
use timpush_exporter::sim::Options;

use crate::support::{APP, App, Daemon, Rig, wait_until};
use crate::support_b::Turn;

#[path = "../../fuzz/targets.rs"]
mod targets;

/// How many mutants of its corpus each target gets; this variable names another number.
const RUNS: &str = "TIMPUSH_FUZZ_RUNS";
const FEW_RUNS: usize = 3_000;
/// Over a socket each takes a connection.
const FEW_REQUESTS: usize = 400;
/// Pieces that mean something to one of the targets.
const WORDS: &[&[u8]] = &[
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    "\u{1f600}".as_bytes(),
    b"\"",
    b"\\",
    b"\n",
    b"\r\n",
    b"\t",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"&a ",
    b"*a",
    b"<<: *a\n",
    b"!!set ",
    b"|\n",
    b"---\n",
    b"null",
    b"~",
    b"-1",
    b"9223372036854775808",
    b"1e999",
    b"0x",
    b"\\ud800",
    b"2026-11-23T10:00:00Z",
    b"9999-99-99 99:99:99",
    b"task",
    b"users",
    b"labels",
    b"pushed_at",
    b"apps",
    b"ErrorCode",
    b"InstanceTrace",
    b"PushStatus",
    b"%00",
    b"%2e%2e/",
    b"?limit=-1&after=",
    b"content-length: 99999999999999999999\r\n",
    b"transfer-encoding: chunked\r\n",
    b"\r\n\r\n",
];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{target}: {files:?}");
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A few changes at random places.
fn mutant(dice: &mut fastrand::Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = dice.choice(corpus).unwrap().clone();
    for _ in 0..dice.usize(1..6) {
        let at = dice.usize(..=bytes.len());
        let to = (at + dice.usize(..40)).min(bytes.len());
        match dice.u32(..6) {
            0 if at < bytes.len() => bytes[at] = dice.u8(..),
            1 => drop(bytes.drain(at..to)),
            2 => {
                let piece = bytes[at..to].to_vec();
                bytes.splice(at..at, piece.repeat(dice.usize(1..20)));
            }
            3 => {
                let other = dice.choice(corpus).unwrap();
                let from = dice.usize(..=other.len());
                bytes.splice(at..to, other[from..(from + 40).min(other.len())].iter().copied());
            }
            4 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, dice.choice(WORDS).unwrap().iter().copied())),
        }
    }
    bytes
}

/// Hands the corpus and mutants of it to a target; says which bytes it fell over.
fn attack(name: &str, few: usize, target: impl Fn(&[u8])) {
    let corpus = corpus(name);
    let runs = std::env::var(RUNS).map_or(few, |text| text.parse().expect(RUNS));
    let mut dice = fastrand::Rng::with_seed(0x6675_7a7a);
    let mutants = std::iter::repeat_with(|| mutant(&mut dice, &corpus)).take(runs);
    for bytes in corpus.iter().cloned().chain(mutants.collect::<Vec<_>>()) {
        if let Err(fall) = catch_unwind(AssertUnwindSafe(|| target(&bytes))) {
            eprintln!("{name} fell over these bytes: {}", bytes.escape_ascii());
            resume_unwind(fall);
        }
    }
}

#[test]
fn no_answer_is_too_hostile() {
    let _turn = Turn::shared();
    attack("answer", FEW_RUNS, targets::answer);
}

#[test]
fn no_configuration_is_too_hostile() {
    let _turn = Turn::shared();
    attack("config", FEW_RUNS, targets::config);
}

#[test]
fn no_web_configuration_is_too_hostile() {
    let _turn = Turn::shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yaml");
    attack("web_config", FEW_RUNS, |bytes| targets::web_config(&file, bytes));
}

#[test]
fn no_watch_list_is_too_hostile() {
    let _turn = Turn::shared();
    attack("list_yaml", FEW_RUNS, targets::list_yaml);
    attack("list_json", FEW_RUNS, targets::list_json);
    attack("list_csv", FEW_RUNS, targets::list_csv);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_too_hostile() {
    let rig = Rig::start(Options::default());
    let mut app = App::new("http://127.0.0.1:9", 1.0);
    app.entries = json!([{"task": "t", "users": ["alice", "bob"]}]);
    rig.configure(&[app]);
    let mut daemon = Daemon::spawn(rig.folder(), &["--web.enable-lifecycle"]);
    daemon.ready().await;
    let address = daemon.listening().await;
    let attack = move || attack("http", FEW_REQUESTS, |bytes| targets::http(address, bytes));
    tokio::task::spawn_blocking(attack).await.unwrap();
    assert_eq!(daemon.get("/-/healthy").await.unwrap().status, 200);
    assert!(!daemon.stderr().contains("panicked"), "{}", daemon.stderr());
}

/// The most memory that the daemon has held so far.
fn peak_mebibytes(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

/// Serves a body of that many bytes without an end in sight, to everybody who asks.
fn endless(bytes: u64) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[";
            let piece = [b' '; 1 << 16];
            let mut written = stream.write_all(head);
            for _ in 0..bytes >> 16 {
                if written.is_err() {
                    break; // Whoever has enough closes.
                }
                written = stream.write_all(&piece);
            }
        }
    });
    address
}

/// Lists that are bombs, each with a word that its refusal holds.
fn bombs() -> Vec<(&'static str, String)> {
    let levels = (1..10).map(|n| {
        let before = vec![format!("*l{}", n - 1); 10].join(", ");
        format!("l{n}: &l{n} [{before}]\n")
    });
    let laughs = format!("l0: &l0 [ha]\n{}", levels.collect::<String>());
    let labels: String = (0..1_000_000).map(|n| format!("l{n}: x, ")).collect();
    vec![
        ("laughs.yaml", laughs),
        ("deep.yaml", "[".repeat(1_000_000)),
        ("deep.json", "[".repeat(1_000_000)),
        ("labels.yaml", format!("- {{task: t, users: [u], labels: {{{labels}}}}}\n")),
        ("word.json", format!("[{{\"task\":\"{}\",\"users\":[\"u\"]}}]", "a".repeat(20 << 20))),
        ("columns.csv", format!("task,user{}\n", ",x".repeat(1_000_000))),
        ("quote.csv", format!("task,user\nt,\"{}", "a\n".repeat(5 << 20))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_cost_bounded_memory_and_are_refused_by_name() {
    const MOST_MEBIBYTES: u64 = 600;
    let rig = Rig::start(Options::default());
    let mut app = App::new("http://127.0.0.1:9", 1.0);
    let body = endless(1 << 30);
    for (name, text) in bombs() {
        rig.write(name, &text);
    }
    rig.write("good.yaml", "- {task: t, users: [alice]}\n");
    app.more.push((
        "watch".to_owned(),
        json!({
            "files": ["*.yaml", "*.json", "*.csv"],
            "http": [{"url": format!("http://{body}/"), "refresh": "1h"}],
        }),
    ));
    // The configuration itself is a YAML file of that folder: it must not be taken for a list.
    rig.configure(&[app]);
    let mut daemon = Daemon::spawn(rig.folder(), &[]);
    daemon.ready().await;
    for (name, _) in bombs() {
        wait_until(&format!("{name} is refused by name"), async || daemon.stderr().contains(name)).await;
    }
    wait_until("the endless body is refused", async || daemon.stderr().contains(&body.to_string())).await;
    let peak = peak_mebibytes(&daemon);
    println!("the bombs took {peak} MiB at most");
    assert!(peak < MOST_MEBIBYTES, "{peak} MiB");
    let log = daemon.stderr();
    let longest = log.lines().map(str::len).max().unwrap_or(0);
    assert!(longest < 20_000, "a line of {longest} bytes");
    wait_until("the good list is watched", async || {
        daemon.scrape().await.sum("timpush_watched_pairs", &[("app", APP)]) == 1.0
    })
    .await;
}
