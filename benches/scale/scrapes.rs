//! A scrape of 1,000, 10,000 and 100,000 series: wall time and CPU, beside a Pushgateway that serves the same series.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::process::{cpu, quantile};
use crate::support::{AppText, Daemon, FIRST_APP, Place, Town, get, request, until};

/// Scrapes that are timed.
const SCRAPES: usize = 200;
/// Sets of watch labels of which one gives some 187 series; with the exporter's own they make the sizes.
const SETS: [usize; 3] = [5, 53, 535];
/// One device on each route, so that both routes are born.
const ANSWER: &str = include_str!("../../tests/fixtures/sample-answer.json");

pub fn run() {
    println!(
        "\n| scrape | series | bytes | p50 ms | p99 ms | CPU ms | gzip p50 ms | gzip bytes |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for sets in SETS {
        let town = Town::empty(1, 1_000.0);
        let answer: serde_json::Value = serde_json::from_str(ANSWER).expect("the manual's sample is JSON");
        let mut app =
            AppText::new("shop", FIRST_APP, &town.sim.url(), 1_000.0).key("watch_labels: [campaign]");
        for set in 0..sets {
            town.answer(&format!("t{set}"), "u", answer.clone());
            app = app.entry(&format!("{{task: t{set}, users: [u], labels: {{campaign: c{set}}}}}"));
        }
        let place = Place::new(&app.config());
        let daemon = place.serve(&[]);
        until("all pairs have settled", || {
            daemon.scrape().value("timpush_watched_pairs", &[("state", "settled")]) == Some(sets as f64)
        });
        let page = get(daemon.address(), "/metrics").text();
        row("timpush_exporter", daemon.id(), daemon.address(), "/metrics");
        beside(&page);
        end(daemon, town);
    }
}

fn end(daemon: Daemon, town: Town) {
    daemon.stop();
    town.end();
}

/// The same series in a Pushgateway, where one is installed.
fn beside(page: &str) {
    let Some((mut gateway, address)) = gateway() else {
        println!("| prometheus-pushgateway | is not installed | | | | | | |");
        return;
    };
    until("the gateway listens", || TcpStream::connect(address).is_ok());
    // A gateway has process metrics of its own.
    let is_own = |line: &&str| {
        !line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with("process_")
    };
    let pushed: String = page.lines().filter(is_own).flat_map(|line| [line, "\n"]).collect();
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    let head = format!(
        "PUT /metrics/job/bench HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        pushed.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(pushed.as_bytes()))
        .expect("it takes a push");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    row("prometheus-pushgateway", gateway.id(), address, "/metrics");
    gateway.kill().and_then(|()| gateway.wait()).expect("it can be stopped");
}

fn gateway() -> Option<(Child, SocketAddr)> {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let mut command = Command::new("prometheus-pushgateway");
    command.arg(format!("--web.listen-address={address}")).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok().map(|child| (child, address))
}

fn row(name: &str, pid: u32, address: SocketAddr, path: &str) {
    let plain = timed(address, path, "");
    let before = cpu(pid);
    let times = timed(address, path, "");
    let spent = (cpu(pid) - before).as_secs_f64() * 1e3 / SCRAPES as f64;
    let packed = timed(address, path, "accept-encoding: gzip\r\n");
    let page = get(address, path);
    let series = page.text().lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    let packed_bytes = request(address, &format!("GET {path}"), "accept-encoding: gzip\r\n").body.len();
    drop(plain); // The first round is for warming up.
    println!(
        "| {name} | {series} | {} | {:.2} | {:.2} | {spent:.2} | {:.2} | {packed_bytes} |",
        page.body.len(),
        quantile(&times, 0.5),
        quantile(&times, 0.99),
        quantile(&packed, 0.5)
    );
}

/// Milliseconds of each scrape, sorted: from connecting to the last byte, which a client reads into memory that it has.
fn timed(address: SocketAddr, path: &str, headers: &str) -> Vec<f64> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    let mut answer = Vec::new();
    let mut scrape = || {
        answer.clear();
        let began = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(head.as_bytes())?;
        stream.read_to_end(&mut answer)?;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "a scrape is answered");
        Ok(began.elapsed().as_secs_f64() * 1e3)
    };
    let times: std::io::Result<Vec<f64>> = (0..SCRAPES).map(|_| scrape()).collect();
    let mut times = times.expect("the connection holds");
    times.sort_by(f64::total_cmp);
    times
}
