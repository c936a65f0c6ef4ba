//! What the program finds around it: nobody who reads what it prints, a full device, no CA certificates.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use crate::support::child::program;
use crate::support::{APP, AppText, Daemon, FIRST_APP, NOWHERE, Place, Town, until};

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Each command, with what it would print; all of them end by themselves.
fn printing(place: &Place) -> Vec<(&'static str, Command)> {
    let of_place = |args: &[&str]| place.command(args);
    let plain = |args: &[&str]| {
        let mut command = program();
        command.args(args).current_dir(place.path("."));
        command
    };
    vec![
        ("--help", plain(&["--help"])),
        ("--version", plain(&["--version"])),
        ("trace --help", plain(&["trace", "--help"])),
        ("--config.check", of_place(&["--config.check"])),
        ("usersig", of_place(&["usersig", "--app", APP])),
        ("trace", of_place(&["trace", "t", "u0", "--app", APP])),
        ("trace --json", of_place(&["trace", "t", "u0", "--app", APP, "--json"])),
        ("simulate", plain(&["simulate", "--listen-address=127.0.0.1:0"])),
        ("simulate --print-config", plain(&["simulate", "--print-config", "--apps=50"])),
        ("demo", plain(&["demo", "--port=0", "--pairs=5"])),
    ]
}

fn place(town: &Town) -> Place {
    Place::new(&AppText::new(APP, FIRST_APP, &town.sim.url(), 50.0).users("t", 1).config())
}

#[test]
fn a_reader_that_has_gone_is_a_quiet_end() {
    let town = Town::empty(1, 1000.0);
    let place = place(&town);
    for (name, mut command) in printing(&place) {
        let output = command.stdout(closed()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let told = stderr(&output).lines().filter(|line| !line.contains("level=")).count();
        assert_eq!(told, 0, "{name}: {}", stderr(&output));
    }
}

#[test]
fn faults_that_nobody_reads_end_with_their_status() {
    let town = Town::empty(1, 1000.0);
    let place = place(&town);
    let mut flags = program();
    flags.arg("--no-such-flag");
    let mut config = program();
    config.args(["--config.check", "--config.file=/nowhere/config.yaml"]);
    let mut running = program();
    running.args(["simulate", "--listen-address=192.0.2.1:1"]);
    for (mut command, status) in [(flags, 2), (config, 2), (running, 1)] {
        let output = command.stdout(closed()).stderr(closed()).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{command:?}");
    }
    // Both streams of a command that has much to say.
    for (name, mut command) in printing(&place) {
        let output = command.stdout(closed()).stderr(closed()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
    }
}

#[test]
fn a_device_that_is_full_is_a_failure() {
    let town = Town::empty(1, 1000.0);
    let place = place(&town);
    for (name, mut command) in printing(&place) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains("standard output: No space left"), "{name}: {}", stderr(&output));
    }
}

/// A command that finds no CA certificates.
fn without_certificates(mut command: Command) -> Command {
    command.env("SSL_CERT_FILE", "/nowhere/ca.pem").env("SSL_CERT_DIR", "/nowhere/certs");
    command
}

#[test]
fn without_ca_certificates_only_https_does_not_start() {
    let town = Town::lively(1, 3, 1000.0);
    let place = Place::new(&town.watched(APP, 20.0).config());
    let daemon = Daemon::spawn(without_certificates(place.command(&["--web.enable-lifecycle"]))).ready();
    town.await_requests(FIRST_APP, 5);

    let https = AppText::new("secure", FIRST_APP, "https://127.0.0.1:9", 1.0).users("t", 1).config();
    let says = |text: &str| {
        for part in [
            "app secure: HTTPS needs CA certificates",
            "SSL_CERT_FILE=/nowhere/ca.pem",
            "SSL_CERT_DIR=/nowhere/certs",
            "install the package ca-certificates",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    };
    place.configure(&https);
    let reload = daemon.reload();
    assert_eq!(reload.status, 400);
    says(&reload.text());
    town.await_requests(FIRST_APP, 5);
    daemon.stop();

    let serving = place.command(&["--web.listen-address=127.0.0.1:0"]);
    for command in [serving, place.command(&["trace", "t", "u", "--app", "secure"])] {
        let output = without_certificates(command).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        says(&stderr(&output));
    }
    // A watch list, too.
    let list = "watch: {http: [{url: 'https://127.0.0.1:9/list'}]}";
    place.configure(&AppText::new(APP, FIRST_APP, NOWHERE, 1.0).key(list).config());
    let output = without_certificates(place.command(&["--web.listen-address=127.0.0.1:0"])).output().unwrap();
    let told = stderr(&output);
    assert!(output.status.code() != Some(0) && told.contains("SSL_CERT_DIR=/nowhere/certs"), "{told}");
}

#[test]
fn the_demo_needs_no_ca_certificates() {
    let mut demo = program();
    demo.args(["demo", "--port=0", "--pairs=5"]);
    let mut child = without_certificates(demo).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = crate::support::child::drain(child.stdout.take().unwrap());
    until("it says where", || said.text().contains("status page  http://127.0.0.1:"));
    child.kill().unwrap();
    child.wait().unwrap();
}
