//! Hostile input: the fuzzers' corpus and a short random run of them, bombs of every kind, odd letters.

use std::io::Write;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use crate::support::{APP, AppText, FIRST_APP, NOWHERE, Place, Turn, until};

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

#[test]
fn no_request_is_too_hostile() {
    let app = AppText::new(APP, FIRST_APP, NOWHERE, 1.0).entry("{task: t, users: [alice, bob]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&["--web.enable-lifecycle"]);
    attack("http", FEW_REQUESTS, |bytes| targets::http(daemon.address(), bytes));
    assert_eq!(daemon.get("/-/healthy").status, 200);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
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

#[test]
fn bombs_cost_bounded_memory_and_are_refused_by_name() {
    const MOST_MEBIBYTES: u64 = 600;
    let body = endless(1 << 30);
    let files = r#"files: ["*.yaml", "*.json", "*.csv"]"#;
    let watch = format!("watch: {{{files}, http: [{{url: \"http://{body}/\", refresh: 1h}}]}}");
    // The configuration itself is a YAML file of that folder: it must not be taken for a list.
    let place = Place::new(&AppText::new(APP, FIRST_APP, NOWHERE, 1.0).key(&watch).config());
    for (name, text) in bombs() {
        place.write(name, &text);
    }
    place.write("good.yaml", "- {task: t, users: [alice]}\n");
    let daemon = place.serve(&[]);
    for (name, _) in bombs() {
        until(&format!("{name} is refused by name"), || daemon.log().contains(name));
    }
    until("the endless body is refused", || daemon.log().contains(&body.to_string()));
    let peak = daemon.kilobytes("VmHWM") >> 10;
    println!("the bombs took {peak} MiB at most");
    assert!(peak < MOST_MEBIBYTES, "{peak} MiB");
    let log = daemon.log();
    let longest = log.lines().map(str::len).max().unwrap_or(0);
    assert!(longest < 20_000, "a line of {longest} bytes");
    // The entry with a million labels that are none is watched without them.
    until("the good list is watched", || {
        daemon.scrape().sum("timpush_watched_pairs", &[("app", APP)]) == 2.0
    });
}
