//! The command line: flags, exit codes, and what is said to the operator.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use timpush_exporter::usersig;

use crate::support::answers::now;
use crate::support::child::{drain, program};
use crate::support::{AppText, Daemon, FIRST_APP, NOWHERE, Place, Turn, eventually, get, until};

/// Every flag that there is.
const FLAGS: [&str; 9] = [
    "--config.file",
    "--config.check",
    "--storage.path",
    "--web.listen-address",
    "--web.config.file",
    "--web.enable-lifecycle",
    "--web.enable-watch-api",
    "--log.level",
    "--log.format",
];
const SUBCOMMANDS: [&str; 5] = ["demo", "simulate", "trace", "usersig", "backup"];

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn shop() -> AppText {
    AppText::new("shop", FIRST_APP, NOWHERE, 1.0)
}

/// The one line of an error, of a program that ended with that status and said nothing else.
fn one_line(output: &Output, status: i32) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("level=")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert_eq!(stdout(output), "");
    lines[0].to_owned()
}

#[test]
fn help_names_every_flag_and_subcommand() {
    let place = Place::new("");
    let help = place.run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert_eq!(stderr(&help), "");
    let text = stdout(&help);
    let page = include_str!("../../docs/configuration.md");
    for word in FLAGS.into_iter().chain(SUBCOMMANDS) {
        assert!(text.contains(word), "--help does not name {word}");
        assert!(page.contains(&format!("| `{word}")), "docs/configuration.md has no row for {word}");
    }
    let words = text.split_whitespace().map(|word| word.trim_end_matches(['.', ',', ';', ')']));
    let own = ["--help", "--version"];
    let unlisted: Vec<&str> =
        words.filter(|word| word.starts_with("--") && !own.contains(word) && !FLAGS.contains(word)).collect();
    assert!(unlisted.is_empty(), "flags that this test does not know: {unlisted:?}");
    for default in ["config.yaml", "data", ":10047", "info", "logfmt", "json"] {
        assert!(text.contains(default), "--help does not name the default {default}");
    }
    for subcommand in SUBCOMMANDS {
        let help = place.run(&[subcommand, "--help"]);
        assert_eq!(help.status.code(), Some(0), "{subcommand}");
        assert!(stdout(&help).contains("Usage:"), "{subcommand}");
    }
    let version = place.run(&["--version"]);
    let words = format!("timpush_exporter {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.status.code(), stdout(&version)), (Some(0), words));
}

#[test]
fn flags_that_cannot_be_used_end_with_2() {
    let place = Place::new(&shop().config());
    let unusable: [&[&str]; 7] = [
        &["--no.such.flag"],
        &["no_such_subcommand"],
        &["--log.level", "loud"],
        &["--log.format=xml"],
        &["usersig"],
        &["trace", "task", "--app", "shop"],
        &["demo", "--port", "70000"],
    ];
    for args in unusable {
        let output = place.run(args);
        assert!(one_line(&output, 2).ends_with("; see --help"), "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{args:?}");
    }
    let line = one_line(&place.run(&["usersig", "--app", "shoe"]), 2);
    for word in ["--app", "config.yaml", "\"shoe\"", "shop"] {
        assert!(line.contains(word), "{word} is not in {line}");
    }
}

#[test]
fn a_flag_takes_its_value_behind_a_blank_or_an_equals_sign() {
    let place = Place::new("");
    place.write("other.yaml", &shop().config());
    let run = |args: &[&str]| program().args(args).current_dir(place.path("")).output().unwrap();
    for args in [
        &["--config.check", "--config.file", "other.yaml", "--log.level", "error"][..],
        &["--config.check", "--config.file=other.yaml", "--log.level=error"],
        &["--config.file=other.yaml", "--config.check"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        assert!(stdout(&output).contains("shop"));
    }
    for args in [
        &["usersig", "--app=shop", "--config.file=other.yaml"][..],
        &["--config.file", "other.yaml", "usersig", "--app", "shop"],
    ] {
        assert_eq!(run(args).status.code(), Some(0), "{args:?}");
    }
    // Without the flag the file has its usual name, which is empty here.
    assert_eq!(run(&["--config.check"]).status.code(), Some(2));
}

#[test]
fn a_check_tells_the_capacity_or_every_fault() {
    let place = Place::new(&shop().users("t", 3).config());
    let good = place.run(&["--config.check"]);
    assert_eq!((good.status.code(), stderr(&good).as_str()), (Some(0), ""));
    for word in ["shop", "127.0.0.1", "1400000001", "CAPACITY"] {
        assert!(stdout(&good).contains(word), "{word} is not in {}", stdout(&good));
    }
    assert!(!place.storage().exists(), "a check writes nothing");
    place.configure("apps:\n  - name: a b\n    sdk_app_id: x\n    colour: red\n  - name: c\n");
    for args in [&["--config.check"][..], &[], &["usersig", "--app", "c"], &["trace", "t", "u", "--app", "c"]]
    {
        let bad = place.run(args);
        assert_eq!((bad.status.code(), stdout(&bad).as_str()), (Some(2), ""), "{args:?}");
        let faults = stderr(&bad);
        for key in ["apps[0].name", "apps[0].sdk_app_id", "apps[0].colour", "apps[1].sdk_app_id"] {
            let line = faults.lines().find(|line| line.contains(key));
            assert!(line.is_some_and(|line| line.contains("config.yaml")), "{key}: {faults}");
        }
    }
    std::fs::remove_file(place.path("config.yaml")).unwrap();
    assert!(one_line(&place.run(&["--config.check"]), 2).contains("config.yaml"));
    assert!(one_line(&place.run(&[]), 2).contains("config.yaml"));
}

#[test]
fn more_than_the_budget_can_follow_is_advised_by_the_check_and_by_the_log() {
    let app = shop().users("t", 200);
    // At one request a second: no two looks at each within five minutes.
    let place = Place::new(&app.clone().key("watch_for: 5m").config());
    let check = stdout(&place.run(&["--config.check"]));
    let advice = "only 1.5 looks per pair fit into watch_for 5m: raise requests_per_second from 1 to at least 1.334, or \
                  watch at most 150 pairs instead of 200";
    assert!(check.contains(&format!("shop: {advice}.\n")), "{check}");
    let daemon = place.serve(&[]);
    let told = |daemon: &Daemon| {
        let log = daemon.log();
        log.lines()
            .filter(|line| line.contains("more is due than the budget"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    until("the log says so", || !told(&daemon).is_empty());
    let line = &told(&daemon)[0];
    assert!(line.contains(&format!("advice=\"{advice}\"")) && line.contains("pairs=200"), "{line}");
    // The same backlog is worked off where there is time for it.
    place.configure(&app.key("watch_for: 50m").config());
    daemon.signal(rustix::process::Signal::HUP);
    until("it is reloaded", || daemon.log().contains("reloaded"));
    assert_eq!(told(&daemon).len(), 1, "{}", daemon.log());
}

#[test]
fn what_the_machine_refuses_ends_with_1_and_what_is_unusable_with_2() {
    let place = Place::new(&shop().config());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = one_line(&place.run(&["--web.listen-address", &address]), 1);
    assert!(line.contains(&address), "{line}");
    let line = one_line(&place.run(&["--web.listen-address=nonsense"]), 2);
    assert!(line.contains("nonsense") && line.contains(":10047"), "{line}");
    // A file where the folder should be: nobody can write below it, not even root.
    std::fs::write(place.storage(), "in the way").unwrap();
    let line = one_line(&place.run(&["--web.listen-address=127.0.0.1:0"]), 1);
    assert!(line.contains(&place.storage().display().to_string()), "{line}");
    let kept = std::fs::read_to_string(place.storage()).unwrap();
    assert_eq!(kept, "in the way");
}

#[test]
fn a_storage_serves_one_daemon() {
    let place = Place::new(&shop().config());
    let daemon = place.serve(&[]);
    let line = one_line(&place.run(&["--web.listen-address=127.0.0.1:0"]), 1);
    assert!(line.contains(&place.storage().display().to_string()), "{line}");
    assert!(line.contains("another timpush_exporter"), "{line}");
    assert_eq!(daemon.get("/-/healthy").status, 200);
    daemon.stop();
    place.serve(&[]);
}

#[test]
fn a_stop_by_either_signal_is_clean() {
    let place = Place::new(&shop().config());
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let daemon = place.serve(&["--log.format", "json"]);
        daemon.signal(signal);
        // A second SIGTERM would abort, so the first is waited for.
        until("it says so", || daemon.log().contains("stopping"));
        for line in stderr(&daemon.end()).lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "no JSON: {line}");
        }
    }
}

#[test]
fn a_ledger_of_a_newer_program_is_left_alone() {
    let place = Place::new(&shop().config());
    place.serve(&[]).stop();
    let path = place.storage().join("ledger.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let before = std::fs::read(&path).unwrap();
    let line = one_line(&place.run(&["--web.listen-address=127.0.0.1:0"]), 1);
    assert!(line.contains("ledger.db") && line.contains("999") && line.contains("newer"), "{line}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_ledger_is_moved_aside_and_named() {
    let place = Place::new(&shop().config());
    place.serve(&[]).stop();
    let damage = "this is no database, ".repeat(1000);
    std::fs::write(place.storage().join("ledger.db"), &damage).unwrap();
    let daemon = place.serve(&[]);
    let files = std::fs::read_dir(place.storage()).unwrap();
    let names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let aside: Vec<&String> = names.iter().filter(|name| name.starts_with("ledger.db.damaged-")).collect();
    assert_eq!(aside.len(), 1, "{names:?}");
    let kept = std::fs::read_to_string(place.storage().join(aside[0])).unwrap();
    assert_eq!(kept, damage, "what was there is kept as it was");
    assert!(daemon.log().contains(aside[0]), "{}", daemon.log());
    until("the status page names it", || daemon.get("/").text().contains(aside[0]));
    let quarantined = |daemon: &Daemon| daemon.scrape().value("timpush_ledger_quarantined_files", &[]);
    assert_eq!(quarantined(&daemon), Some(1.0));
    // Still so after a restart, until somebody has taken the file away.
    daemon.stop();
    let daemon = place.serve(&[]);
    assert_eq!(quarantined(&daemon), Some(1.0));
    std::fs::remove_file(place.storage().join(aside[0])).unwrap();
    until("nothing is left to say", || quarantined(&daemon) == Some(0.0));
}

#[test]
fn usersig_prints_a_signature_for_curl() {
    let place = Place::new(&shop().key("admin: ops").config());
    let output = place.run(&["usersig", "--app", "shop"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let text = stdout(&output);
    let line = text.strip_suffix('\n').unwrap();
    let inspected = usersig::inspect(line).unwrap();
    assert_eq!((inspected.identity.sdk_app_id, inspected.identity.admin.as_str()), (FIRST_APP, "ops"));
    assert!((0..60).contains(&(now() - inspected.issued_at)), "{inspected:?}");
    assert!(usersig::expiry(line).unwrap() > now());
    std::fs::remove_file(place.path("app.key")).unwrap();
    assert!(one_line(&place.run(&["usersig", "--app", "shop"]), 2).contains("app.key"));
}

#[test]
fn the_demo_shows_a_failure_within_a_minute() {
    let _turn = Turn::shared();
    let mut child =
        program().args(["demo", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let said = drain(child.stdout.take().unwrap());
    let address_in = |text: &str| {
        let (_, rest) = text.split_once("metrics      http://")?;
        let (address, _) = rest.split_once("/metrics\n")?;
        text.contains("upstream     http://127.0.0.1:").then(|| address.parse().unwrap())
    };
    let address = eventually("the demo says where it listens", || {
        let text = said.text();
        address_in(&text).ok_or(text)
    });
    let began = Instant::now();
    while !get(address, "/metrics").text().contains("\ntimpush_stage_failures_total{app=\"demo\"") {
        assert!(began.elapsed() < Duration::from_secs(60), "no failure is shown within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(get(address, "/").text().contains("demo"));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    let status = eventually("the demo has stopped", || child.try_wait().unwrap().ok_or("it runs"));
    assert_eq!(status.code(), Some(0));
}

/// What is printed can be served as it stands.
#[test]
fn a_printed_configuration_names_a_key_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = program().args(args).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    std::fs::write(folder.path().join("config.yaml"), run(&["simulate", "--print-config"])).unwrap();
    let mode = std::fs::metadata(folder.path().join("demo.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let checked = run(&["--config.check"]);
    assert!(checked.contains("no faults"), "{checked}");
    // A key that is there already is somebody's.
    std::fs::write(folder.path().join("demo.key"), "mine").unwrap();
    run(&["simulate", "--print-config"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("demo.key")).unwrap(), "mine");
}
