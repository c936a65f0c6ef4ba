//! Canaries: key, signature, password and device token are in no log, page, metric, file or error.

use std::process::Output;

use serde_json::{Value, json};
use timpush_exporter::sim::{Fault, Options, TownOptions};

use crate::support::canaries::{Canaries, PASSWORD, TOKEN, echoes, http, usersig, usersigs};
use crate::support::daemon::binary;
use crate::support::rig::KEY_FILE;
use crate::support::spy::Spy;
use crate::support::{APP, App, Daemon, KEY, Rig, wait_for, wait_until};

/// A spy that goes through all echoes once, and how many those are.
async fn talkative_upstream() -> (Spy, usize) {
    let all = echoes("/", &"x".repeat(100)).len();
    let spy = Spy::start(move |turn, head| {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let sig = usersig(head).expect("every question is signed");
        echoes(target, sig).swap_remove(turn.min(all - 1))
    })
    .await;
    (spy, all)
}

/// A rig whose daemon asks the spy for 12 pairs.
fn rig_for(spy: &Spy) -> Rig {
    let rig = Rig::start(Options::default());
    let mut app = App::new(&format!("http://{}", spy.address), 20.0);
    let users: Vec<String> = (0..12).map(|user| format!("user_{user}")).collect();
    app.entries = json!([{"task": "task", "users": users}]);
    rig.configure(&[app]);
    rig
}

async fn nothing_leaks(log_format: &str) {
    let (spy, echoes) = talkative_upstream().await;
    let rig = rig_for(&spy);
    let flags = ["--log.level=trace", &format!("--log.format={log_format}")];
    let mut daemon = Daemon::spawn(rig.folder(), &flags);
    daemon.ready().await;
    wait_for("all echoes were told and the last one stopped the app", async || {
        let resume_at =
            daemon.scrape().await.value("timpush_budget_resume_timestamp_seconds", &[("app", APP)]);
        let told = spy.heads().len();
        (told >= echoes && resume_at > Some(0.0))
            .then_some(())
            .ok_or(format!("{told} of {echoes}, {resume_at:?}"))
    })
    .await;
    let heads = spy.heads();
    let canaries = Canaries::of(usersigs(&heads).into_iter().chain([KEY, TOKEN]));
    // The trap works: what was sent is full of it.
    assert!(canaries.found_in(heads.concat().as_bytes()).is_some());

    assert!(daemon.stderr().contains("exchange failed"), "{}", daemon.stderr());
    canaries.assert_not_in_daemon(&daemon).await;
    assert!(canaries.assert_not_in_files(&rig.path("data")) >= 3, "store, its log, slot");
    let (status, _) = daemon.terminate().await;
    assert!(status.success(), "{status}");
    canaries.assert_not_in("stderr at the end", daemon.stderr().as_bytes());
    canaries.assert_not_in("stdout at the end", daemon.stdout().as_bytes());
    assert!(canaries.assert_not_in_files(&rig.path("data")) >= 2, "store, slot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_leaves_a_daemon_that_logs_all_as_logfmt() {
    nothing_leaks("logfmt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_leaves_a_daemon_that_logs_all_as_json() {
    nothing_leaks("json").await;
}

/// The simulator's own way to leak, and the tokens of its town.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_whole_town_is_kept() {
    let rig = Rig::start(Options {
        speed: 5_000.0,
        requests_per_second: 1e6,
        town: TownOptions {
            tasks: 3,
            users_per_task: 4,
            push_span: std::time::Duration::from_secs(1),
            past_share: 1.0,
        },
        ..Options::default()
    });
    rig.configure(&[rig.app(50.0)]);
    let mut daemon = Daemon::spawn(rig.folder(), &["--log.level=trace"]);
    daemon.ready().await;
    rig.simulator.set_fault(Fault::SecretEcho).unwrap();
    wait_until("echoes", async || rig.requests() >= 12).await;
    rig.simulator.clear_faults();
    wait_until("results", async || daemon.scrape().await.sum("timpush_stage_results_total", &[]) > 12.0)
        .await;
    // Keys of the upstream's answers in which only secrets stand would be a sign of an answer that was kept whole.
    let canaries = Canaries::of([KEY]);
    canaries.assert_not_in_daemon(&daemon).await;
    canaries.assert_not_in_files(&rig.path("data"));
    for word in ["usersig", "CertId", "eJ"] {
        assert!(!daemon.stderr().contains(word), "{word}: {}", daemon.stderr());
    }
    let (status, _) = daemon.terminate().await;
    assert!(status.success(), "{status}");
}

/// What a watch source may answer that says its password back, by the number in its path.
fn source_echoes(head: &str) -> Vec<Vec<u8>> {
    let header =
        head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:")).unwrap_or("none");
    let secret = header.rsplit(' ').next().unwrap_or_default();
    vec![
        http("401 Unauthorized", &format!("X-Got: {header}\r\n"), head),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_of_a_watch_source_is_shown() {
    let spy = Spy::start(|_, head| {
        let number = head.split_once("/watch").and_then(|(_, rest)| rest.get(..1)?.parse::<usize>().ok());
        let mut echoes = source_echoes(head);
        number
            .filter(|number| *number < echoes.len())
            .map_or_else(Vec::new, |number| echoes.swap_remove(number))
    })
    .await;
    let rig = Rig::start(Options::default());
    rig.write("watch.password", PASSWORD);
    let source = |number: usize| {
        let url = format!("http://{}/watch{number}", spy.address);
        let proof = if number.is_multiple_of(2) {
            ("basic_auth", json!({"username": "exporter", "password_file": "watch.password"}))
        } else {
            ("authorization", json!({"credentials_file": "watch.password"}))
        };
        json!({"url": url, "refresh": "1s", proof.0: proof.1})
    };
    let count = source_echoes("").len();
    let mut app = App::new("http://127.0.0.1:9", 1.0);
    app.more = vec![("watch".to_owned(), json!({"http": (0..count).map(source).collect::<Vec<_>>()}))];
    rig.configure(&[app]);
    let mut daemon = Daemon::spawn(rig.folder(), &["--log.level=trace"]);
    daemon.listening().await;
    wait_for("every source was asked and told of", async || {
        let log = daemon.stderr();
        let missing = (0..count).find(|number| !log.contains(&format!("http[{number}]")));
        missing.map_or(Ok(()), |number| Err(format!("http[{number}] is not in the log:\n{log}")))
    })
    .await;
    let heads = spy.heads().concat();
    let basic =
        heads.split_once("Basic ").or(heads.split_once("basic ")).and_then(|(_, rest)| rest.lines().next());
    let canaries = Canaries::of([PASSWORD, basic.expect("a source was asked with its password"), KEY]);
    assert!(canaries.found_in(heads.as_bytes()).is_some());
    canaries.assert_not_in_daemon(&daemon).await;
    let (status, _) = daemon.terminate().await;
    assert!(status.success(), "{status}");
    canaries.assert_not_in("stderr at the end", daemon.stderr().as_bytes());
    canaries.assert_not_in_files(&rig.path("data"));
}

fn run(rig: &Rig, arguments: &[&str]) -> Output {
    binary(rig.folder()).args(arguments).output().unwrap()
}

/// Configurations with a secret where none belongs, each with what the fault must name.
fn pasted(sig: &str) -> Vec<(&'static str, String)> {
    let app = App::new("http://127.0.0.1:9", 1.0);
    let set = |key: &str, value: Value| {
        let mut app = app.json();
        app[key] = value;
        json!({"apps": [app]}).to_string()
    };
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
        pasted.push(unknown(json!({"apps": [app.json()], secret: null}).to_string()));
        pasted.push(unknown(set("watch", json!({secret: value()}))));
        pasted.push(unknown(source(
            json!({"url": "http://host/", "basic_auth": {"username": "me", secret: 1}}),
        )));
        pasted
            .push(unknown(set("watch", json!({"static": [{"task": "t", "users": ["u"], secret: value()}]}))));
        let twice = set("twice", json!(1)).replace("\"twice\":1", &format!("\"{secret}\":1,\"{secret}\":1"));
        pasted.push(("is written twice", twice));
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
#[tokio::test]
async fn a_secret_pasted_into_the_configuration_is_refused_and_not_shown() {
    let rig = Rig::start(Options::default());
    rig.configure(&[App::new("http://127.0.0.1:9", 1.0)]);
    let printed = run(&rig, &["usersig", "--app", APP]);
    assert!(printed.status.success(), "{printed:?}");
    let sig = String::from_utf8(printed.stdout).unwrap().trim().to_owned();
    let canaries = Canaries::of([KEY, PASSWORD, &sig]);
    assert!(canaries.found_in(sig.as_bytes()).is_some());

    let mut wrong = Vec::new();
    for (key, config) in pasted(&sig) {
        assert!(canaries.found_in(config.as_bytes()).is_some(), "{config}");
        rig.write("config.yaml", &config);
        for arguments in [&["--config.check"][..], &["--log.level=trace"], &["trace", "t", "u", "--app", APP]]
        {
            let output = run(&rig, arguments);
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
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_fails_shows_no_signature() {
    let (spy, echoes) = talkative_upstream().await;
    let rig = Rig::start(Options::default());
    rig.configure(&[App::new(&format!("http://{}", spy.address), 1_000.0)]);
    for turn in 0..echoes {
        let mut command = binary(rig.folder());
        command.args(["trace", "t", "u", "--app", APP, "--log.level=trace"]);
        if turn % 2 == 1 {
            command.arg("--json");
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let heads = spy.heads();
        let canaries = Canaries::of(usersigs(&heads).into_iter().chain([KEY, TOKEN]));
        canaries.assert_not_in_output(&format!("trace number {}", heads.len()), &output);
    }
    assert_eq!(spy.heads().len(), echoes);
    assert!(!std::fs::read_to_string(rig.path(KEY_FILE)).unwrap().is_empty());
}

/// An answer that holds the device token wherever it may slip in is decoded, and shown without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_works_shows_no_token() {
    let spy = Spy::start(|_, head| {
        echoes("/", usersig(head).expect("every question is signed")).swap_remove(0) // The one that is an answer.
    })
    .await;
    let rig = Rig::start(Options::default());
    rig.configure(&[App::new(&format!("http://{}", spy.address), 1_000.0)]);
    for more in [&[][..], &["--json"]] {
        let mut command = binary(rig.folder());
        command.args(["trace", "t", "u", "--app", APP, "--log.level=trace"]).args(more);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && shown.contains("74224656"), "{more:?}: {output:?}");
        let heads = spy.heads();
        let canaries = Canaries::of(usersigs(&heads).into_iter().chain([KEY, TOKEN]));
        canaries.assert_not_in_output(&format!("trace {more:?}"), &output);
    }
    Canaries::of([KEY, TOKEN]).assert_not_in_files(&rig.path("data"));
}

/// The key from the environment is where the system shows it, and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_from_the_environment_is_not_shown_and_no_core_is_dumped() {
    let rig = Rig::start(Options::default());
    let mut app = App::new(&rig.simulator.url(), 50.0).json();
    app.as_object_mut().unwrap().remove("secret_key_file");
    app["secret_key_env"] = json!("SHOP_KEY");
    app["watch"]["static"] = json!([{"task": "t", "users": ["u"]}]);
    rig.write("config.yaml", &json!({"apps": [app]}).to_string());
    let mut command = binary(rig.folder());
    command.env("SHOP_KEY", KEY);
    let mut daemon = Daemon::run(command, &["--log.level=trace"]);
    daemon.ready().await;
    wait_until("a question", async || rig.requests() > 0).await;
    Canaries::of([KEY]).assert_not_in_daemon(&daemon).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert!(daemon.terminate().await.0.success());
    Canaries::of([KEY]).assert_not_in("stderr", daemon.stderr().as_bytes());
    Canaries::of([KEY]).assert_not_in_files(&rig.path("data"));
}
