//! User ids are personal: pages and API show them to this machine, and hashes to all others.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use serde_json::Value;

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

/// The users that a list names.
fn named(json: &Value) -> Vec<String> {
    let watches = json["data"]["watches"].as_array().unwrap();
    watches.iter().map(|watch| watch["user"].as_str().unwrap().to_owned()).collect()
}

/// Asks for everything there is, and fails where an id shows.
fn sees_nobody(ask: &dyn Fn(&str) -> Page) {
    let list: Value = serde_json::from_slice(&ask("/api/v1/watches").body).unwrap();
    let hashes = named(&list);
    assert!(hashes.len() == USERS.len() && hashes.iter().all(|hash| hash.starts_with('~')), "{hashes:?}");
    let mut paths: Vec<String> =
        ["/", "/watches", "/watches?failed=true", "/api/v1/watches", "/api/v1/status", "/metrics", "/config"]
            .map(str::to_owned)
            .to_vec();
    for hash in &hashes {
        paths.push(format!("/watches/shop/{TASK}/{hash}"));
        paths.push(format!("/api/v1/watches/shop/{TASK}/{hash}"));
    }
    for path in &paths {
        let page = ask(path);
        assert_eq!(page.status, 200, "{path}");
        shows_nobody(path, &page);
    }
    for path in ["/watches", "/api/v1/watches"] {
        let found = ask(&format!("{path}?search=zoraida"));
        assert_eq!(found.status, 200);
        shows_nobody("a search", &found);
        // Whether there is such a user is not told either.
        let (listed, unlisted) =
            (ask(&format!("{path}/shop/{TASK}/zoraida_1")), ask(&format!("{path}/shop/{TASK}/xanthe")));
        assert_eq!((listed.status, unlisted.status), (404, 404), "{path}");
        assert_eq!(listed.text(), unlisted.text(), "{path}");
        shows_nobody(path, &listed);
    }
}

fn shows_nobody(path: &str, page: &Page) {
    let text = page.text();
    for part in PARTS {
        assert!(!text.contains(part), "{path} shows {part}: {text}");
    }
}

#[test]
fn another_machine_sees_hashes_and_this_one_users() {
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
