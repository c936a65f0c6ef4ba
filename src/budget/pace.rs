//! The spacing of starts inside one process: pure, told the time.

use std::time::Duration;

use super::Moment;

/// The share of an interval that may be spent on certainty: with the rest of the way it stays above 97 % of the rate.
const CREDIT_SHARE: f64 = 0.024;
/// The most credit that is saved up, as a share of the interval.
const CREDIT_CAP_SHARE: f64 = 0.5;
/// The most credit that is saved up, whatever the interval.
const CREDIT_CAP: Duration = Duration::from_millis(250);
/// How much a rate-limit answer widens the pace.
const WIDEN: f64 = 1.5;
/// The widest pace, as a multiple of the configured interval.
const WIDEST: f64 = 16.0;
/// How much each good answer narrows a widened pace.
const NARROW: f64 = 0.97;

/// When the next request of an app may start.
///
/// A start waits until the one before has surely arrived and an interval has passed since. "Surely" is its answer;
/// waiting for that costs rate, so it is paid from a credit that grows by a small share of each interval. Where the
/// credit is used up, the start counts from the moment the request before was handed to the network.
#[derive(Debug)]
pub struct Pace {
    /// The configured interval.
    base: Duration,
    /// What multiplies it after rate-limit answers; 1 otherwise.
    width: f64,
    last: Option<Start>,
    /// May be below zero: then starts do not wait at all until it has recovered.
    credit_seconds: f64,
}

#[derive(Debug)]
struct Start {
    sent_at: Moment,
    answered_at: Option<Moment>,
}

impl Pace {
    /// A pace of `requests_per_second`, which must be positive.
    pub fn new(requests_per_second: f64) -> Pace {
        let base = Duration::from_secs_f64(1.0 / requests_per_second);
        Pace {
            base,
            width: 1.0,
            last: None,
            credit_seconds: CREDIT_SHARE * base.as_secs_f64(),
        }
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

    /// The earliest moment of the next start, by what is known now.
    pub fn earliest(&self) -> Moment {
        let Some(last) = &self.last else {
            return Moment::default();
        };
        let plain = last.sent_at.after(self.interval());
        let latest = plain.after(Duration::from_secs_f64(self.credit_seconds.max(0.0)));
        match last.answered_at {
            Some(answered_at) => answered_at.after(self.interval()).min(latest).max(plain),
            None => latest,
        }
    }

    /// A request was handed to the network at `at`.
    pub fn started(&mut self, at: Moment) {
        if let Some(last) = &self.last {
            let interval = self.interval();
            let waste = at.since(last.sent_at.after(interval));
            // A longer gap was lack of work, not care.
            if waste < interval {
                let earned = CREDIT_SHARE * interval.as_secs_f64() - waste.as_secs_f64();
                let cap = self.credit_cap();
                self.credit_seconds = (self.credit_seconds + earned).clamp(-cap, cap);
            }
        }
        self.last = Some(Start {
            sent_at: at,
            answered_at: None,
        });
    }

    /// The answer to the request that was sent at `sent_at` came at `at`, so it had arrived by then.
    pub fn answered(&mut self, sent_at: Moment, at: Moment) {
        if let Some(last) = self.last.as_mut().filter(|last| last.sent_at == sent_at) {
            last.answered_at = Some(at);
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
        (CREDIT_CAP_SHARE * self.base.as_secs_f64()).min(CREDIT_CAP.as_secs_f64())
    }
}
