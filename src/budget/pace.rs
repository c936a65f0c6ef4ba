//! The spacing of starts inside one process: pure, told the time.

use std::time::Duration;

use super::Moment;

/// The share of an interval that every start waits longer: small differences of the way are the rule.
const MARGIN_SHARE: f64 = 0.015;
/// The part of it, as a share of an interval, that is not used up by an excess: the way of the quickest answer is not
/// the quickest way of all.
const KEPT_MARGIN_SHARE: f64 = 0.004;
/// The share of an interval that is saved up for great differences: both and what it takes to wake up stay below 3 %.
const CREDIT_SHARE: f64 = 0.008;
/// The most credit that is saved up, as a share of the interval; at least and at most the two durations below.
const CREDIT_CAP_SHARE: f64 = 0.5;
const LEAST_CREDIT_CAP: Duration = Duration::from_millis(100);
pub(super) const MOST_CREDIT_CAP: Duration = Duration::from_millis(250);
/// What a process may spend at its start, as a share of the interval.
const FIRST_CREDIT_SHARE: f64 = 0.5;
/// The share of the most credit that is kept for excesses that are known and can be waited for in full.
const RESERVE_SHARE: f64 = 0.1;
/// Answers from which the quickest is taken as the way and work that every request needs.
const QUICKEST_OF: u32 = 8;
/// How much a rate-limit answer widens the pace.
const WIDEN: f64 = 1.5;
/// The widest pace, as a multiple of the configured interval.
const WIDEST: f64 = 16.0;
/// How much each good answer narrows a widened pace.
const NARROW: f64 = 0.97;

/// When the next request of an app may start.
///
/// What must keep the spacing is not when requests leave but when they arrive. The quickest answer seen took the way
/// there, the least work and the way back; when an answer takes longer, its request may have arrived later by just
/// that excess. So a start counts from the request before plus a small margin plus what the excess of its answer is
/// beyond most of the margin, and waits for that answer if it is not there yet. Waiting costs rate, so it is paid from a
/// credit that grows by a small share of each interval; where the credit is used up, the start counts from the moment
/// the request before was handed to the network.
#[derive(Debug)]
pub struct Pace {
    /// The configured interval.
    base: Duration,
    /// What multiplies it after rate-limit answers; 1 otherwise.
    width: f64,
    last: Option<Start>,
    credit_seconds: f64,
    quickest: Quickest,
}

#[derive(Debug)]
struct Start {
    sent_at: Moment,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    at: Moment,
    /// How much longer than needed it took.
    excess: Duration,
}

/// The quickest of the latest answers: of one to two rounds of [`QUICKEST_OF`], so that a path that has become slower
/// is learned.
#[derive(Debug, Default)]
struct Quickest {
    /// Of the round before; unknown at first, when any answer may have been slow.
    before: Option<Duration>,
    /// Of the present round.
    now: Option<Duration>,
    answers: u32,
}

impl Quickest {
    /// What the quickest of the latest answers took; zero while that is not known.
    fn least(&self) -> Duration {
        let before = self.before.unwrap_or_default();
        self.now.map_or(before, |now| now.min(before))
    }

    /// Takes in an answer; gives what it took beyond the quickest, all of it while that is not known.
    fn excess(&mut self, took: Duration) -> Duration {
        self.now = Some(self.now.map_or(took, |now| now.min(took)));
        self.answers += 1;
        let least = self.least();
        if self.answers >= QUICKEST_OF {
            (self.before, self.now, self.answers) = (self.now, None, 0);
        }
        took.saturating_sub(least)
    }
}

impl Pace {
    /// A pace of `requests_per_second`, which must be positive.
    pub fn new(requests_per_second: f64) -> Pace {
        let base = Duration::from_secs_f64(1.0 / requests_per_second);
        let mut pace =
            Pace { base, width: 1.0, last: None, credit_seconds: 0.0, quickest: Quickest::default() };
        pace.credit_seconds = pace.credit_cap().min(FIRST_CREDIT_SHARE * base.as_secs_f64());
        pace
    }

    /// Another configured rate, from the next start on.
    pub fn set_rate(&mut self, requests_per_second: f64) {
        self.base = Duration::from_secs_f64(1.0 / requests_per_second);
        self.credit_seconds = self.credit_seconds.min(self.credit_cap());
    }

    /// The spacing in force.
    pub fn interval(&self) -> Duration {
        self.base.mul_f64(self.width)
    }

    /// The rate in force, requests per second.
    pub fn rate(&self) -> f64 {
        1.0 / self.interval().as_secs_f64()
    }

    /// The configured rate, requests per second.
    pub fn configured_rate(&self) -> f64 {
        1.0 / self.base.as_secs_f64()
    }

    /// The earliest moment of the next start, by what is known now.
    pub fn earliest(&self) -> Moment {
        let Some(last) = &self.last else {
            return Moment::default();
        };
        self.without_care(last).after(Duration::from_secs_f64(self.care_seconds(last)))
    }

    /// How long to wait beyond the interval. An answer that is still to come most likely belongs to a request that was in
    /// time, and an excess that is waited for in part still makes the next request early. So a part of the credit is kept
    /// for excesses that are known and can be paid in full: a small one does the harm of a great one.
    fn care_seconds(&self, last: &Start) -> f64 {
        let (interval, credit) = (self.interval().as_secs_f64(), self.credit_seconds);
        let spare = if self.quickest.before.is_none() {
            credit // The first requests go over new connections: nothing is known to be common yet.
        } else {
            (credit - RESERVE_SHARE * self.credit_cap()).max(0.0)
        };
        let used_up = (MARGIN_SHARE - KEPT_MARGIN_SHARE) * interval;
        match &last.answer {
            Some(answer) => {
                let excess = (answer.excess.as_secs_f64() - used_up).max(0.0);
                if excess <= credit { excess } else { spare }
            }
            // Answers that never come within the interval are not worth waiting for.
            None if self.quickest.least() >= self.interval() => credit.min(CREDIT_SHARE * interval),
            None => spare,
        }
    }

    /// When the next request might start if the way took all requests about the same time.
    fn without_care(&self, last: &Start) -> Moment {
        last.sent_at.after(self.interval().mul_f64(1.0 + MARGIN_SHARE))
    }

    /// A request was handed to the network at `at`.
    pub fn started(&mut self, at: Moment) {
        if let Some(last) = &self.last {
            self.credit_seconds = self.credit_after(last, at);
        }
        self.last = Some(Start { sent_at: at, answer: None });
    }

    /// The credit left after a start at `at`, with what the interval has earned.
    fn credit_after(&self, last: &Start, at: Moment) -> f64 {
        let (interval, plain) = (self.interval(), self.without_care(last));
        if at.since(self.earliest()) >= interval {
            return self.credit_seconds; // So late for lack of work.
        }
        let waste = at.since(plain).as_secs_f64();
        let unanswered = last.answer.as_ref().map_or(waste, |answer| answer.at.since(plain).as_secs_f64());
        let care = self.care_seconds(last).max(unanswered).min(waste).min(self.credit_seconds);
        let earned = CREDIT_SHARE * interval.as_secs_f64();
        // A machine that wakes us late every time must not use up all that care may cost.
        let late = (waste - care).min(earned / 2.0);
        (self.credit_seconds + earned - care - late).clamp(0.0, self.credit_cap())
    }

    /// The answer to the request that was sent at `sent_at` came at `at`.
    pub fn answered(&mut self, sent_at: Moment, at: Moment) {
        if let Some(last) = self.last.as_mut().filter(|last| last.sent_at == sent_at) {
            let excess = self.quickest.excess(at.since(sent_at));
            last.answer = Some(Answer { at, excess });
        }
    }

    /// The upstream said that we ask too often.
    pub fn widen(&mut self) {
        self.width = (self.width * WIDEN).min(WIDEST);
    }

    /// The upstream took a request without complaint; true if that changed the pace.
    pub fn narrow(&mut self) -> bool {
        let before = self.width;
        self.width = (self.width * NARROW).max(1.0);
        before > 1.0
    }

    fn credit_cap(&self) -> f64 {
        let cap = self.base.mul_f64(CREDIT_CAP_SHARE).clamp(LEAST_CREDIT_CAP, MOST_CREDIT_CAP);
        cap.as_secs_f64()
    }
}
