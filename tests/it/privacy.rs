//! User ids are personal: pages and API show them to this machine and to those who give a password.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use serde_json::json;

use crate::support::answers::{FAILURE, SUCCESS, offline};
use crate::support::{AppText, Daemon, FIRST_APP, Page, Place, Town, get, request, until};

const USERS: [&str; 2] = ["zoraida_1", "yunus/50%"];
/// Parts of the ids that stay as they are in paths, JSON and HTML.
const PARTS: [&str; 2] = ["zoraida", "yunus"];
const TASK: &str = "spring-task";
/// What a proxy says of the client it speaks for.
const FORWARDED: &str = "x-forwarded-for: 198.51.100.7\r\n";

/// A daemon on all interfaces that watches two people, each with a failed device.
fn watched() -> (Town, Place, Daemon) {
    let town = Town::empty(1, 50.0);
    for user in USERS {
        town.answer(TASK, user, offline(&[SUCCESS, SUCCESS, FAILURE]));
    }
    let entry = format!("{{task: {TASK}, users: {USERS:?}}}");
    let place = Place::new(&AppText::new("shop", FIRST_APP, &town.sim.url(), 50.0).entry(&entry).config());
    let daemon = place.serve(&["--web.listen-address=0.0.0.0:0"]);
    until("both failures are seen", || {
        let page = daemon.get("/").text();
        USERS.iter().all(|user| page.contains(user))
    });
    (town, place, daemon)
}

/// The port on all interfaces; the log tells both.
fn open_port(daemon: &Daemon) -> u16 {
    let log = daemon.log();
    let (_, rest) = log.split_once("0.0.0.0:").expect("the log says where it listens");
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap()].parse().unwrap()
}

/// An address of this machine that is not loopback, where it has one. Nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().unwrap().ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Asks for everything there is, and fails where an id shows.
fn sees_nobody(ask: &dyn Fn(&str) -> Page) {
    for path in ["/", "/api/v1/status", "/metrics", "/config"] {
        let page = ask(path);
        assert_eq!(page.status, 200, "{path}");
        shows_nobody(path, &page);
    }
    for path in ["/watches", "/api/v1/watches"] {
        let refusal = ask(path);
        assert!(
            refusal.text().contains("user ids are personal data")
                || refusal.text().contains("User ids are personal data")
        );
        // Whether there is such a user is not told either.
        let pairs =
            ["zoraida_1", "xanthe", "~0f9a0f9a0f9a0f9a0f9a"].map(|user| format!("{path}/shop/{TASK}/{user}"));
        let searches =
            ["?failed=true", "?search=zoraida", "?search=xanthe"].map(|query| format!("{path}{query}"));
        for path in pairs.iter().chain(&searches) {
            let page = ask(path);
            assert_eq!((page.status, page.text()), (403, refusal.text()), "{path}");
            shows_nobody(path, &page);
        }
    }
}

fn shows_nobody(path: &str, page: &Page) {
    let text = page.text();
    for part in PARTS {
        assert!(!text.contains(part), "{path} shows {part}: {text}");
    }
}

#[test]
fn another_machine_sees_no_user_and_this_one_all() {
    let (_town, _place, daemon) = watched();
    for path in ["/", "/watches", "/api/v1/watches", "/api/v1/status"] {
        assert!(daemon.get(path).text().contains("zoraida_1"), "{path} hides a user from this machine");
    }
    let page = daemon.get(&format!("/watches/shop/{TASK}/yunus%2F50%25"));
    assert!(page.status == 200 && page.text().contains("yunus/50%"), "{}", page.text());
    // On loopback, but for somebody else.
    sees_nobody(&|path| request(daemon.address(), &format!("GET {path}"), FORWARDED));
    // From an address of its own, where this machine has one beside loopback.
    if let Some(address) = own_address() {
        let open = SocketAddr::new(address, open_port(&daemon));
        sees_nobody(&|path| get(open, path));
    }
}

/// What the upstream says of a failure may name anybody: the log and strangers get it in our words.
#[test]
fn the_words_of_the_upstream_are_only_for_those_who_may_see_users() {
    let town = Town::empty(1, 50.0);
    let words = "account Zoraida_1 (%7Aoraida_1, tel 8613800000000) does not exist, nor does bob";
    let refusal = json!({"ActionStatus": "FAIL", "ErrorCode": 70107, "ErrorInfo": words});
    town.answer(TASK, USERS[0], refusal);
    let entry = format!("{{task: {TASK}, users: [{}]}}", USERS[0]);
    let app = AppText::new("shop", FIRST_APP, &town.sim.url(), 50.0).entry(&entry);
    let place = Place::new(&app.config());
    let daemon = place.serve(&["--log.level=trace"]);
    until("the refusal is shown to this machine", || {
        let status = daemon.get("/api/v1/status").data();
        status["apps"][0]["latest_failure"]["upstream_text"] == words
    });
    assert!(daemon.get("/").text().contains("account Zoraida_1 "), "{}", daemon.get("/").text());
    let told = "not_found 70107: the upstream does not know the task or the user";
    for path in ["/", "/api/v1/status", "/metrics"] {
        let page = request(daemon.address(), &format!("GET {path}"), FORWARDED);
        assert!(page.status == 200 && (path == "/metrics" || page.text().contains(told)), "{}", page.text());
        for id in ["oraida", "8613800000000", "bob"] {
            assert!(!page.text().contains(id), "{path} shows {id}: {}", page.text());
        }
    }
    let log = daemon.log();
    assert!(log.contains("the upstream does not know the task or the user"), "{log}");
    for id in ["oraida", "8613800000000", "bob"] {
        assert!(!log.contains(id), "the log shows {id}: {log}");
    }
}

/// An answer that is keyed by user: the names of fields that the documentation does not have go to the log.
#[test]
fn a_field_that_is_called_as_the_user_is_not_in_the_log() {
    let town = Town::empty(1, 50.0);
    let mut answer = json!({"ActionStatus": "OK", "ErrorCode": 0, "InstanceTrace": [], "Added": 1});
    answer[USERS[0]] = json!({"Left": 1});
    town.answer(TASK, USERS[0], answer);
    let entry = format!("{{task: {TASK}, users: [{}]}}", USERS[0]);
    let app = AppText::new("shop", FIRST_APP, &town.sim.url(), 50.0).entry(&entry);
    let place = Place::new(&app.config());
    let daemon = place.serve(&["--log.level=trace"]);
    until("the log tells both", || daemon.log().matches("its documentation does not have").count() == 2);
    let log = daemon.log();
    assert!(log.contains("name=Added") && !log.contains("oraida"), "{log}");
}
