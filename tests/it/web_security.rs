//! TLS and passwords from outside: `--web.config.file` at the start, while it changes, and where it is wrong.

mod tls;

use crate::support::canaries::Canaries;
use crate::support::{APP, AppText, Daemon, FIRST_APP, NOWHERE, Place, Scrape, eventually, request, until};
use tls::{Client, certify};

const WEB: &str = "web.yaml";
const FLAG: &str = "--web.config.file=web.yaml";
const USER: &str = "prometheus";
const PASSWORD: &str = "open-sesame-open-sesame-4711";
const RELOADED: &str = "timpush_web_config_last_reload_successful";

/// A place whose app asks nobody.
fn place() -> Place {
    Place::new(&AppText::new(APP, FIRST_APP, NOWHERE, 1.0).config())
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

/// A daemon of that place, and its URL over TLS.
fn serve(place: &Place) -> (Daemon, String) {
    let daemon = place.begin(&[FLAG, "--log.level=trace"]);
    let url = format!("https://{}", daemon.address());
    (daemon, url)
}

fn scrape(client: &Client, url: &str, password: &str) -> Scrape {
    let page = client.get(&format!("{url}/metrics"), Some(password)).unwrap();
    assert_eq!(page.status, 200, "{}", page.text());
    Scrape::read(&page.text())
}

#[test]
fn a_daemon_with_tls_and_a_password_lets_in_who_knows_it() {
    let place = place();
    let trusting = certify(&place);
    let more = format!(
        "basic_auth_users: {{{USER}: {}}}\nhttp_server_config: {{headers: {{Strict-Transport-Security: max-age=60}}}}",
        hash(PASSWORD)
    );
    place.write(WEB, &with_tls(&more));
    let (daemon, url) = serve(&place);
    let open = |path: &str| trusting.get(&format!("{url}{path}"), None).unwrap();
    until("readiness, without a password", || open("/-/ready").status == 200);
    assert_eq!(open("/-/healthy").status, 200);
    let refused = open("/metrics");
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").unwrap().starts_with("Basic"));
    assert_eq!(refused.header("strict-transport-security"), Some("max-age=60"));
    for path in ["/", "/metrics", "/config"] {
        assert_eq!(trusting.status(&format!("{url}{path}"), PASSWORD), Ok(200), "{path}");
        assert_eq!(trusting.status(&format!("{url}{path}"), "guess"), Ok(401), "{path}");
    }
    let plain = daemon.get("/metrics");
    assert_eq!((plain.status, plain.text().contains("HTTPS")), (400, true), "{}", plain.text());
    let shown = scrape(&trusting, &url, PASSWORD);
    assert_eq!(shown.value(RELOADED, &[]), Some(1.0));
    assert!(shown.value("timpush_web_certificate_expiry_timestamp_seconds", &[]) > Some(1.7e9));
    assert_eq!(shown.value("timpush_web_requests_refused_total", &[("reason", "password")]), Some(4.0));
    assert_eq!(shown.value("timpush_web_tls_handshakes_failed_total", &[]), Some(1.0));
    daemon.stop();
}

#[test]
fn what_changes_is_in_force_without_a_restart_and_what_is_wrong_is_not() {
    let place = place();
    let first = certify(&place);
    place.write(WEB, &with_password(PASSWORD));
    let (daemon, url) = serve(&place);
    let page = format!("{url}/");
    assert_eq!(first.status(&page, PASSWORD), Ok(200));

    let second = certify(&place);
    eventually("the new certificate", || second.status(&page, PASSWORD));

    place.write(WEB, &with_password("another"));
    until("the new password", || second.status(&page, "another") == Ok(200));
    assert_eq!(second.status(&page, PASSWORD), Ok(401), "the old one is forgotten");

    for (wrong, told) in [
        (with_password("third").replace("$2b$", "$9$"), "is no bcrypt hash"),
        (String::new(), "is empty"),
        (with_tls("basic_auth_users: {prometheus: "), "is no YAML"),
    ] {
        place.write(WEB, &wrong);
        until(told, || daemon.log().contains(told));
        assert_eq!(scrape(&second, &url, "another").value(RELOADED, &[]), Some(0.0));
        assert_eq!(second.status(&page, "third"), Ok(401));
    }
    let faults = daemon.log().matches("web configuration not reloaded").count();
    assert_eq!(faults, 3, "each told once:\n{}", daemon.log());

    place.write(WEB, &with_password("third"));
    until("the file that was mended", || second.status(&page, "third") == Ok(200));
    assert_eq!(scrape(&second, &url, "third").value(RELOADED, &[]), Some(1.0));

    // All of it may be taken back.
    place.write(WEB, "{}");
    let plain = format!("http://{}/metrics", daemon.address());
    until("plain HTTP", || second.get(&plain, None).is_ok_and(|page| page.status == 200));
}

#[test]
fn a_flood_of_wrong_passwords_stops_no_scrape() {
    let place = place();
    let trusting = certify(&place);
    place.write(
        WEB,
        &with_tls(&format!("basic_auth_users: {{{USER}: {}}}", bcrypt::hash(PASSWORD, 10).unwrap())),
    );
    let (_daemon, url) = serve(&place);
    assert_eq!(trusting.status(&url, PASSWORD), Ok(200));
    let answers = std::thread::scope(|scope| {
        let (trusting, url) = (&trusting, &url);
        let guess = |guess| scope.spawn(move || trusting.status(url, &format!("guess {guess}")));
        let flood: Vec<_> = (0..24).map(guess).collect();
        for _ in 0..5 {
            assert_eq!(trusting.status(&format!("{url}/metrics"), PASSWORD), Ok(200));
        }
        flood.into_iter().map(|guess| guess.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|answer| matches!(answer, Ok(401 | 503))), "{answers:?}");
    let shown = scrape(&trusting, &url, PASSWORD);
    let refused = shown.sum("timpush_web_requests_refused_total", &[]);
    assert_eq!(refused, 24.0);
}

#[test]
fn config_check_looks_at_the_web_configuration_too() {
    let place = place();
    certify(&place);
    place.write(WEB, &with_password(PASSWORD));
    let good = place.run(&["--config.check", FLAG]);
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success(), "{text}");
    for words in ["config.yaml: no faults", "web.yaml: no faults", "TLS: on", "basic auth: on, users: 1"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    place.write(WEB, "tls_server_config: {cert_file: server.pem}\nbasic_auth_user: {}\n");
    place.write("config.yaml", "apps: []\n");
    for arguments in [&["--config.check", FLAG][..], &[FLAG]] {
        let bad = place.run(arguments);
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
    let missing = place.run(&["--web.config.file=nowhere.yaml"]);
    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(missing.status.code() == Some(2) && text.contains("nowhere.yaml: cannot be read"), "{text}");
}

#[test]
fn no_password_hash_or_key_is_shown() {
    let place = place();
    certify(&place);
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
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
    place.write(WEB, &format!("basic_auth_users: {users}\n"));
    let (daemon, _) = serve(&place);
    for path in ["/", "/metrics", "/config", "/api/v1/watches", "/none"] {
        let proof = format!("authorization: Basic {token}\r\n");
        let page = request(daemon.address(), &format!("GET {path}?password={PASSWORD}"), &proof);
        canaries.assert_not_in(path, page.head.as_bytes());
        canaries.assert_not_in(path, &page.body);
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
        place.write(WEB, text);
        let output = place.run(&["--config.check", FLAG]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        canaries.assert_not_in_output(text, &output);
    }
    until("the last fault", || daemon.log().contains("not reloaded"));
    canaries.assert_not_in_daemon(&daemon);
    place.write(WEB, &whole);
    until("TLS", || daemon.log().contains("web configuration reloaded"));
    canaries.assert_not_in_output("the daemon at its end", &daemon.stop());
    canaries.assert_not_in_files(&place.storage());
}
