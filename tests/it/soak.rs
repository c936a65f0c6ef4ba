//! Everything at once: faults, kills, stops and reloads at any moment; judged by the simulator's clock and account.
//!
//! A few seconds of each run with the tests; `just soak` and `just budget-soak` run as long as they are told.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use timpush_exporter::sim::{Fault, FaultOrder, Options, PopulationOptions, UnknownPairs};

use crate::support::noise::{Noise, Watch};
use crate::support::{APP, Daemon, FIRST_APP, Place, Scrape, Town, Turn, until, until_within};

/// How many seconds a soak lasts; a few unless this variable says otherwise.
const SECONDS: &str = "TIMPUSH_SOAK_SECONDS";
const FEW_SECONDS: u64 = 6;
/// The share of the rate that the contract promises while work is due; where the program is not optimised and the
/// rate high, each request takes it too much of the interval.
const PROMISED_USE: f64 = if cfg!(debug_assertions) { 0.9 } else { 0.97 };
/// What the way of requests may do while exchanges break all the time: so many may come early, as a share, and none
/// closer to the one before than this share of the interval.
const EARLY_UNDER_FAULTS: f64 = 0.005;
const NEAREST_UNDER_FAULTS: f64 = 0.9;
/// Two refused signatures without an answer between them pause the app for a minute, as they should; after that the
/// rate, which "too often" made smaller, grows with each answer.
const LONGEST_RECOVERY: Duration = Duration::from_secs(180);
/// The daemon shall stay below these, whatever happens.
const MOST_RESIDENT_MIB: f64 = 64.0;
const MOST_FILES: usize = 64;
const MOST_THREADS: usize = 48;

/// One soak: what it drew, what it saw.
struct Soak {
    town: Town,
    place: Place,
    rate: f64,
    length: Duration,
    dice: fastrand::Rng,
    shown: Scrape,
    most: Footprint,
    deeds: Deeds,
    /// The latest fault is over once so many requests have come.
    faulty_until: u64,
}

/// What was done to the daemon.
#[derive(Debug, Default)]
struct Deeds {
    faults: u64,
    kills: u64,
    stops: u64,
    reloads: u64,
}

/// What the daemon holds of the machine.
#[derive(Clone, Copy, Debug, Default)]
struct Footprint {
    resident_mib: f64,
    files: usize,
    threads: usize,
}

impl Footprint {
    fn of(daemon: &Daemon) -> Footprint {
        let resident_mib = daemon.kilobytes("VmRSS") as f64 / 1024.0;
        Footprint { resident_mib, files: daemon.entries("fd"), threads: daemon.entries("task") }
    }

    fn max(self, other: Footprint) -> Footprint {
        Footprint {
            resident_mib: self.resident_mib.max(other.resident_mib),
            files: self.files.max(other.files),
            threads: self.threads.max(other.threads),
        }
    }

    fn assert_small(&self) {
        let small =
            self.resident_mib < MOST_RESIDENT_MIB && self.files < MOST_FILES && self.threads < MOST_THREADS;
        assert!(small, "the daemon has grown: {self:?}");
    }
}

/// A fault that does not pause the app by itself, and how many requests meet it.
fn fault(dice: &mut fastrand::Rng) -> FaultOrder {
    let code = |code| Fault::Error { code };
    let (fault, most) = match dice.u32(..16) {
        0 => (code(60008), 8),
        1 => (code(90102), 8),
        2 => (code(91000), 3),
        3 => (code(60007), 2),
        4 => (code(70003), 1),
        5 => (code(90049), 1),
        6 => (Fault::Http { status: 429 }, 2),
        7 => (Fault::Http { status: 502 }, 8),
        8 => (Fault::Html, 4),
        9 => (Fault::HalfJson, 4),
        10 => (Fault::Huge { bytes: 4 << 20 }, 2),
        11 => (Fault::Hang, 4),
        12 => (Fault::Reset { mid_response: dice.bool() }, 4),
        13 => (Fault::Slow { milliseconds: dice.u64(1..600) }, 12),
        14 => (Fault::Forget, 8),
        _ => (Fault::Drift, 8),
    };
    FaultOrder { requests: Some(dice.u64(1..=most)), ..fault.into() }
}

/// Watches the town at that share of the rate, and besides so many silent pairs that work is always due.
fn configuration(town: &Town, rate: f64, share: f64) -> String {
    let app = town.watched(APP, rate * share).key("request_timeout: 1s");
    app.users("silence", (rate * 12.0) as usize + 100).config()
}

impl Soak {
    fn new(rate: f64) -> Soak {
        let seconds = std::env::var(SECONDS).map_or(FEW_SECONDS, |text| text.parse().expect(SECONDS));
        let length = Duration::from_secs(seconds);
        let town = Town::start(Options {
            seed: 7,
            speed: 5_000.0,
            requests_per_second: rate,
            population: PopulationOptions {
                tasks: u32::try_from(seconds / 4 + 4).unwrap(),
                users_per_task: 4,
                push_span: length,
                past_share: 0.1,
            },
            unknown_pairs: UnknownPairs::Empty,
            ..Options::default()
        });
        let seed = fastrand::u64(..);
        println!("soak at {rate}/s for {length:?}, seed {seed}");
        let dice = fastrand::Rng::with_seed(seed);
        let (shown, most, deeds) = Default::default();
        let place = Place::new(&configuration(&town, rate, 1.0));
        Soak { town, place, rate, length, dice, shown, most, deeds, faulty_until: 0 }
    }

    /// Does something at random; gives the daemon that runs then.
    fn disturb(&mut self, daemon: Daemon) -> Daemon {
        match self.dice.u32(..60) {
            0 => {
                self.deeds.kills += 1;
                daemon.kill();
                if self.dice.bool() {
                    // Once more, at any moment of its start.
                    let young = Daemon::spawn(self.place.command(&[]));
                    self.pause(0..150);
                    young.kill();
                }
                self.place.serve(&[])
            }
            1 => {
                self.deeds.stops += 1;
                daemon.stop();
                self.place.serve(&[])
            }
            2..5 => {
                self.deeds.reloads += 1;
                let share = if self.dice.bool() { 1.0 } else { 0.7 };
                self.configure(share);
                daemon.signal(Signal::HUP);
                daemon
            }
            5..35 => {
                let asked = self.town.requests(FIRST_APP);
                // One after the other: else a slow daemon would meet nothing but faults.
                if asked >= self.faulty_until {
                    self.deeds.faults += 1;
                    let order = fault(&mut self.dice);
                    self.faulty_until = asked + order.requests.unwrap_or(0);
                    self.town.sim.set_fault(order).unwrap();
                }
                daemon
            }
            _ => daemon,
        }
    }

    fn configure(&self, share: f64) {
        self.place.configure(&configuration(&self.town, self.rate, share));
    }

    /// The moment of the next deed is what is drawn here; this waits for nothing.
    fn pause(&mut self, millis: std::ops::Range<u64>) {
        std::thread::sleep(Duration::from_millis(self.dice.u64(millis)));
    }

    /// What it shows falls never, and it stays small.
    fn look(&mut self, daemon: &Daemon) {
        let scrape = daemon.scrape();
        scrape
            .assert_none_fell(&self.shown, &["timpush_stage_results_total", "timpush_stage_failures_total"]);
        assert_eq!(scrape.value("timpush_ledger_quarantined_files", &[]).unwrap_or(0.0), 0.0);
        self.shown = scrape;
        let footprint = Footprint::of(daemon);
        footprint.assert_small();
        self.most = self.most.max(footprint);
    }

    /// Faults and all for the whole length, then calm; gives the share of the rate that was used in the calm.
    fn run(&mut self) -> f64 {
        const MINUTE: Duration = Duration::from_secs(60);
        let mut daemon = self.place.serve(&[]);
        let (began, mut told) = (Instant::now(), Duration::ZERO);
        while began.elapsed() < self.length {
            daemon = self.disturb(daemon);
            self.pause(20..500);
            self.look(&daemon);
            if began.elapsed() >= told + MINUTE {
                told = began.elapsed();
                self.tell(&format!("after {} s", told.as_secs()), Some(Footprint::of(&daemon)));
            }
        }
        self.town.sim.clear_faults();
        self.configure(1.0);
        daemon.signal(Signal::HUP);
        until_within(LONGEST_RECOVERY, "the whole rate is in force", || {
            let rate = daemon.scrape().value("timpush_budget_requests_per_second", &[("app", APP)]);
            rate == Some(self.rate)
        });
        let used = self.used_in_the_calm();
        self.town.agrees(&daemon);
        self.look(&daemon);
        daemon.stop();
        used
    }

    fn used_in_the_calm(&self) -> f64 {
        // The simulator keeps 4096 arrivals, and no wait takes longer than a minute.
        let seconds = (self.length.as_secs_f64() / 10.0).clamp(4.0, 30.0);
        let wanted = (self.rate * seconds) as usize;
        let before = self.town.requests(FIRST_APP);
        until("requests in the calm", || self.town.requests(FIRST_APP) >= before + wanted as u64);
        let micros = self.town.arrivals(FIRST_APP).arrivals_micros;
        let calm = &micros[micros.len() - wanted..];
        let seconds = (calm[wanted - 1] - calm[0]) as f64 / 1e6;
        (wanted - 1) as f64 / seconds / self.rate
    }

    fn tell(&self, when: &str, now: Option<Footprint>) {
        let arrivals = self.town.arrivals(FIRST_APP);
        println!(
            "{when}: {} requests, {} early, smallest gap {:?} s; {:?}; {} results; at most {:?}, now {now:?}",
            arrivals.requests,
            arrivals.early_requests,
            arrivals.smallest_gap_seconds,
            self.deeds,
            self.shown.sum("timpush_stage_results_total", &[]),
            self.most,
        );
    }
}

fn soak(rate: f64) {
    let _turn = Turn::alone();
    let (watch, mut soak) = (Watch::start(), Soak::new(rate));
    let used = soak.run();
    let noise: Noise = watch.end();
    soak.tell("at the end", None);
    println!("{:.2} % of the rate was used in the calm; {noise:?}", used * 100.0);
    assert!(soak.shown.sum("timpush_stage_results_total", &[]) > 0.0, "something was counted");
    let arrivals = soak.town.arrivals(FIRST_APP);
    let early = arrivals.early_requests;
    // Answers that never come tell nothing of the way, and new connections take longer: that is beyond what waiting can
    // buy, but it is little, and rare.
    let smallest_gap = arrivals.smallest_gap_seconds.unwrap_or(f64::MAX);
    let little = smallest_gap >= NEAREST_UNDER_FAULTS / rate;
    let rare = early as f64 <= EARLY_UNDER_FAULTS * arrivals.requests as f64;
    let words =
        format!("{early} of {} requests came early, the smallest gap {smallest_gap} s", arrivals.requests);
    assert!((little && rare) || noise.excuses(early), "{words} on a machine that was in time: {noise:?}");
    if noise.excuses(1) {
        println!("NOT MEASURED: the machine was too busy to judge the use of the rate");
        return;
    }
    assert!(used >= PROMISED_USE, "{used} of {rate}/s were used; {noise:?}");
}

#[test]
fn ten_a_second_keep_their_promises() {
    soak(10.0);
}

#[test]
fn twenty_a_second_keep_their_promises() {
    soak(20.0);
}

#[test]
fn a_hundred_a_second_keep_their_promises() {
    soak(100.0);
}
