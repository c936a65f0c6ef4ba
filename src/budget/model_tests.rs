//! The budget under random schedules, in virtual time, judged by the clock of the upstream.

use std::time::Duration;

use proptest::prelude::*;

use super::pace::MOST_CREDIT_CAP;
use super::tests::key;
use super::{Budget, LOCK_RETRY, Moment, Turn};

/// Nanoseconds of the upstream's clock.
type Nanos = u64;

const SECOND: f64 = 1e9;
/// Where the upstream's clock begins.
const BEGIN: Nanos = 1_000_000_000_000;
/// How far the way to the upstream may differ from request to request, as a share of the shortest interval: within the
/// margin that every start waits.
const JITTER_SHARE: f64 = 0.014;
/// What the conversion of rates to durations may round away.
const ROUNDING: Nanos = 1_000;
/// A request is made ready that much ahead at high rates, as the poller does it.
const LEAD: Duration = Duration::from_micros(350);

/// A record of the first boot whose moment cannot be true.
const FAR_AHEAD: &str = "boot-0 sent 9000000000000000000 7\n";

/// What happens to the daemon besides its work.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It is killed, and started again after that share of an interval.
    Crash { down: f64 },
    /// A reload multiplies the configured rate of the beginning by that.
    Reload { factor: f64 },
    /// There is nothing to do, or a pause is in force, for that many intervals.
    Idle { intervals: f64 },
    /// A `trace` is run; it is killed after that many intervals if it is still there.
    Trace { killed_after: f64 },
    /// The machine sleeps: its monotonic clock stands still for that many intervals.
    Suspend { intervals: f64 },
    /// The machine starts again within that share of an interval: its clock begins anew.
    Reboot { down: f64 },
    /// The upstream says that we ask too often.
    Refused,
    /// The slot file is overwritten with something else.
    Scribble { what: &'static str },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0.0..1.5).prop_map(|down| Event::Crash { down }),
        2 => prop_oneof![Just(0.5), Just(1.0), Just(2.0)].prop_map(|factor| Event::Reload { factor }),
        2 => (0.0..3.0).prop_map(|intervals| Event::Idle { intervals }),
        3 => (0.0..6.0).prop_map(|killed_after| Event::Trace { killed_after }),
        1 => (0.0..20.0).prop_map(|intervals| Event::Suspend { intervals }),
        1 => (0.0..1.0).prop_map(|down| Event::Reboot { down }),
        1 => Just(Event::Refused),
        1 => prop_oneof![Just("rubbish\n"), Just("b sent x y\n"), Just("\u{1}"), Just(FAR_AHEAD)]
            .prop_map(|what| Event::Scribble { what }),
    ]
}

/// One process that asks: the daemon, or a `trace` beside it.
struct Process {
    budget: Budget,
    step: Step,
    /// Nothing is asked before that moment, besides what the budget says.
    not_before: Moment,
    /// Of the request just sent: when it left, and when its answer is here.
    answer: Option<(Moment, Nanos)>,
    interval: Nanos,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask,
    /// A `trace` waits with the slot in its hands.
    Hold,
    /// Taken: the request leaves then.
    Leave(Nanos),
    /// It has left at that moment, and the budget is told then.
    Tell(Nanos, Moment),
}

/// The machine, its processes, and the upstream.
struct World {
    folder: tempfile::TempDir,
    dice: fastrand::Rng,
    now: Nanos,
    /// What the machine's monotonic clock lies behind the upstream's.
    behind: Nanos,
    boot: u32,
    first_rate: f64,
    rate: f64,
    jitter: f64,
    /// How likely it is that a process is kept from running before its next step, and for how many intervals at most.
    stalls: (f64, f64),
    /// Every so many requests one takes that share of an interval longer to arrive.
    spike: Option<(usize, f64)>,
    daemon: Option<Process>,
    trace: Option<Process>,
    daemon_starts_at: Nanos,
    idle_until: Nanos,
    trace_killed_at: Nanos,
    /// When each request arrived, and the interval that its sender had to keep.
    arrivals: Vec<(Nanos, Nanos)>,
}

impl World {
    fn new(rate: f64, seed: u64) -> World {
        World {
            folder: tempfile::tempdir().unwrap(),
            dice: fastrand::Rng::with_seed(seed),
            now: BEGIN,
            behind: 0,
            boot: 0,
            first_rate: rate,
            rate,
            stalls: (0.02, 0.02),
            spike: None,
            jitter: JITTER_SHARE * SECOND / (2.0 * rate),
            daemon: None,
            trace: None,
            daemon_starts_at: BEGIN,
            idle_until: 0,
            trace_killed_at: 0,
            arrivals: Vec::new(),
        }
    }

    fn moment(&self, at: Nanos) -> Moment {
        Moment(at.saturating_sub(self.behind))
    }

    fn time(&self, moment: Moment) -> Nanos {
        moment.0.saturating_add(self.behind)
    }

    fn interval(&self) -> f64 {
        SECOND / self.rate
    }

    fn process(&self, step: Step) -> Process {
        let mut budget = Budget::open(self.folder.path(), &key(), self.rate).unwrap();
        budget.slot.boot = format!("boot-{}", self.boot);
        let interval = self.interval() as Nanos;
        Process { budget, step, not_before: Moment::default(), answer: None, interval }
    }

    fn lead(&self, process: &Process) -> Duration {
        let quick = process.budget.pace().interval() < Duration::from_millis(60);
        if quick { LEAD } else { Duration::ZERO }
    }

    /// When the process does its next step.
    fn next(&self, process: &Process) -> Nanos {
        let next = match process.step {
            Step::Ask => {
                let earliest = process.budget.earliest().before(self.lead(process));
                self.time(earliest.max(process.not_before)).max(self.idle_until)
            }
            Step::Hold => self.time(process.not_before),
            Step::Leave(at) | Step::Tell(at, _) => at,
        };
        // The poller hears of an answer only once it knows when the question was sent.
        let is_told = !matches!(process.step, Step::Tell(..));
        let answered_at = process.answer.filter(|_| is_told).map_or(Nanos::MAX, |(_, at)| at);
        next.min(answered_at).max(self.now)
    }

    /// Lets everything happen up to `end`.
    fn run(&mut self, end: Nanos) {
        loop {
            let daemon_at = match &self.daemon {
                Some(daemon) => self.next(daemon),
                None => self.daemon_starts_at.max(self.now),
            };
            let trace_at = self.trace.as_ref().map_or(Nanos::MAX, |trace| self.next(trace));
            let killed_at =
                if self.trace.is_some() { self.trace_killed_at.max(self.now) } else { Nanos::MAX };
            let at = daemon_at.min(trace_at).min(killed_at);
            if at > end {
                self.now = end;
                return;
            }
            self.now = at;
            if at == killed_at {
                self.trace = None;
            } else if at == trace_at {
                self.trace = self.trace.take().and_then(|trace| self.advance(trace, true));
            } else {
                let daemon = self.daemon.take().unwrap_or_else(|| self.process(Step::Ask));
                self.daemon = self.advance(daemon, false);
            }
        }
    }

    /// What it takes to wake up: seldom long.
    fn late(&mut self) -> Nanos {
        let (chance, intervals) = self.stalls;
        let most = if self.dice.f64() < chance { intervals * self.interval() } else { 50_000.0 };
        (self.dice.f64() * most) as Nanos
    }

    /// What a request or an answer takes on its way.
    fn way(&mut self) -> Nanos {
        5 * LEAD.as_nanos() as Nanos + (self.dice.f64() * self.jitter) as Nanos
    }

    fn spike(&self) -> Nanos {
        match self.spike {
            Some((every, share)) if self.arrivals.len() % every == every - 1 => {
                (share * self.interval()).min(0.8 * MOST_CREDIT_CAP.as_nanos() as f64) as Nanos
            }
            _ => 0,
        }
    }

    /// One step of the process; `None` if that was its last.
    fn advance(&mut self, mut process: Process, is_trace: bool) -> Option<Process> {
        let is_told = !matches!(process.step, Step::Tell(..));
        if let Some((sent_at, at)) = process.answer.filter(|(_, at)| is_told && *at <= self.now) {
            process.budget.pace_mut().answered(sent_at, self.moment(at));
            process.budget.pace_mut().narrow();
            process.answer = None;
            return Some(process);
        }
        let now = self.moment(self.now);
        match process.step {
            Step::Hold if !process.budget.hold().unwrap() => {
                process.not_before = now.after(LOCK_RETRY);
            }
            Step::Ask | Step::Hold => {
                let lead = self.lead(&process);
                let turn =
                    if is_trace { process.budget.take_held(now) } else { process.budget.take_at(now, lead) };
                match turn.unwrap() {
                    Turn::Taken(moment) => {
                        process.interval = (SECOND / process.budget.pace().rate()).round() as Nanos;
                        let ready_at = self.now + self.late();
                        process.step = Step::Leave(self.time(moment).max(ready_at));
                    }
                    // Where the moment lies within the lead, the poller asks again and again.
                    Turn::NotBefore(moment) => {
                        let again = now.after(Duration::from_micros(20));
                        process.not_before =
                            moment.before(if is_trace { Duration::ZERO } else { lead }).max(again);
                    }
                }
            }
            Step::Leave(_) => {
                let arrives_at = self.now + self.way() + self.spike();
                self.arrivals.push((arrives_at, process.interval));
                process.answer = Some((now, arrives_at + self.way()));
                process.step = Step::Tell(self.now + self.late(), now);
            }
            Step::Tell(_, sent_at) => {
                process.budget.sent(sent_at).unwrap();
                if is_trace {
                    return None;
                }
                process.step = Step::Ask;
            }
        }
        Some(process)
    }

    fn happen(&mut self, event: Event) {
        let later = |world: &World, intervals: f64| world.now + (intervals * world.interval()) as Nanos;
        match event {
            Event::Crash { down } => {
                self.daemon = None;
                self.daemon_starts_at = later(self, down);
            }
            Event::Reload { factor } => {
                self.rate = self.first_rate * factor;
                if let Some(daemon) = &mut self.daemon {
                    daemon.budget.pace_mut().set_rate(self.rate);
                }
            }
            Event::Idle { intervals } => self.idle_until = later(self, intervals),
            Event::Trace { killed_after } if self.trace.is_none() => {
                self.trace = Some(self.process(Step::Hold));
                self.trace_killed_at = later(self, killed_after);
            }
            Event::Trace { .. } => {}
            Event::Suspend { intervals } => self.sleep((intervals * self.interval()) as Nanos),
            Event::Reboot { down } => {
                (self.daemon, self.trace) = (None, None);
                self.daemon_starts_at = later(self, down);
                self.boot += 1;
                self.behind = self.now - 1_000;
            }
            Event::Refused => {
                if let Some(daemon) = &mut self.daemon {
                    daemon.budget.pace_mut().widen();
                }
            }
            Event::Scribble { what } => {
                std::fs::write(self.folder.path().join(key().file_name()), what).unwrap();
            }
        }
    }

    /// All that the machine was about to do happens that much later.
    fn sleep(&mut self, length: Nanos) {
        self.now += length;
        self.behind += length;
        self.idle_until += length;
        for process in [&mut self.daemon, &mut self.trace].into_iter().flatten() {
            match &mut process.step {
                Step::Leave(at) | Step::Tell(at, _) => *at += length,
                Step::Ask | Step::Hold => {}
            }
            if let Some((_, at)) = &mut process.answer {
                *at = (*at).max(self.now);
            }
        }
    }

    /// The share of the rate that was used between the first and the last arrival.
    fn used(&self) -> f64 {
        let (first, last) = (self.arrivals[0].0, self.arrivals[self.arrivals.len() - 1].0);
        (self.arrivals.len() - 1) as f64 * self.interval() / (last - first) as f64
    }

    /// Requests that arrived within the interval that their sender had to keep.
    fn early(&mut self) -> Vec<String> {
        self.arrivals.sort_unstable();
        let early = |two: &&[(Nanos, Nanos)]| two[1].0 - two[0].0 + ROUNDING < two[1].1;
        let words = |two: &[(Nanos, Nanos)]| {
            let (gap, interval) = (two[1].0 - two[0].0, two[1].1);
            format!("at {} ns: {gap} ns after the one before, of {interval} ns", two[1].0 - BEGIN)
        };
        self.arrivals.windows(2).filter(early).map(words).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_no_two_requests_arrive_within_the_interval(
        rate in prop_oneof![Just(0.2), Just(1.0), Just(20.0), Just(100.0)],
        seed: u64,
        events in proptest::collection::vec((0.0..8.0, event()), 0..40),
    ) {
        let mut world = World { stalls: (0.3, 1.5), ..World::new(rate, seed) };
        for (after, event) in &events {
            let at = world.now + (after * world.interval()) as Nanos;
            world.run(at);
            world.happen(*event);
        }
        let calm_from = world.now;
        world.run(calm_from + (40.0 * world.interval()) as Nanos);
        let early = world.early();
        prop_assert!(early.is_empty(), "{early:?}");
        // Nothing that happened stops it for good.
        prop_assert!(world.arrivals.iter().any(|(at, _)| *at > calm_from));
    }
}

/// A daemon that nothing disturbs, with work due all the time.
fn undisturbed(rate: f64, spike: Option<(usize, f64)>) -> World {
    const STARTS: f64 = 2_000.0;
    let mut world = World { spike, ..World::new(rate, 20) };
    if spike.is_some() {
        // What the quickest answer took is the measure of the others: without jitter it is exact.
        world.jitter = 0.0;
    }
    let end = world.now + (STARTS * world.interval()) as Nanos;
    world.run(end);
    world
}

#[test]
fn while_work_is_due_97_percent_are_used_and_rare_great_delays_bring_nothing_early() {
    for rate in [0.2, 1.0, 20.0, 100.0] {
        // A delay may cost what care saves up meanwhile, 0.8 % of each interval, up to its cap.
        for spike in [None, Some((60, 0.3)), Some((25, 0.15))] {
            let mut world = undisturbed(rate, spike);
            let early = world.early();
            assert!(early.is_empty(), "{rate}/s, {spike:?}: {early:?}");
            assert!(world.used() >= 0.97, "{rate}/s, {spike:?}: {}", world.used());
        }
    }
}

#[test]
fn the_model_sees_a_request_that_comes_early() {
    // Delays beyond all care: each tenth request takes almost the whole interval longer.
    let mut world = undisturbed(1.0, Some((10, 0.9)));
    assert!(!world.early().is_empty());
}
