//! Files that block whoever reads them: polls go on, reloads end, the service manager hears the truth.

use std::fs;

use crate::service::Service;
use crate::support::hung::{HungMount, pipe_in_place_of, waiting_threads};
use crate::support::{APP, AppText, Daemon, FIRST_APP, KEY, Place, Town, eventually, until};

/// What is said of a key on a mount that hangs.
const KEY_HANGS: &str = "the file system gave no answer within 5 s";
/// What is said of a configuration, or a list, on one.
const HANGS: &str = "the file system gave no answer within 20 s";
const PIPE: &str = "is a named pipe, not a regular file";
const LIFECYCLE: &str = "--web.enable-lifecycle";

/// An app whose key stands in a folder of its own.
fn watched() -> (Town, Place) {
    let town = Town::lively(1, 3, 1000.0);
    let place = Place::new(&town.watched(APP, 20.0).secret("keys/app.key").config());
    place.write("keys/app.key", KEY);
    (town, place)
}

/// Polls go on, and the log says so much of the key.
fn goes_on(town: &Town, daemon: &Daemon, told: &str) {
    until("the log tells", || daemon.log().contains(told));
    town.await_requests(FIRST_APP, 30);
    assert!(daemon.log().contains("the one before stays in use"), "{}", daemon.log());
    let status = daemon.get("/api/v1/status").data();
    assert_eq!(status["apps"][0]["up"], true, "{status}");
}

#[test]
fn a_pipe_in_place_of_a_key_stops_no_poll() {
    let (town, place) = watched();
    let daemon = place.serve(&[LIFECYCLE]);
    town.await_requests(FIRST_APP, 5);
    pipe_in_place_of(&place.path("keys/app.key"));
    goes_on(&town, &daemon, PIPE);
    let reload = daemon.reload();
    assert_eq!(reload.status, 400);
    assert!(reload.text().contains(&format!("app.key {PIPE}")), "{}", reload.text());
    fs::remove_file(place.path("keys/app.key")).unwrap();
    place.write("keys/app.key", KEY);
    assert_eq!(daemon.reload().status, 200);
    town.await_requests(FIRST_APP, 5);
}

#[test]
fn a_mount_that_hangs_below_a_key_stops_no_poll_and_no_reload() {
    let (town, place) = watched();
    let service = Service::of(place.command(&[LIFECYCLE]), &place);
    assert_eq!(service.next(), "READY=1\n");
    let daemon = &service.daemon;
    town.await_requests(FIRST_APP, 5);
    let Some(hung) = HungMount::over(&place.path("keys")) else {
        return; // This process may not mount.
    };
    goes_on(&town, daemon, KEY_HANGS);
    until("the page tells", || daemon.get("/").text().contains(KEY_HANGS));
    assert_eq!(waiting_threads(daemon.id()), 1);
    service.hears_a_reload();
    until("the log tells", || daemon.log().contains(HANGS));
    assert_eq!(service.any(), "WATCHDOG=1\n");
    for _ in 0..20 {
        service.hears_a_reload();
    }
    let again = daemon.reload();
    assert!(again.status == 400 && again.text().contains(HANGS), "{}", again.text());
    assert!(service.next().starts_with("RELOADING=1\n") && service.next() == "READY=1\n");
    town.await_requests(FIRST_APP, 30);
    assert_eq!(waiting_threads(daemon.id()), 2, "one for the key, one for the configuration");
    drop(hung);
    until("the key is read again", || !daemon.get("/").text().contains(KEY_HANGS));
    service.hears_a_reload();
    assert_eq!(daemon.scrape().value("timpush_exporter_config_last_reload_successful", &[]), Some(1.0));
}

#[test]
fn a_pipe_in_place_of_a_configuration_is_refused_at_the_start_and_at_a_reload() {
    let (_town, place) = watched();
    place.write("web.yaml", "{}");
    let service = Service::of(place.command(&["--web.config.file=web.yaml"]), &place);
    assert_eq!(service.next(), "READY=1\n");
    let config = fs::read_to_string(place.path("config.yaml")).unwrap();
    pipe_in_place_of(&place.path("config.yaml"));
    service.hears_a_reload();
    until("the log tells", || service.daemon.log().contains(&format!("config.yaml: {PIPE}")));
    let output = place.run(&["--config.check"]);
    assert_eq!(output.status.code(), Some(2));
    fs::remove_file(place.path("config.yaml")).unwrap();
    place.configure(&config);
    service.hears_a_reload();
    pipe_in_place_of(&place.path("web.yaml"));
    until("the log tells", || service.daemon.log().contains(&format!("web.yaml: {PIPE}")));
    let output = place.run(&["--web.config.file=web.yaml"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

/// It waited for a writer for ever, with a port that answered nothing.
#[test]
fn a_pipe_in_place_of_the_lock_ends_the_start() {
    let (_town, place) = watched();
    place.write("data/lock", "");
    pipe_in_place_of(&place.path("data/lock"));
    let mut daemon = Daemon::spawn(place.command(&[]));
    let status = eventually("it ends", || daemon.ended().ok_or("it runs"));
    assert_eq!(status.code(), Some(1));
    until("the log tells", || daemon.log().contains("data/lock"));
}

/// The lists of the app: one in a folder of its own, one beside the configuration.
fn lists(town: &Town) -> AppText {
    AppText::new(APP, FIRST_APP, &town.sim.url(), 20.0).key("watch: {files: [lists/*.csv, own.csv]}")
}

#[test]
fn a_list_that_blocks_fails_alone_and_what_it_gave_stays() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&lists(&town).config());
    place.write("lists/a.csv", "task,user\nt,a\nt,b\n");
    place.write("own.csv", "task,user\nt,c\n");
    let daemon = place.serve(&[]);
    let pairs = || daemon.scrape().sum("timpush_watched_pairs", &[]);
    until("all are listed", || pairs() == 3.0);
    pipe_in_place_of(&place.path("lists/a.csv"));
    until("the log tells", || daemon.log().contains(PIPE));
    place.write("own.csv", "task,user\nt,c\nt,d\n");
    until("the other list is followed", || pairs() == 4.0);
    fs::remove_file(place.path("lists/a.csv")).unwrap();
    place.write("lists/a.csv", "task,user\nt,a\nt,b\n");
    let Some(hung) = HungMount::over(&place.path("lists")) else {
        return; // This process may not mount.
    };
    until("the log tells", || daemon.log().contains(HANGS));
    for users in [1, 2, 3, 4, 1] {
        let users: String = (0..users).map(|n| format!("t,u{n}\n")).collect();
        place.write("own.csv", &format!("task,user\n{users}"));
        let expected = 2.0 + users.lines().count() as f64;
        until("the other list is followed", || pairs() == expected);
    }
    assert_eq!(waiting_threads(daemon.id()), 1);
    let failing = || daemon.scrape().value("timpush_source_up", &[("app", APP), ("source", "files[0]")]);
    until("the metric tells", || failing() == Some(0.0));
    // A daemon that starts now is ready without the list.
    let other = Place::new(&lists(&town).config());
    other.write("own.csv", "task,user\nt,c\n");
    fs::create_dir_all(other.path("lists")).unwrap();
    let second = HungMount::over(&other.path("lists")).unwrap();
    let young = other.serve(&[]);
    assert_eq!(young.scrape().sum("timpush_watched_pairs", &[]), 1.0);
    drop((hung, second));
    until("the list is read again", || failing() == Some(1.0));
}
