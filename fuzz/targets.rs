//! What hostile bytes are handed to, and what must hold whatever they are.
//!
//! The fuzzers and the tests use the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use timpush_exporter::api::wire::Answer;
use timpush_exporter::config;
use timpush_exporter::document::{MAX_WARNINGS, strays, trim_strays};
use timpush_exporter::ledger::fold::{DEVICES_CAP, Record, fold};
use timpush_exporter::ledger::settle::{Lags, outlook};
use timpush_exporter::trace::read;
use timpush_exporter::watch::list::List;
use timpush_exporter::watch::{ListFormat, MAX_ID_BYTES, MAX_LABEL_BYTES, MAX_REFUSED_TOLD, parse_list};

/// When the answers are polled, Unix seconds.
const NOW: i64 = 1_790_000_000;
/// Seconds east of UTC.
const ZONE: i32 = 8 * 3_600;
/// Pairs that the list takes.
const MOST_PAIRS: usize = 100;
/// How long the server may take for a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// An answer of the upstream: read, understood, folded twice; the second time nothing is new.
pub fn answer(data: &[u8]) {
    let Ok(answer) = Answer::parse(data) else { return };
    let trace = read::read(&answer, ZONE, NOW);
    let mut record = Record::default();
    let news = fold(&mut record, &trace, NOW);
    assert!(record.devices.len() <= DEVICES_CAP);
    assert!(news.iter().all(|item| item.device < record.devices.len()));
    let before = record.clone();
    // What one element says twice in different ways may change the latest outcome, but is not counted again.
    assert_eq!(fold(&mut record, &trace, NOW + 1), []);
    assert_eq!(record.devices.len(), before.devices.len());
    let _ = outlook(&record, &trace, NOW, &Lags::default());
}

/// A configuration: what is wrong is told in lines that name the file; what is right is shown.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match config::parse(text, Path::new("/nowhere/config.yaml")) {
        Ok(config) => {
            let _ = (config::render(&config), config::summary(&config, &config::Lists::of_static(&config)));
        }
        Err(faults) => told(&faults.to_string(), "/nowhere/config.yaml"),
    }
}

/// A web configuration, written to `file`: what is wrong is told in lines that name the file; what is right is shown.
pub fn web_config(file: &Path, data: &[u8]) {
    std::fs::write(file, data).expect("the folder can be written to");
    match config::web::load(file).0 {
        Ok(config) => drop(config.summary(file)),
        Err(faults) => told(&faults.to_string(), &file.display().to_string()),
    }
}

/// A refusal has a reason, and each of its lines names the file.
fn told(faults: &str, file: &str) {
    assert!(!faults.trim().is_empty(), "a refusal without a reason");
    assert!(faults.lines().all(|line| line.starts_with(file)), "{faults}");
}

pub fn list_yaml(data: &[u8]) {
    list(ListFormat::Yaml, data);
}

pub fn list_json(data: &[u8]) {
    list(ListFormat::Json, data);
}

pub fn list_csv(data: &[u8]) {
    list(ListFormat::Csv, data);
}

/// A watch list: whatever is taken keeps its limits, and whatever is not is told in a bounded number of lines.
fn list(format: ListFormat, data: &[u8]) {
    let labels: [Box<str>; 2] = ["campaign".into(), "region".into()];
    let parsed = match parse_list(format, data, &labels, 1_795_392_000) {
        Ok(parsed) => parsed,
        Err(fault) => {
            assert!(!fault.to_string().is_empty(), "a refusal without a reason");
            return;
        }
    };
    assert!(
        parsed.refused.len() <= MAX_REFUSED_TOLD && parsed.refused.len() as u64 <= parsed.refused_entries
    );
    assert!(parsed.warnings.lines().len() <= MAX_WARNINGS + 1);
    assert!(parsed.warnings.lines().iter().all(|line| !line.contains('\n')), "{:?}", parsed.warnings);
    assert!(parsed.refused.iter().all(|line| !line.contains('\n')), "{:?}", parsed.refused);
    let is_seen = |id: &str| strays(id).next().is_none() && trim_strays(id).0 == id;
    let is_id = |id: &str| !id.is_empty() && id.len() <= MAX_ID_BYTES && is_seen(id);
    for entry in &parsed.entries {
        assert!(is_id(&entry.task) && !entry.users.is_empty(), "{entry:?}");
        assert!(entry.users.iter().all(|user| is_id(user)), "{entry:?}");
        let fits = |(name, value): (&String, &String)| {
            labels.iter().any(|label| **label == **name) && value.len() <= MAX_LABEL_BYTES
        };
        assert!(entry.labels.iter().all(fits), "{entry:?}");
    }
    let mut list = List::default();
    let difference = list.replace(parsed.entries.iter(), MOST_PAIRS, i64::MIN);
    assert!(difference.added.len() <= MOST_PAIRS);
    let again = list.replace(parsed.entries.iter(), MOST_PAIRS, i64::MIN);
    assert!(again.added.is_empty() && again.gone.is_empty() && again.relabelled.is_empty());
}

/// Bytes to the web server: as a request if they are one, else as path and query of one. It answers something that is no
/// fault of its own, or closes.
pub fn http(server: SocketAddr, data: &[u8]) {
    let is_whole = data.windows(4).any(|four| four == b"\r\n\r\n");
    let request = if is_whole {
        data.to_vec()
    } else {
        let line = data.iter().filter(|byte| !matches!(byte, b'\r' | b'\n'));
        let mut request = b"GET /".to_vec();
        request.extend(line);
        request.extend(b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        request
    };
    let mut stream = TcpStream::connect(server).expect("the server listens");
    stream.set_read_timeout(Some(PAGE_TIMEOUT)).expect("a positive time");
    // It may close before it has read all.
    let _ = stream.write_all(&request).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    let mut page = Vec::new();
    let ended = stream.take(64 << 20).read_to_end(&mut page);
    let timed_out = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!timed_out, "no end of the answer");
    if let Some(status) = page.strip_prefix(b"HTTP/1.") {
        let status: u16 =
            std::str::from_utf8(&status[2..5]).expect("three digits").parse().expect("three digits");
        assert!(status != 500 && (200..600).contains(&status), "{}", String::from_utf8_lossy(&page));
    }
}
