//! The subcommand `trace`: what a person reads, what a program reads, and what a terminal shows meanwhile.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use crate::support::answers::{FAILURE, SAMPLE, SUCCESS, offline};
use crate::support::child::{Said, drain};
use crate::support::noise::{Breach, fairly};
use crate::support::{AppText, FIRST_APP, Place, Town, Turn, until};

/// One question every four seconds.
const SLOW: f64 = 0.25;
const FAST: f64 = 50.0;

/// An app of that rate, whose upstream would allow far more: no stall of the machine makes it refuse.
fn town(requests_per_second: f64) -> (Town, Place) {
    let town = Town::empty(1, requests_per_second * 100.0);
    let place = Place::new(&AppText::new("shop", FIRST_APP, &town.sim.url(), requests_per_second).config());
    (town, place)
}

fn trace(place: &Place, args: &[&str]) -> Output {
    place.run(&[&["trace", "t", "alice", "--app", "shop"], args].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The same on a terminal of its own: all that it shows, stdout and stderr together.
fn on_a_terminal(place: &Place, environment: &[(&str, &str)]) -> String {
    watched_on_a_terminal(place, environment, |_| {})
}

/// As [`on_a_terminal`]; `meanwhile` is given what is shown so far.
fn watched_on_a_terminal(
    place: &Place,
    environment: &[(&str, &str)],
    meanwhile: impl FnOnce(&Said),
) -> String {
    let trace = place.command(&["trace", "t", "alice", "--app", "shop"]);
    let words = std::iter::once(trace.get_program()).chain(trace.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    script.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CI").envs(environment.iter().copied());
    let mut script = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = drain(script.stdout.take().unwrap());
    meanwhile(&shown);
    let status = script.wait().unwrap();
    shown.close();
    assert!(status.success(), "{}", shown.text());
    shown.text()
}

#[test]
fn a_chain_is_a_table_or_json() {
    let (town, place) = town(FAST);
    town.answer("t", "alice", serde_json::from_str(SAMPLE).unwrap());
    let table = trace(&place, &[]);
    assert!(table.status.success() && table.stderr.is_empty(), "{table:?}");
    let text = stdout(&table);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        text.lines().next(),
        Some("apns device 74224656, offline push, pushed 2025-03-13T08:16:27Z, notifications on")
    );
    assert_eq!(rows[1], ["ROUTE", "STAGE", "OUTCOME", "AT", "DELAY", "CODE", "REASON"]);
    let stages = [
        ("offline", "im"),
        ("offline", "offline"),
        ("offline", "channel"),
        ("offline", "device"),
        ("offline", "click"),
        ("online", "channel"),
        ("online", "device"),
    ];
    for (route, stage) in stages {
        let row = [route, stage, "success", "2025-03-13T08:16:29Z", "2s", "0"];
        assert!(rows.iter().any(|found| *found == row), "{row:?} is not in\n{text}");
    }
    let json = trace(&place, &["--json"]);
    let decoded: Value = serde_json::from_slice(&json.stdout).unwrap();
    let devices = decoded["devices"].as_array().unwrap();
    assert_eq!((devices.len(), &devices[0]["route"]), (1, &"offline".into()));
    let decoded_stages = devices[0]["stages"].as_array().unwrap();
    assert_eq!(decoded_stages.len(), stages.len());
    for (told, (route, stage)) in decoded_stages.iter().zip(stages) {
        assert_eq!((&told["route"], &told["stage"]), (&route.into(), &stage.into()));
        assert_eq!((&told["outcome"], &told["delay_seconds"]), (&"success".into(), &2.into()));
    }
    for output in [&table, &json] {
        assert!(!stdout(output).contains("aabbc"), "the device's token is shown");
    }
}

#[test]
fn a_trace_keeps_the_budget_of_the_one_before() {
    let _turn = Turn::alone();
    fairly(traces_one_after_the_other);
}

fn traces_one_after_the_other() -> Result<(), Breach> {
    const RATE: f64 = 4.0;
    const TRACES: u64 = 5;
    let town = Town::empty(1, RATE);
    let place = Place::new(&AppText::new("shop", FIRST_APP, &town.sim.url(), RATE).config());
    let outputs: Vec<Output> = (0..TRACES).map(|_| trace(&place, &[])).collect();
    let arrivals = town.arrivals(FIRST_APP);
    assert_eq!(arrivals.requests, TRACES);
    let early = arrivals.early_requests;
    assert!(early < TRACES / 2, "no noise explains {early} of {TRACES}");
    if early == 0 {
        assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
        return Ok(());
    }
    let words = format!("of {TRACES} traces some came early: {:?}", arrivals.smallest_gap_seconds);
    Err(Breach { early, words })
}

#[test]
fn a_failure_says_who_must_act_and_what_is_not_awaited() {
    let (town, place) = town(FAST);
    town.answer("t", "alice", offline(&[SUCCESS, SUCCESS, FAILURE]));
    let text = stdout(&trace(&place, &[]));
    let line = |word: &str| {
        text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}: {text}"))
    };
    assert!(line(" channel  failure").ends_with("410  invalid_token"), "{text}");
    assert!(line("offline  device").ends_with("unreported  not awaited: channel failed"), "{text}");
    assert!(
        line("channel failed:").contains("invalid_token, code 410. Who must act: nobody for a single"),
        "{text}"
    );
    let json: Value = serde_json::from_slice(&trace(&place, &["--json"]).stdout).unwrap();
    let failed = &json["devices"][0]["stages"][2];
    assert_eq!((&failed["reason"], &failed["code"]), (&"invalid_token".into(), &410.into()));
    assert!(failed["who"].as_str().unwrap().starts_with("nobody for a single device"), "{failed}");
}

#[test]
fn nobody_and_an_upstream_that_is_gone_are_told_in_words() {
    let (town, place) = town(FAST);
    let nobody = trace(&place, &[]);
    assert!(nobody.status.success() && stdout(&nobody).contains("knows no device"));
    town.end();
    let gone = trace(&place, &[]);
    let told = String::from_utf8(gone.stderr).unwrap();
    assert_eq!((gone.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    assert!(told.contains("app shop: connect") && gone.stdout.is_empty(), "{told}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let (town, place) = town(FAST);
    let mut answer = offline(&[SUCCESS, SUCCESS, FAILURE]);
    answer["InstanceTrace"][0]["InstanceId"] = "7\u{202e}8".into();
    town.answer("t", "alice", answer);
    assert!(!stdout(&trace(&place, &[])).contains('\x1b'), "a pipe gets none");
    let colourful = on_a_terminal(&place, &[]);
    assert!(colourful.contains("\x1b[1m\x1b[31mfailure"), "{colourful:?}");
    assert!(
        colourful.contains(r"device 7\u{202e}8"),
        "what a device is called turns nothing around: {colourful:?}"
    );
    let plain = on_a_terminal(&place, &[("NO_COLOR", "1")]);
    assert!(plain.contains("failure") && !plain.contains('\x1b'), "{plain:?}");
}

#[test]
fn a_terminal_is_told_what_is_waited_for_and_a_pipe_is_not() {
    let (_town, place) = town(SLOW);
    let first = trace(&place, &[]);
    assert!(first.status.success() && first.stderr.is_empty(), "{first:?}");
    // As if another process held the slot until the wait is spoken of, however late this one comes to begin.
    let files = std::fs::read_dir(place.storage().join("budget")).unwrap();
    let [file] = &files.map(|file| file.unwrap().path()).collect::<Vec<_>>()[..] else {
        panic!("one slot file")
    };
    let slot = File::open(file).unwrap();
    flock(&slot, FlockOperation::LockExclusive).unwrap();
    let told = watched_on_a_terminal(&place, &[], |shown| {
        until("the wait is told with its seconds", || seconds_told(&shown.text()).last() >= Some(&1));
        flock(&slot, FlockOperation::Unlock).unwrap();
    });
    let seconds = seconds_told(&told);
    assert!(seconds.is_sorted(), "{seconds:?} of {told:?}");
    let (_, behind) = told.rsplit_once("\r\x1b[2K").unwrap();
    assert!(behind.starts_with("The upstream knows no device"), "nothing of it is left: {told:?}");
    let third = trace(&place, &[]);
    assert!(third.status.success() && third.stderr.is_empty(), "{third:?}");
}

/// The seconds of each line that tells of the wait.
fn seconds_told(shown: &str) -> Vec<u64> {
    const WAITS: &str = "waiting for the budget of shop, which lets a question through every 4s … ";
    let lines = shown.split("\r\x1b[2K").filter_map(|line| line.strip_prefix(WAITS)?.strip_suffix(" s"));
    lines.map(|seconds| seconds.parse().unwrap()).collect()
}
