//! Canaries: key, signature, password and device token are in no log, page, metric, file or error.

use serde_json::{Value, json};
use timpush_exporter::sim::{Fault, Options, PopulationOptions};

use crate::support::canaries::{Canaries, PASSWORD, TOKEN, echoes, heads, http, usersig, usersigs};
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::{APP, AppText, Daemon, FIRST_APP, KEY, NOWHERE, Place, Town, eventually, until};

/// An upstream that goes through all echoes once, and how many those are.
fn talkative_upstream() -> (Listener, usize) {
    let all = echoes("/", &"x".repeat(100)).len();
    let upstream = Listener::start(move |seen| {
        let target = seen.line.split(' ').nth(1).unwrap_or_default();
        let sig = usersig(seen).expect("every question is signed");
        Reply::last(echoes(target, sig).swap_remove(seen.number.min(all - 1)))
    });
    (upstream, all)
}

fn shop(url: &str, rate: f64) -> AppText {
    AppText::new(APP, FIRST_APP, url, rate)
}

fn nothing_leaks(log_format: &str) {
    let (upstream, echoes) = talkative_upstream();
    let users: Vec<String> = (0..12).map(|user| format!("user_{user}")).collect();
    let app = shop(&upstream.url(), 20.0).entry(&format!("{{task: task, users: {users:?}}}"));
    let place = Place::new(&app.config());
    let daemon = place.serve(&["--log.level=trace", &format!("--log.format={log_format}")]);
    eventually("all echoes were told and the last one stopped the app", || {
        let resume_at = daemon.scrape().value("timpush_budget_resume_timestamp_seconds", &[("app", APP)]);
        let told = upstream.seen().len();
        (told >= echoes && resume_at > Some(0.0))
            .then_some(())
            .ok_or(format!("{told} of {echoes}, {resume_at:?}"))
    });
    let seen = upstream.seen();
    let canaries = Canaries::of(usersigs(&seen).into_iter().chain([KEY, TOKEN]));
    // The trap works: what was sent is full of it.
    assert!(canaries.found_in(heads(&seen).as_bytes()).is_some());

    assert!(daemon.log().contains("request failed"), "{}", daemon.log());
    canaries.assert_not_in_daemon(&daemon);
    assert!(canaries.assert_not_in_files(&place.storage()) >= 3, "store, its log, slot");
    canaries.assert_not_in_output("the daemon at its end", &daemon.stop());
    assert!(canaries.assert_not_in_files(&place.storage()) >= 2, "store, slot");
}

#[test]
fn no_secret_leaves_a_daemon_that_logs_all_as_logfmt() {
    nothing_leaks("logfmt");
}

#[test]
fn no_secret_leaves_a_daemon_that_logs_all_as_json() {
    nothing_leaks("json");
}

/// The simulator's own way to leak, and the tokens of its town.
#[test]
fn no_secret_of_a_whole_town_is_kept() {
    let town = Town::start(Options {
        speed: 5_000.0,
        requests_per_second: 1e6,
        population: PopulationOptions {
            tasks: 3,
            users_per_task: 4,
            push_span: std::time::Duration::from_secs(1),
            past_share: 1.0,
        },
        ..Options::default()
    });
    let place = Place::new(&town.watched(APP, 50.0).config());
    let daemon = place.serve(&["--log.level=trace"]);
    town.sim.set_fault(Fault::SecretEcho).unwrap();
    until("echoes", || town.requests(FIRST_APP) >= 12);
    town.sim.clear_faults();
    until("results", || daemon.scrape().sum("timpush_stage_results_total", &[]) > 12.0);
    // Keys of the upstream's answers in which only secrets stand would be a sign of an answer that was kept whole.
    let canaries = Canaries::of([KEY]);
    canaries.assert_not_in_daemon(&daemon);
    canaries.assert_not_in_files(&place.storage());
    for word in ["usersig", "CertId", "eJ"] {
        assert!(!daemon.log().contains(word), "{word}: {}", daemon.log());
    }
    daemon.stop();
}

const SOURCE_ECHOES: usize = 6;
/// What a watch source may answer that says its password back, by the number in its path.
fn source_echoes(seen: &Seen) -> [Vec<u8>; SOURCE_ECHOES] {
    let header = seen
        .head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("authorization:"))
        .unwrap_or("none");
    let secret = header.rsplit(' ').next().unwrap_or_default();
    [
        http("401 Unauthorized", &format!("X-Got: {header}\r\n"), &seen.head),
        http("200 OK", "", header),
        http(
            "200 OK",
            "",
            &json!([{"task": "t", "users": ["u"], "pushed_at": secret, secret: secret}]).to_string(),
        ),
        http("302 Found", &format!("Location: http://{PASSWORD}@127.0.0.1:9/{secret}\r\n"), ""),
        format!("HTTP/1.1 {header}\r\n\r\n").into_bytes(),
        format!("{header}\r\n\r\n").into_bytes(),
    ]
}

#[test]
fn no_password_of_a_watch_source_is_shown() {
    let source = Listener::start(|seen| {
        let number =
            seen.line.split_once("/watch").and_then(|(_, rest)| rest.get(..1)?.parse::<usize>().ok());
        Reply::last(source_echoes(seen)[number.expect("a source of the list")].clone())
    });
    let entry = |number: usize| {
        let url = format!("{}/watch{number}", source.url());
        let proof = if number.is_multiple_of(2) {
            ("basic_auth", json!({"username": "exporter", "password_file": "watch.password"}))
        } else {
            ("authorization", json!({"credentials_file": "watch.password"}))
        };
        json!({"url": url, "refresh": "1s", proof.0: proof.1})
    };
    let watch = json!({"http": (0..SOURCE_ECHOES).map(entry).collect::<Vec<_>>()});
    let place = Place::new(&shop(NOWHERE, 1.0).key(&format!("watch: {watch}")).config());
    place.write("watch.password", PASSWORD);
    let daemon = place.begin(&["--log.level=trace"]);
    eventually("every source was asked and told of", || {
        let log = daemon.log();
        let missing = (0..SOURCE_ECHOES).find(|number| !log.contains(&format!("http[{number}]")));
        missing.map_or(Ok(()), |number| Err(format!("http[{number}] is not in the log:\n{log}")))
    });
    let heads = heads(&source.seen());
    let basic =
        heads.split_once("Basic ").or(heads.split_once("basic ")).and_then(|(_, rest)| rest.lines().next());
    let canaries = Canaries::of([PASSWORD, basic.expect("a source was asked with its password"), KEY]);
    assert!(canaries.found_in(heads.as_bytes()).is_some());
    canaries.assert_not_in_daemon(&daemon);
    canaries.assert_not_in_output("the daemon at its end", &daemon.stop());
    canaries.assert_not_in_files(&place.storage());
}

/// Configurations with a secret where none belongs, each with what the fault must name.
fn pasted(sig: &str) -> Vec<(&'static str, String)> {
    let set = |key: &str, value: Value| shop(NOWHERE, 1.0).key(&format!("{key}: {value}")).config();
    let source = |source: Value| set("watch", json!({"http": [source]}));
    // Nobody can name the key of what is no YAML.
    let mut pasted = vec![("is no YAML", format!("apps:\n  - name: shop\n    secret_key: \"{KEY}\n"))];
    for key in [
        "secret_key",
        "usersig",
        "secret_key_file",
        "secret_key_env",
        "usersig_file",
        "secret",
        "secret_keyfile",
        "region",
        "sdk_app_id",
        "requests_per_second",
        "request_timeout",
        "time_zone",
        "watch_for",
        "max_pairs",
        "watch_labels",
        "endpoint",
        "watch",
    ] {
        for secret in [KEY, sig] {
            pasted.push((key, set(key, json!(secret))));
            pasted.push((key, set(key, json!([secret]))));
            pasted.push((key, set(key, json!({"text": secret}))));
        }
    }
    // In the place of a key.
    let unknown = |config: String| ("is no known key", config);
    for secret in [KEY, PASSWORD, sig] {
        let value = || json!({"text": 1});
        pasted.push(unknown(set(secret, value())));
        pasted.push(unknown(format!("{}{secret}: null\n", shop(NOWHERE, 1.0).config())));
        pasted.push(unknown(set("watch", json!({secret: value()}))));
        pasted.push(unknown(source(
            json!({"url": "http://host/", "basic_auth": {"username": "me", secret: 1}}),
        )));
        pasted
            .push(unknown(set("watch", json!({"static": [{"task": "t", "users": ["u"], secret: value()}]}))));
        let twice = shop(NOWHERE, 1.0).key(&format!("{secret}: 1\n    {secret}: 1"));
        pasted.push(("is written twice", twice.config()));
    }
    let basic_auth = json!({"username": "me", "password": PASSWORD});
    let authorization = json!({"credentials": PASSWORD});
    pasted.extend([
        ("endpoint", set("endpoint", json!(format!("https://me:{PASSWORD}@host")))),
        ("endpoint", set("endpoint", json!(format!("https://host/?usersig={sig}")))),
        ("url", source(json!({"url": format!("http://me:{PASSWORD}@host/")}))),
        ("password", source(json!({"url": "http://host/", "basic_auth": basic_auth}))),
        ("credentials", source(json!({"url": "http://host/", "authorization": authorization}))),
        ("bearer_token", source(json!({"url": "http://host/", "bearer_token": PASSWORD}))),
    ]);
    pasted
}

/// Secrets pasted where they do not belong: each is refused by its key path, and none is shown.
#[test]
fn a_secret_pasted_into_the_configuration_is_refused_and_not_shown() {
    let place = Place::new(&shop(NOWHERE, 1.0).config());
    let printed = place.run(&["usersig", "--app", APP]);
    assert!(printed.status.success(), "{printed:?}");
    let sig = String::from_utf8(printed.stdout).unwrap().trim().to_owned();
    let canaries = Canaries::of([KEY, PASSWORD, &sig]);
    assert!(canaries.found_in(sig.as_bytes()).is_some());

    let mut wrong = Vec::new();
    for (key, config) in pasted(&sig) {
        assert!(canaries.found_in(config.as_bytes()).is_some(), "{config}");
        place.configure(&config);
        for arguments in [&["--config.check"][..], &["--log.level=trace"], &["trace", "t", "u", "--app", APP]]
        {
            let output = place.run(arguments);
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let shown = [&output.stdout, &output.stderr].into_iter().find_map(|text| canaries.found_in(text));
            let is_named = errors.contains("config.yaml") && errors.contains(key);
            if shown.is_some() || !is_named || output.status.code() != Some(2) {
                wrong.push(format!(
                    "{arguments:?} with {key}: {}, shows {shown:?}, says: {errors}",
                    output.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The subcommands that ask or sign say what is wrong without showing with what.
#[test]
fn a_trace_that_fails_shows_no_signature() {
    let (upstream, echoes) = talkative_upstream();
    let place = Place::new(&shop(&upstream.url(), 1_000.0).config());
    for turn in 0..echoes {
        let more = if turn % 2 == 1 { &["--json"][..] } else { &[] };
        let output = place.run(&[&["trace", "t", "u", "--app", APP, "--log.level=trace"], more].concat());
        let seen = upstream.seen();
        let canaries = Canaries::of(usersigs(&seen).into_iter().chain([KEY, TOKEN]));
        canaries.assert_not_in_output(&format!("trace number {}", seen.len()), &output);
    }
    assert_eq!(upstream.seen().len(), echoes);
    assert!(!std::fs::read_to_string(place.path("app.key")).unwrap().is_empty());
}

/// An answer that holds the device token wherever it may slip in is decoded, and shown without it.
#[test]
fn a_trace_that_works_shows_no_token() {
    let upstream = Listener::start(|seen| {
        let sig = usersig(seen).expect("every question is signed");
        Reply::last(echoes("/", sig).swap_remove(0)) // The one that is an answer.
    });
    let place = Place::new(&shop(&upstream.url(), 1_000.0).config());
    for more in [&[][..], &["--json"]] {
        let output = place.run(&[&["trace", "t", "u", "--app", APP, "--log.level=trace"], more].concat());
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && shown.contains("74224656"), "{more:?}: {output:?}");
        let seen = upstream.seen();
        let canaries = Canaries::of(usersigs(&seen).into_iter().chain([KEY, TOKEN]));
        canaries.assert_not_in_output(&format!("trace {more:?}"), &output);
    }
    Canaries::of([KEY, TOKEN]).assert_not_in_files(&place.storage());
}

/// The key from the environment is where the system shows it, and nowhere else.
#[test]
fn a_key_from_the_environment_is_not_shown_and_no_core_is_dumped() {
    let town = Town::start(Options::default());
    let app = shop(&town.sim.url(), 50.0).without("secret_key_file").key("secret_key_env: SHOP_KEY");
    let place = Place::new(&app.users("t", 1).config());
    let mut command = place.command(&["--log.level=trace"]);
    command.env("SHOP_KEY", KEY);
    let daemon = Daemon::spawn(command).ready();
    until("a question", || town.requests(FIRST_APP) > 0);
    Canaries::of([KEY]).assert_not_in_daemon(&daemon);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    Canaries::of([KEY]).assert_not_in_output("the daemon at its end", &daemon.stop());
    Canaries::of([KEY]).assert_not_in_files(&place.storage());
}
