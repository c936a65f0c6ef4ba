//! TLS and passwords from outside: `--web.config.file` at the start, while it changes, and where it is wrong.

use std::process::Output;

use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Client};
use timpush_exporter::sim::Options;

use crate::support::canaries::Canaries;
use crate::support::daemon::{binary, client};
use crate::support::{App, Daemon, Rig, Scrape, wait_for, wait_until};

const WEB: &str = "web.yaml";
const FLAG: &str = "--web.config.file=web.yaml";
const USER: &str = "prometheus";
const PASSWORD: &str = "open-sesame-open-sesame-4711";
const RELOADED: &str = "timpush_web_config_last_reload_successful";

/// A rig whose app asks nobody.
fn rig() -> Rig {
    let rig = Rig::start(Options::default());
    rig.configure(&[App::new("http://127.0.0.1:9", 1.0)]);
    rig
}

/// Puts a new certificate of 127.0.0.1 with its key in place, each file at once, and gives a client that trusts no other.
fn certify(rig: &Rig) -> Client {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    for (name, text) in [("server.pem", certificate.pem()), ("server.key", key.serialize_pem())] {
        rig.write("new", &text);
        std::fs::rename(rig.path("new"), rig.path(name)).unwrap();
    }
    drop(client()); // TLS needs its provider first.
    let trusted = Certificate::from_pem(certificate.pem().as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap()
}

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

fn with_tls(more: &str) -> String {
    format!("tls_server_config: {{cert_file: server.pem, key_file: server.key}}\n{more}\n")
}

fn with_password(password: &str) -> String {
    with_tls(&format!("basic_auth_users: {{{USER}: {}}}", hash(password)))
}

/// A daemon of that rig, and its URL over TLS.
async fn serve(rig: &Rig) -> (Daemon, String) {
    let mut daemon = Daemon::spawn(rig.folder(), &[FLAG, "--log.level=trace"]);
    let address = daemon.listening().await;
    (daemon, format!("https://{address}"))
}

/// The status of a request with that password, or why there is no answer.
async fn status(client: &Client, url: &str, password: &str) -> Result<u16, String> {
    let sent = client.get(url).basic_auth(USER, Some(password)).send().await;
    sent.map(|response| response.status().as_u16()).map_err(|error| format!("{error:?}"))
}

async fn scrape(client: &Client, url: &str, password: &str) -> Scrape {
    let request = client.get(format!("{url}/metrics")).basic_auth(USER, Some(password));
    Scrape::read(&request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_with_tls_and_a_password_lets_in_who_knows_it() {
    let rig = rig();
    let trusting = certify(&rig);
    let more = format!(
        "basic_auth_users: {{{USER}: {}}}\nhttp_server_config: {{headers: {{Strict-Transport-Security: max-age=60}}}}",
        hash(PASSWORD)
    );
    rig.write(WEB, &with_tls(&more));
    let (mut daemon, url) = serve(&rig).await;
    let open = async |path: &str| trusting.get(format!("{url}{path}")).send().await.unwrap();
    wait_until("readiness, without a password", async || open("/-/ready").await.status() == 200).await;
    assert_eq!(open("/-/healthy").await.status(), 200);
    let refused = open("/metrics").await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    assert_eq!(refused.headers()["strict-transport-security"], "max-age=60");
    for path in ["/", "/metrics", "/config"] {
        assert_eq!(status(&trusting, &format!("{url}{path}"), PASSWORD).await, Ok(200), "{path}");
        assert_eq!(status(&trusting, &format!("{url}{path}"), "guess").await, Ok(401), "{path}");
    }
    let plain = daemon.get("/metrics").await.unwrap();
    assert_eq!((plain.status, plain.body.contains("HTTPS")), (400, true), "{plain:?}");
    let shown = scrape(&trusting, &url, PASSWORD).await;
    assert_eq!(shown.value(RELOADED, &[]), Some(1.0));
    assert!(shown.value("timpush_web_certificate_expiry_timestamp_seconds", &[]) > Some(1.7e9));
    assert_eq!(shown.value("timpush_web_requests_refused_total", &[("reason", "password")]), Some(4.0));
    assert_eq!(shown.value("timpush_web_tls_handshakes_failed_total", &[]), Some(1.0));
    let (ended, _) = daemon.terminate().await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_is_in_force_without_a_restart_and_what_is_wrong_is_not() {
    let rig = rig();
    let first = certify(&rig);
    rig.write(WEB, &with_password(PASSWORD));
    let (daemon, url) = serve(&rig).await;
    let page = format!("{url}/");
    assert_eq!(status(&first, &page, PASSWORD).await, Ok(200));

    let second = certify(&rig);
    wait_for("the new certificate", async || status(&second, &page, PASSWORD).await).await;

    rig.write(WEB, &with_password("another"));
    wait_until("the new password", async || status(&second, &page, "another").await == Ok(200)).await;
    assert_eq!(status(&second, &page, PASSWORD).await, Ok(401), "the old one is forgotten");

    for (wrong, told) in [
        (with_password("third").replace("$2b$", "$9$"), "is no bcrypt hash"),
        (String::new(), "is empty"),
        (with_tls("basic_auth_users: {prometheus: "), "is no YAML"),
    ] {
        rig.write(WEB, &wrong);
        wait_until(told, async || daemon.stderr().contains(told)).await;
        assert_eq!(scrape(&second, &url, "another").await.value(RELOADED, &[]), Some(0.0));
        assert_eq!(status(&second, &page, "third").await, Ok(401));
    }
    let faults = daemon.stderr().matches("web configuration not reloaded").count();
    assert_eq!(faults, 3, "each told once:\n{}", daemon.stderr());

    rig.write(WEB, &with_password("third"));
    wait_until("the file that was mended", async || status(&second, &page, "third").await == Ok(200)).await;
    assert_eq!(scrape(&second, &url, "third").await.value(RELOADED, &[]), Some(1.0));

    // All of it may be taken back.
    rig.write(WEB, "{}");
    wait_until("plain HTTP", async || daemon.get("/metrics").await.is_ok_and(|reply| reply.status == 200))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_passwords_stops_no_scrape() {
    let rig = rig();
    let trusting = certify(&rig);
    rig.write(
        WEB,
        &with_tls(&format!("basic_auth_users: {{{USER}: {}}}", bcrypt::hash(PASSWORD, 10).unwrap())),
    );
    let (_daemon, url) = serve(&rig).await;
    assert_eq!(status(&trusting, &url, PASSWORD).await, Ok(200));
    let mut flood = tokio::task::JoinSet::new();
    for guess in 0..24 {
        let (trusting, url) = (trusting.clone(), url.clone());
        flood.spawn(async move { status(&trusting, &url, &format!("guess {guess}")).await });
    }
    for _ in 0..5 {
        assert_eq!(status(&trusting, &format!("{url}/metrics"), PASSWORD).await, Ok(200));
    }
    let answers = flood.join_all().await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(401 | 503))), "{answers:?}");
    let shown = scrape(&trusting, &url, PASSWORD).await;
    let refused = shown.sum("timpush_web_requests_refused_total", &[]);
    assert_eq!(refused, 24.0);
}

fn run(rig: &Rig, arguments: &[&str]) -> Output {
    binary(rig.folder()).args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_check_looks_at_the_web_configuration_too() {
    let rig = rig();
    certify(&rig);
    rig.write(WEB, &with_password(PASSWORD));
    let good = run(&rig, &["--config.check", FLAG]);
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success(), "{text}");
    for words in ["config.yaml: no faults", "web.yaml: no faults", "TLS: on", "basic auth: on, users: 1"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    rig.write(WEB, "tls_server_config: {cert_file: server.pem}\nbasic_auth_user: {}\n");
    rig.write("config.yaml", "apps: []\n");
    for arguments in [&["--config.check", FLAG][..], &[FLAG]] {
        let bad = run(&rig, arguments);
        let text = String::from_utf8(bad.stderr).unwrap();
        assert_eq!(bad.status.code(), Some(2), "{text}");
        for words in [
            "config.yaml: apps: ",
            "web.yaml: tls_server_config.key_file: is missing",
            "web.yaml: basic_auth_user: is no known key; did you mean basic_auth_users?",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
    let missing = run(&rig, &["--web.config.file=nowhere.yaml"]);
    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(missing.status.code() == Some(2) && text.contains("nowhere.yaml: cannot be read"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_hash_or_key_is_shown() {
    let rig = rig();
    certify(&rig);
    let read = |name: &str| std::fs::read_to_string(rig.path(name)).unwrap();
    let (cert, key) = (read("server.pem"), read("server.key"));
    let secret = key.lines().nth(1).unwrap().to_owned();
    let hash = hash(PASSWORD);
    let token = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{USER}:{PASSWORD}"));
    let canaries = Canaries::of([PASSWORD, &hash, &secret, &token]);
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let tls = format!("{{cert: {}, key: {}}}", json(&cert), json(&key));
    let users = format!("{{{USER}: {}}}", json(&hash));
    let whole = format!("tls_server_config: {tls}\nbasic_auth_users: {users}\n");
    assert!(canaries.found_in(whole.as_bytes()).is_some());

    // Plain HTTP, so that all pages are looked at; the key is read all the same where TLS is faulty.
    rig.write(WEB, &format!("basic_auth_users: {users}\n"));
    let (mut daemon, _) = serve(&rig).await;
    let address = daemon.listening().await;
    for path in ["/", "/metrics", "/config", "/api/v1/watches", "/none"] {
        let url = format!("http://{PASSWORD}@{address}{path}?password={PASSWORD}");
        let answer = client().get(url).basic_auth(USER, Some(PASSWORD)).send().await.unwrap();
        let headers = format!("{:?}", answer.headers());
        canaries.assert_not_in(path, headers.as_bytes());
        canaries.assert_not_in(path, answer.text().await.unwrap().as_bytes());
    }
    let wrong = [
        format!("tls_server_config: {}\n", tls.replace("key:", "kay:")),
        format!("tls_server_config: {{cert: {}, key: {}}}\n", json(&key), json(&cert)),
        format!("tls_server_config: {{cert_file: {}, key_file: {}}}\n", json(&key), json(&secret)),
        format!("basic_auth_users: {{{USER}: {PASSWORD}}}\n"),
        format!("basic_auth_users: {}\n", json(&hash)),
        format!("basic_auth_users: [{}]\n", json(&hash)),
        format!("basic_auth_users: {{{USER}: \"{hash}\n"),
        format!("{whole}rate_limit: {{interval: {}, burst: {PASSWORD}}}\n", json(&secret)),
        format!("{whole}http_server_config: {{headers: {{X-Frame-Options: {}}}}}\n", json(&secret)),
    ];
    for text in &wrong {
        rig.write(WEB, text);
        let output = run(&rig, &["--config.check", FLAG]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        canaries.assert_not_in_output(text, &output);
    }
    wait_until("the last fault", async || daemon.stderr().contains("not reloaded")).await;
    canaries.assert_not_in_daemon(&daemon).await;
    rig.write(WEB, &whole);
    wait_until("TLS", async || daemon.stderr().contains("web configuration reloaded")).await;
    let (ended, _) = daemon.terminate().await;
    assert!(ended.success(), "{ended}");
    canaries.assert_not_in("stderr at the end", daemon.stderr().as_bytes());
    canaries.assert_not_in_files(&rig.path("data"));
}
