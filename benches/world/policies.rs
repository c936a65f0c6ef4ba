//! Who asks whom: round robin, exponential backoff, and the schedule of the daemon.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use timpush_exporter::schedule::{Device, Learned, Look, Report, Route, STAGES, Schedule, Seed};

use super::loads::{Pair, WATCH};

/// A policy of asking.
pub trait Policy {
    fn list(&mut self, slot: u32, pair: &Pair, now: i64);
    fn take(&mut self, now: i64) -> Option<u32>;
    /// `before` is the last look, if there was one.
    fn looked(&mut self, slot: u32, pair: &Pair, before: Option<i64>, now: i64);
    /// The poll was not answered.
    fn failed(&mut self, slot: u32, now: i64);
}

/// What is expected of a pair polled `before` and `now`, as the ledger says it by what was `learned`: when a poll may settle
/// it, `None` while a device is not complete. A time that is not ahead means that it is settled.
pub fn poll_from(pair: &Pair, before: Option<i64>, now: i64, learned: Option<&Learned>) -> Option<i64> {
    let mut poll_from = None;
    for element in &pair.elements {
        let last = if element.online { 3 } else { 4 };
        let mut seen = element.events.iter().filter(|event| event.at <= now).peekable();
        if seen.peek().is_none() {
            continue; // It is not shown yet.
        }
        let mut is_complete = false;
        for event in seen {
            is_complete |= event.failed || event.stage == last;
            let seen_at = before.filter(|before| event.at <= *before).unwrap_or(now);
            poll_from = poll_from.max(Some((seen_at + 30_000).min(event.at + 600_000)));
        }
        let of = |stage| element.events.iter().find(|event| event.stage == stage && event.at <= now);
        let latest = element.events.iter().filter(|event| event.at <= now).map(|event| event.at).max();
        let missing = learned.zip(latest).and_then(|(learned, latest)| {
            let (since, lag) = if element.online {
                (pair.pushed_at, learned.answer_lag())
            } else if of(3).is_none() && of(4).is_some() {
                let lags = learned.receipt_lags();
                (of(2)?.at, lags.iter().find(|(number, _)| *number == element.vendor).map(|(_, lag)| *lag))
            } else {
                return None;
            };
            Some((since + (lag? * 1000.0) as i64).min(latest + 600_000))
        });
        poll_from = poll_from.max(missing);
        if !is_complete {
            return None;
        }
    }
    poll_from
}

fn is_settled(pair: &Pair, before: Option<i64>, now: i64) -> bool {
    poll_from(pair, before, now, None).is_some_and(|from| from <= now)
}

/// Each in its turn.
#[derive(Default)]
pub struct RoundRobin(VecDeque<u32>);

impl Policy for RoundRobin {
    fn list(&mut self, slot: u32, _: &Pair, _: i64) {
        self.0.push_back(slot);
    }

    fn take(&mut self, _: i64) -> Option<u32> {
        self.0.pop_front()
    }

    fn looked(&mut self, slot: u32, pair: &Pair, before: Option<i64>, now: i64) {
        if !is_settled(pair, before, now) && now < pair.pushed_at + WATCH {
            self.0.push_back(slot);
        }
    }

    fn failed(&mut self, slot: u32, _: i64) {
        self.0.push_back(slot);
    }
}

/// One second after the push, and every time twice as long after.
#[derive(Default)]
pub struct Backoff(BinaryHeap<Reverse<(i64, u32, i64)>>);

impl Policy for Backoff {
    fn list(&mut self, slot: u32, _: &Pair, now: i64) {
        self.0.push(Reverse((now + 1000, slot, 1000)));
    }

    fn take(&mut self, now: i64) -> Option<u32> {
        let Reverse((due, slot, _)) = *self.0.peek()?;
        (due <= now).then_some(slot)
    }

    fn looked(&mut self, slot: u32, pair: &Pair, before: Option<i64>, now: i64) {
        let wait = self.0.pop().map_or(1000, |Reverse((_, _, wait))| wait * 2);
        if !is_settled(pair, before, now) && now < pair.pushed_at + WATCH {
            self.0.push(Reverse((now + wait, slot, wait)));
        }
    }

    fn failed(&mut self, slot: u32, now: i64) {
        let wait = self.0.pop().map_or(1000, |Reverse((_, _, wait))| wait * 2);
        self.0.push(Reverse((now + wait, slot, wait)));
    }
}

/// How long after its push the ledger closes a pair.
const CLOSED_AFTER: i64 = 3_600_000;

/// A place in the random order, as the ledger gives it: of the pair alone.
pub fn order(slot: u32) -> u32 {
    fastrand::Rng::with_seed(slot.into()).u32(..)
}

/// The daemon's.
pub struct Ours {
    pub schedule: Schedule,
    devices: Vec<Device>,
    /// Slots of the pairs that entered the sample, and when; some stand there again.
    pub sampled: Vec<(u32, i64)>,
}

impl Ours {
    pub fn new(seed: u64) -> Ours {
        Ours { schedule: Schedule::new(seed, Learned::default()), devices: Vec::new(), sampled: Vec::new() }
    }
}

impl Policy for Ours {
    fn list(&mut self, slot: u32, pair: &Pair, now: i64) {
        let seed = Seed {
            task: pair.task,
            pushed_at: pair.pushed_at,
            polled_at: None,
            ends_at: pair.pushed_at + WATCH,
            settled: false,
            order: order(slot),
            is_sampled: false,
            is_closed: false,
            devices: &[],
        };
        self.schedule.insert(slot, seed, now);
    }

    fn take(&mut self, now: i64) -> Option<u32> {
        while self.schedule.take_ended(now).is_some() {}
        let slot = self.schedule.take(now);
        self.sampled.extend(self.schedule.take_sampled(usize::MAX).into_iter().map(|slot| (slot, now)));
        slot
    }

    fn looked(&mut self, slot: u32, pair: &Pair, before: Option<i64>, now: i64) {
        devices(pair, before, now, &mut self.devices);
        let confirm_from = poll_from(pair, before, now, Some(self.schedule.learned()));
        let look = Look::Answered {
            settled: confirm_from.is_some_and(|from| from <= now),
            is_closed: now >= pair.pushed_at + CLOSED_AFTER,
            confirm_from,
            pushed_at: Some(pair.pushed_at),
            ends_at: pair.pushed_at + WATCH,
            devices: &self.devices,
        };
        self.schedule.looked(slot, look, now);
    }

    fn failed(&mut self, slot: u32, now: i64) {
        self.schedule.looked(slot, Look::Failed { at_least: 0 }, now);
    }
}

/// What an answer at `now` shows, as the ledger tells it: event times have whole seconds.
pub fn devices(pair: &Pair, before: Option<i64>, now: i64, devices: &mut Vec<Device>) {
    devices.clear();
    for element in &pair.elements {
        let mut reports = [None; STAGES];
        for event in element.events.iter().filter(|event| event.at <= now) {
            reports[event.stage] = Some(Report {
                failed: event.failed,
                at: Some(event.at / 1000 * 1000),
                seen_at: now,
                fresh: before.is_none_or(|before| event.at > before),
            });
        }
        if reports.iter().any(Option::is_some) {
            devices.push(Device {
                platform: element.vendor,
                route: if element.online { Route::Online } else { Route::Offline },
                reports,
            });
        }
    }
}
