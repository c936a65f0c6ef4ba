//! The fault day: whatever the upstream does, the daemon lives, counts only what is true, and recovers by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use timpush_exporter::sim::{Fault, Options, PopulationOptions};

use crate::support::answers::now;
use crate::support::scrape::Sample;
use crate::support::sums::difference;
use crate::support::{APP, Daemon, FIRST_APP, KEY, Place, Scrape, Town, eventually, stays, until};

const RATE: f64 = 20.0;
/// What the simulator allows: however requests bunch on a starved machine, every refusal is one that a test ordered.
const ANY_RATE: f64 = 1e6;
const FAILURES: &str = "timpush_api_failures_total";
const RESUME: &str = "timpush_budget_resume_timestamp_seconds";

/// A town whose pushes go out over `push_span`, and all happens within seconds of its push; and who watches it.
fn town(tasks: u32, push_span: Duration) -> (Town, Place) {
    let town = Town::start(Options {
        seed: 4,
        speed: 5_000.0,
        requests_per_second: ANY_RATE,
        population: PopulationOptions { tasks, users_per_task: 4, push_span, past_share: 0.2 },
        ..Options::default()
    });
    let place = Place::new(&town.watched(APP, RATE).config());
    (town, place)
}

/// One entry of the day.
struct Trial {
    fault: Fault,
    requests: u64,
    /// Kind and code of `timpush_api_failures_total`, where the fault is one.
    failure: Option<(&'static str, &'static str)>,
}

fn trial(fault: Fault, requests: u64, kind: &'static str, code: &'static str) -> Trial {
    Trial { fault, requests, failure: Some((kind, code)) }
}

fn harmless(fault: Fault, requests: u64) -> Trial {
    Trial { fault, requests, failure: None }
}

/// Every fault that does not pause the app. The two that refuse pairs come first: such pairs come back after half a
/// minute, in which the rest of the day takes place.
fn day() -> Vec<Trial> {
    let code = |code| Fault::Error { code };
    vec![
        trial(code(90049), 1, "not_found", "90049"),
        trial(code(90100), 1, "invalid_argument", "90100"),
        harmless(Fault::Slow { milliseconds: 300 }, 4),
        trial(Fault::Slow { milliseconds: 1_500 }, 3, "timeout", ""),
        trial(code(60008), 6, "server", "60008"),
        trial(code(90102), 6, "server", "90102"),
        trial(code(91000), 6, "server", "91000"),
        trial(code(60007), 2, "rate_limit", "60007"),
        trial(Fault::Http { status: 429 }, 2, "http", "429"),
        trial(code(70001), 1, "auth", "70001"),
        trial(code(70003), 1, "auth", "70003"),
        trial(Fault::Http { status: 502 }, 6, "http", "502"),
        trial(Fault::Html, 4, "malformed", ""),
        trial(Fault::HalfJson, 4, "malformed", ""),
        trial(Fault::Huge { bytes: 64 << 20 }, 2, "malformed", ""),
        trial(Fault::Hang, 4, "timeout", ""),
        trial(Fault::Reset { mid_response: false }, 4, "connect", ""),
        trial(Fault::Reset { mid_response: true }, 4, "connect", ""),
        trial(Fault::SecretEcho, 2, "server", "91000"),
        harmless(Fault::Forget, 20),
        harmless(Fault::Drift, 40),
    ]
}

impl Trial {
    fn name(&self) -> String {
        format!("{:?} x {}", self.fault, self.requests)
    }

    /// Spoils so many requests; back when all of them met the fault and the daemon says so.
    fn run(&self, town: &Town, daemon: &Daemon) {
        let name = self.name();
        let (asked, failed) = (town.requests(FIRST_APP), self.failed(daemon));
        town.fault(self.fault.clone(), self.requests);
        until(&format!("{name}: so many requests"), || town.requests(FIRST_APP) >= asked + self.requests);
        if self.failure.is_some() {
            let expected = failed + self.requests as f64;
            until(&format!("{name}: named in {FAILURES}"), || self.failed(daemon) == expected);
        }
    }

    /// How often the failure of this fault was counted so far.
    fn failed(&self, daemon: &Daemon) -> f64 {
        let Some((kind, code)) = self.failure else {
            return 0.0;
        };
        let labels = [("app", APP), ("kind", kind), ("code", code)];
        daemon.scrape().value(FAILURES, &labels).unwrap_or(0.0)
    }
}

/// The daemon lives, and without help comes back to what is true.
fn recovers(name: &str, town: &Town, daemon: &mut Daemon) {
    assert_eq!(daemon.ended(), None, "{name}: the daemon ended");
    assert_eq!(daemon.get("/-/healthy").status, 200, "{name}");
    until(&format!("{name}: up again"), || daemon.scrape().value("timpush_up", &[("app", APP)]) == Some(1.0));
    town.agrees(daemon);
}

/// What `timpush_api_failures_total` shows, by kind and code.
fn failures(scrape: &Scrape) -> BTreeMap<(String, String), u64> {
    let shown = scrape.samples(FAILURES, &[("app", APP)]);
    let set = |sample: &Sample| (sample.labels["kind"].clone(), sample.labels["code"].clone());
    shown.map(|sample| (set(sample), sample.value as u64)).collect()
}

/// What it has to show after that day.
fn ordered(day: &[Trial]) -> BTreeMap<(String, String), u64> {
    let mut ordered = BTreeMap::new();
    for trial in day {
        if let Some((kind, code)) = trial.failure {
            *ordered.entry((kind.to_owned(), code.to_owned())).or_default() += trial.requests;
        }
    }
    ordered
}

/// What is true of the day: devices with a platform that no page names are an invention of the drift.
fn all_is_told(town: &Town, daemon: &Daemon) {
    eventually("all that happened is counted", || {
        let mut shown = daemon.scrape().sums();
        shown.results.retain(|sum| !sum.platform.starts_with("platform_"));
        shown.failures.retain(|sum| !sum.platform.starts_with("platform_"));
        let truth = town.truth();
        let differ = || difference(&shown, &truth);
        (shown == truth).then_some(()).ok_or_else(differ)
    });
}

#[test]
fn a_day_of_faults_passes_without_a_trace() {
    let (town, place) = town(10, Duration::from_secs(25));
    place.configure(&town.watched(APP, RATE).key("request_timeout: 1s").config());
    let mut daemon = place.serve(&[]);
    let day = day();
    for trial in &day {
        trial.run(&town, &daemon);
        recovers(&trial.name(), &town, &mut daemon);
        let pairs = daemon.scrape().sum("timpush_watched_pairs", &[]);
        assert_eq!(pairs, 40.0, "{}: no pair is lost", trial.name());
    }
    all_is_told(&town, &daemon);
    until("the refused pairs are taken again", || {
        daemon.scrape().value("timpush_watched_pairs", &[("app", APP), ("state", "failing")]) == Some(0.0)
    });
    until("the rate is the configured one again", || {
        daemon.scrape().value("timpush_budget_requests_per_second", &[("app", APP)]) == Some(RATE)
    });
    let last = daemon.scrape();
    assert_eq!(failures(&last), ordered(&day), "nothing failed but what was ordered");
    assert!(last.sum("timpush_api_drift_total", &[("app", APP)]) > 0.0, "the drift is told");
    assert_eq!(last.value(RESUME, &[("app", APP)]), Some(0.0));
    assert_eq!(last.sum("timpush_pairs_ended_total", &[("reason", "expired")]), 0.0);
    assert_eq!(last.sum("timpush_pairs_ended_total", &[("reason", "removed")]), 0.0);
}

/// A refusal with a number that nobody documents puts its pair off for a minute and no other.
#[test]
fn an_unknown_number_puts_off_one_pair_only() {
    let (town, place) = town(2, Duration::from_secs(1));
    let mut daemon = place.serve(&[]);
    let unknown = trial(Fault::Error { code: 12345 }, 1, "unknown", "12345");
    unknown.run(&town, &daemon);
    recovers("12345", &town, &mut daemon);
    let asked = town.requests(FIRST_APP);
    until("the others are asked on", || town.requests(FIRST_APP) >= asked + 10);
    let scrape = daemon.scrape();
    assert_eq!(scrape.sum("timpush_watched_pairs", &[]), 8.0);
    assert_eq!(scrape.value(RESUME, &[("app", APP)]), Some(0.0), "the app is not paused");
    assert_eq!(scrape.sum(FAILURES, &[]), 1.0);
}

/// When polling goes on, Unix seconds; waits for a pause.
fn pause(daemon: &Daemon) -> i64 {
    eventually("a pause", || {
        let resume_at = daemon.scrape().value(RESUME, &[("app", APP)]).unwrap_or(0.0);
        if resume_at > 0.0 { Ok(resume_at as i64) } else { Err("not paused") }
    })
}

/// For a while nothing arrives.
fn nothing_arrives(town: &Town) {
    stays(Duration::from_secs(2), "the number of requests", || town.requests(FIRST_APP));
}

/// That refusal stops all questions for `seconds`, over a crash, too.
fn pauses(refusal: Trial, seconds: i64) {
    let (town, place) = town(3, Duration::from_secs(2));
    let daemon = place.serve(&[]);
    town.agrees(&daemon);
    refusal.run(&town, &daemon);
    let resume_at = pause(&daemon);
    let ahead = resume_at - now();
    // Whole seconds on both sides, and some time to look.
    assert!((seconds - 3..=seconds).contains(&ahead), "the pause ends in {ahead} s");
    nothing_arrives(&town);
    let before = daemon.scrape();
    assert_eq!(before.value("timpush_up", &[("app", APP)]), Some(0.0));
    daemon.kill();

    let asked = town.requests(FIRST_APP);
    let daemon = place.serve(&[]);
    assert_eq!(pause(&daemon), resume_at, "the pause is carried over the crash");
    nothing_arrives(&town);
    assert_eq!(town.requests(FIRST_APP), asked, "nothing was asked before the daemon was ready, either");
    let after = daemon.scrape();
    assert_eq!(after.sums(), before.sums());
    assert_eq!(after.sum("timpush_watched_pairs", &[]), 12.0);
}

#[test]
fn a_lock_out_pauses_a_minute() {
    pauses(trial(Fault::Error { code: 70050 }, 1, "auth", "70050"), 60);
}

#[test]
fn a_used_up_quota_pauses_an_hour() {
    pauses(trial(Fault::Error { code: 60028 }, 1, "rate_limit", "60028"), 3_600);
}

#[test]
fn a_wrong_configuration_stops_all_questions() {
    pauses(trial(Fault::Error { code: 70020 }, 1, "config", "70020"), 60);
}

#[test]
fn a_redirect_of_two_pairs_stops_all_questions() {
    pauses(trial(Fault::Http { status: 302 }, 2, "http", "302"), 60);
}

#[test]
fn an_empty_success_for_two_pairs_stops_all_questions() {
    pauses(trial(Fault::Http { status: 204 }, 2, "http", "204"), 60);
}

/// A key of another application is refused once and not tried again until somebody replaces it; then within seconds.
#[test]
fn the_right_key_ends_the_pause_of_a_wrong_one() {
    let (town, place) = town(3, Duration::from_secs(2));
    place.write("app.key", "0000000000000000000000000000000000000000000000000000000000000000");
    let daemon = place.serve(&[]);
    let resume_at = pause(&daemon);
    assert!(resume_at - now() >= 57, "a pause of a minute, not of {}", resume_at - now());
    let labels = [("app", APP), ("kind", "auth"), ("code", "70009")];
    assert_eq!(daemon.scrape().value(FAILURES, &labels), Some(1.0));
    nothing_arrives(&town);
    assert_eq!(town.requests(FIRST_APP), 1, "a second wrong signature would only lead to the lock-out");

    place.write("app.key", KEY);
    let wrote_at = std::time::Instant::now();
    until("questions again", || town.requests(FIRST_APP) > 1);
    assert!(wrote_at.elapsed() < Duration::from_secs(6), "only after {:?}", wrote_at.elapsed());
    town.agrees(&daemon);
    until("up again", || {
        let scrape = daemon.scrape();
        let own = |name| scrape.value(name, &[("app", APP)]);
        own(RESUME) == Some(0.0) && own("timpush_up") == Some(1.0)
    });
    assert_eq!(daemon.scrape().sum(FAILURES, &[]), 1.0);
}
