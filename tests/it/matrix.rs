//! The matrix of upstream faults: every code of the manual and every way an exchange can break, with its outcome.
//!
//! One daemon meets all of them at once, in an app for each row.

mod rows;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::answers::now;
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::noise::{Breach, fairly};
use crate::support::{AppText, FIRST_APP, Place, Scrape, Turn, config, until};
use rows::{Outcome, Row, good, of_codes, of_statuses, of_transport};

/// Slow enough that an answer is there before the next question leaves.
const RATE: f64 = 2.0;
/// Two questions of one app never come closer, as far as a busy machine can tell: the interval is half a second.
const SMALLEST_GAP: Duration = Duration::from_millis(300);
/// What a failed look waits at least until the same pair is asked again; the machine may tell a little less.
const BACK_OFF: Duration = Duration::from_millis(700);
/// So many questions seem hurried by no noise: beside two busy loops it was one.
const MOST_HURRIED: u64 = 8;
/// A refused pair is asked again after half a minute; the machine may tell a little less. Slow ones come to see it.
const REFUSED_FOR: Duration = Duration::from_secs(29);
/// Long enough that no stall of the machine makes a good answer late: one would be a failure that no row has.
const REQUEST_TIMEOUT: &str = "4s";
/// How long paused apps are watched.
const WATCHED: Duration = Duration::from_secs(14);
/// How long the outcomes may take to show.
const PATIENCE: Duration = Duration::from_secs(40);
const MOST_RESIDENT_KILOBYTES: u64 = 200_000;

/// How many of an app's questions came about whom, and when.
#[derive(Default)]
struct Asked {
    all: Vec<Instant>,
    alice: Vec<Instant>,
    signatures: Vec<String>,
}

fn asked(seen: &[Seen]) -> BTreeMap<u64, Asked> {
    let mut apps = BTreeMap::<u64, Asked>::new();
    for request in seen {
        let query = request.query();
        let asked = apps.entry(query[0].1.parse().unwrap()).or_default();
        asked.all.push(request.at);
        if request.body.contains("alice") {
            asked.alice.push(request.at);
        }
        asked.signatures.push(query[2].1.clone());
    }
    apps
}

/// What a scrape and the questions show of one row.
struct Judged<'a> {
    row: &'a Row,
    app: String,
    scrape: &'a Scrape,
    asked: &'a Asked,
}

impl Judged<'_> {
    fn own(&self, name: &str, more: &[(&str, &str)]) -> f64 {
        let mut labels = vec![("app", self.app.as_str())];
        labels.extend(more);
        self.scrape.sum(name, &labels)
    }

    /// What is not as the row says, in words.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut expect = |what: &str, found: f64, expected: std::ops::RangeInclusive<f64>| {
            if !expected.contains(&found) {
                wrong.push(format!("{}: {what} is {found}, not {expected:?}", self.row.name));
            }
        };
        let exactly = |number: f64| number..=number;
        let (kind, code) = (self.row.failure.0.as_str(), self.row.failure.1.as_str());
        let failures = self.own("timpush_api_failures_total", &[("kind", kind), ("code", code)]);
        let resume_in = self.own("timpush_budget_resume_timestamp_seconds", &[]) - now() as f64;
        let failing = self.own("timpush_watched_pairs", &[("state", "failing")]);
        let results = self.own("timpush_stage_results_total", &[("outcome", "success")]);
        let up = self.own("timpush_up", &[]);
        expect("the pairs listed", self.own("timpush_watched_pairs", &[]), exactly(2.0));
        expect("a failed push", self.own("timpush_stage_failures_total", &[]), exactly(0.0));
        expect("other failures", self.own("timpush_api_failures_total", &[]) - failures, exactly(0.0));
        match self.row.outcome {
            Outcome::Counted => {
                expect("failures", self.own("timpush_api_failures_total", &[]), exactly(0.0));
                expect("results", results, exactly(2.0));
            }
            Outcome::Again | Outcome::Slower => {
                expect("failures", failures, exactly(self.row.times as f64));
                expect("results", results, exactly(2.0));
                expect("up", up, exactly(1.0));
                expect("the end of a pause", resume_in, f64::MIN..=0.0);
            }
            Outcome::PairLater => {
                expect("failures", failures, exactly(1.0));
                expect("results", results, exactly(1.0));
                expect("refused pairs", failing, exactly(0.0));
                expect("questions about alice", self.asked.alice.len() as f64, exactly(1.0));
                expect("the end of a pause", resume_in, f64::MIN..=0.0);
            }
            Outcome::PairRefused { more } => {
                let times = 1.0 + more as f64;
                let again = self.asked.alice.windows(2).filter(|two| two[1] - two[0] >= REFUSED_FOR).count();
                let asked = self.asked.alice.len() - again;
                expect("failures", failures, times..=times + again as f64);
                expect("results", results, exactly(1.0));
                expect("refused pairs", failing, exactly(1.0));
                expect("questions about alice", asked as f64, exactly(times));
                expect("up", up, exactly(1.0));
                expect("the end of a pause", resume_in, f64::MIN..=0.0);
            }
            Outcome::Paused { anew, more, seconds } => {
                expect("failures", failures, exactly(1.0 + more as f64));
                expect("up", up, exactly(0.0));
                expect("results", results, exactly(0.0));
                let longest = WATCHED.as_secs_f64() + PATIENCE.as_secs_f64();
                expect("the end of the pause", resume_in, seconds as f64 - longest..=seconds as f64);
                expect("questions", self.asked.all.len() as f64, exactly(1.0 + more as f64));
                let first = self.asked.signatures.first();
                let signs =
                    self.asked.signatures.iter().filter(|signature| Some(*signature) != first).count();
                expect(
                    "questions with a fresh signature",
                    signs as f64,
                    exactly(if anew { more as f64 } else { 0.0 }),
                );
            }
        }
        wrong
    }

    /// Questions that came sooner than they may.
    fn hurried(&self) -> Vec<String> {
        let mut hurried = Vec::new();
        let mut look = |what: &str, times: &[Instant], least: Duration| {
            for two in times.windows(2).filter(|two| two[1] - two[0] < least) {
                hurried.push(format!("{}: {what} {:?} after the one before", self.row.name, two[1] - two[0]));
            }
        };
        look("asked", &self.asked.all, SMALLEST_GAP);
        let failures = match self.row.outcome {
            Outcome::Counted => 0,
            Outcome::PairRefused { .. } => usize::MAX,
            _ => self.row.times,
        };
        look("alice after a failure", &self.asked.alice[..self.asked.alice.len().min(failures)], BACK_OFF);
        hurried
    }
}

#[test]
fn every_fault_has_the_outcome_that_its_row_says() {
    let _turn = Turn::alone();
    fairly(every_row_at_once);
}

fn every_row_at_once() -> Result<(), Breach> {
    let rows: Vec<Row> = of_codes().into_iter().chain(of_statuses()).chain(of_transport()).collect();
    let about: Vec<(bool, usize)> = rows
        .iter()
        .map(|row| {
            let alone = matches!(row.outcome, Outcome::PairLater | Outcome::PairRefused { .. });
            (alone, row.times)
        })
        .collect();
    let rows = std::sync::Arc::new(rows);
    let answering = rows.clone();
    let met: Vec<_> = rows.iter().map(|_| std::sync::atomic::AtomicUsize::new(0)).collect();
    let upstream = Listener::start(move |seen| {
        let app: u64 = seen.query()[0].1.parse().unwrap();
        let at = (app - FIRST_APP) as usize;
        let (alone, times) = about[at];
        let meets = !alone || seen.body.contains("alice");
        if meets && met[at].fetch_add(1, std::sync::atomic::Ordering::Relaxed) < times {
            return (answering[at].reply)();
        }
        Reply::ok(&good())
    });
    let app = |at: usize| {
        AppText::new(&format!("row{at}"), FIRST_APP + at as u64, &upstream.url(), RATE)
            .key(&format!("request_timeout: {REQUEST_TIMEOUT}"))
            .entry("{task: t, users: [alice, bob]}")
    };
    let place = Place::new(&config(&(0..rows.len()).map(app).collect::<Vec<_>>()));
    let daemon = place.serve(&[]);
    let began = Instant::now();
    let mut last = String::new();
    let judge = |judged: &dyn Fn(&Judged<'_>) -> Vec<String>| {
        let (scrape, asked) = (daemon.scrape(), asked(&upstream.seen()));
        let nobody = Asked::default();
        let of = |(at, row)| {
            let asked = asked.get(&(FIRST_APP + at as u64)).unwrap_or(&nobody);
            judged(&Judged { row, app: format!("row{at}"), scrape: &scrape, asked })
        };
        rows.iter().enumerate().flat_map(of).collect::<Vec<String>>()
    };
    while began.elapsed() < PATIENCE {
        let wrong = judge(&|judged| judged.wrong());
        if wrong.is_empty() {
            last.clear();
            break;
        }
        last = wrong.join("\n");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(last.is_empty(), "not as the rows say:\n{last}");
    // What is paused stays so, and nothing comes later that was not to come.
    until("the apps were watched long enough", || began.elapsed() >= WATCHED);
    let wrong = judge(&|judged| judged.wrong()).join("\n");
    assert!(wrong.is_empty(), "{wrong}");
    let hurried = judge(&|judged| judged.hurried());
    let kilobytes = daemon.kilobytes("VmHWM");
    println!("{} rows; the daemon took {kilobytes} kB at most", rows.len());
    assert!(kilobytes < MOST_RESIDENT_KILOBYTES, "{kilobytes} kB");
    let (early, words) = (hurried.len() as u64, hurried.join("\n"));
    assert!(early < MOST_HURRIED, "no noise hurries so many:\n{words}");
    if early == 0 { Ok(()) } else { Err(Breach { early, words }) }
}
