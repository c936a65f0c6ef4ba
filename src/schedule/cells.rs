//! Occurrence and exposure on the grid: what a distribution is learned from, and how it forgets.

use super::grid::{CELLS, Curve, EDGES, Place, Rates};

/// Devices that a cell never forgets: with fewer, an old guess is better than none.
const KEPT_DEVICES: f64 = 3000.0;

/// Neighbours on each side over which rates are smoothed where few events were seen, and where many were.
const SMOOTHED: usize = 3;
const SMOOTHED_LITTLE: usize = 1;
/// Events that count half for the one and half for the other.
const SMOOTHED_EVENTS: f64 = 10.0;

/// What a result is worth; a failure is 1.
pub const DEVICE_WORTH: f64 = 0.1;
pub const CLICK_WORTH: f64 = 0.05;

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Failure,
    /// A success of that worth.
    Success(f64),
}

/// Counts in each cell of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// Seconds spent waiting.
    pub exposure: [f32; CELLS],
    pub failures: [f32; CELLS],
    pub successes: [f32; CELLS],
    /// Successes, each by its worth.
    pub worth: [f32; CELLS],
}

impl Default for Cells {
    fn default() -> Cells {
        let none = [0.0; CELLS];
        Cells { exposure: none, failures: none, successes: none, worth: none }
    }
}

impl Cells {
    /// Something waited from age `from` to age `to`, seconds.
    pub fn wait(&mut self, from: f64, to: f64) {
        if to <= from {
            return;
        }
        let (a, b) = (Place::of(from), Place::of(to));
        for cell in a.cell..=b.cell {
            let width = EDGES[cell + 1] - EDGES[cell];
            let start = if cell == a.cell { a.share } else { 0.0 };
            let end = if cell == b.cell { b.share } else { 1.0 };
            self.exposure[cell] += ((end - start).max(0.0) * width) as f32;
        }
    }

    /// A wait ended at that age.
    pub fn end(&mut self, age: f64, end: End) {
        self.end_in(Place::of(age).cell, end, 1.0);
    }

    /// A wait ended at an unknown age between `from` and `to`: it is shared out as the present `curve` expects,
    /// evenly on the grid where the curve expects nothing.
    pub fn end_between(&mut self, (from, to): (f64, f64), end: End, curve: &Curve) {
        let (a, b) = (Place::of(from).cell, Place::of(to).cell);
        let part = |cell: usize| {
            let news = curve.news(EDGES[cell].max(from), EDGES[cell + 1].min(to));
            match end {
                End::Failure => news.failures,
                End::Success(_) => news.worth,
            }
            .max(1e-9)
        };
        // What would have been seen from the beginning; conditional chances need the chance to have waited.
        let mut waits = 1.0;
        let parts: Vec<f64> = (a..=b)
            .map(|cell| {
                let share = part(cell) * waits;
                waits *= curve.waits(EDGES[cell].max(from), EDGES[cell + 1].min(to));
                share
            })
            .collect();
        let all: f64 = parts.iter().sum();
        let mut left = 1.0;
        for (cell, share) in (a..=b).zip(parts) {
            let share = share / all;
            let (start, stop) = (EDGES[cell].max(from), EDGES[cell + 1].min(to));
            // Those that end in this cell wait through half of it.
            self.exposure[cell] += ((stop - start).max(0.0) * (left - share / 2.0)) as f32;
            self.end_in(cell, end, share);
            left -= share;
        }
    }

    /// Takes over what ended in `other`.
    pub fn add_ends(&mut self, other: &Cells) {
        for cell in 0..CELLS {
            self.failures[cell] += other.failures[cell];
            self.successes[cell] += other.successes[cell];
            self.worth[cell] += other.worth[cell];
        }
    }

    fn end_in(&mut self, cell: usize, end: End, share: f64) {
        match end {
            End::Failure => self.failures[cell] += share as f32,
            End::Success(worth) => {
                self.successes[cell] += share as f32;
                self.worth[cell] += (share * worth) as f32;
            }
        }
    }

    /// Forgets all but `kept` of what each cell holds, and never below [`KEPT_DEVICES`].
    pub fn forget(&mut self, kept: f64) {
        for cell in 0..CELLS {
            let devices = f64::from(self.exposure[cell]) / (EDGES[cell + 1] - EDGES[cell]);
            if devices <= KEPT_DEVICES {
                continue;
            }
            let keep = kept.max(KEPT_DEVICES / devices) as f32;
            self.exposure[cell] *= keep;
            self.failures[cell] *= keep;
            self.successes[cell] *= keep;
            self.worth[cell] *= keep;
        }
    }

    /// How many times as many failures as `prior` expects were seen at all ages together, as if `inertia` failures had
    /// been seen and expected before.
    pub fn level(&self, prior: &[Rates; CELLS], inertia: f64) -> f64 {
        let due: f64 = (0..CELLS).map(|cell| f64::from(self.exposure[cell]) * prior[cell].failure).sum();
        let seen: f64 = self.failures.iter().map(|failures| f64::from(*failures)).sum();
        (seen + inertia) / (due + inertia)
    }

    /// Rates per second, shrunk to `prior` as if it had been seen in `devices` devices. What is compared with the prior
    /// is smoothed over neighbouring cells, the fewer events the wider: few counts make no ragged curve, and many show
    /// where it ends.
    pub fn rates(&self, prior: &[Rates; CELLS], devices: f64) -> [Rates; CELLS] {
        let rate = |counts: &[f32; CELLS], of: fn(&Rates) -> f64| {
            let seen: [f64; CELLS] = std::array::from_fn(|cell| f64::from(counts[cell]));
            let due: [f64; CELLS] =
                std::array::from_fn(|cell| f64::from(self.exposure[cell]) * of(&prior[cell]));
            std::array::from_fn::<f64, CELLS, _>(|cell| {
                let believed = (EDGES[cell + 1] - EDGES[cell]) * of(&prior[cell]) * devices;
                let smoothed = |width| (smooth(&seen, cell, width), smooth(&due, cell, width));
                let (seen, due) = smoothed(SMOOTHED);
                let wide = (seen + believed) / (due + believed);
                let (seen, due) = smoothed(SMOOTHED_LITTLE);
                of(&prior[cell]) * (seen + SMOOTHED_EVENTS) / (due + SMOOTHED_EVENTS / wide)
            })
        };
        let failure = rate(&self.failures, |r| r.failure);
        let success = rate(&self.successes, |r| r.success);
        let worth = rate(&self.worth, |r| r.worth);
        std::array::from_fn(|cell| Rates {
            failure: failure[cell],
            success: success[cell],
            worth: worth[cell],
        })
    }

    /// How many events were seen, as far as they are not forgotten.
    pub fn events(&self) -> f64 {
        self.failures.iter().chain(&self.successes).map(|events| f64::from(*events)).sum()
    }

    /// True if nothing was ever seen.
    pub fn is_empty(&self) -> bool {
        self.exposure.iter().all(|e| *e == 0.0)
    }
}

/// Events per e-fold of `1 s + age` that are expected of what was never seen.
#[derive(Clone, Copy, Debug)]
pub struct ScaleFree {
    pub failures: f64,
    pub successes: f64,
    pub worth: f64,
}

impl ScaleFree {
    /// The rates `k / (age + 1 s)`.
    pub fn rates(self) -> [Rates; CELLS] {
        std::array::from_fn(|cell| {
            let (from, to) = (EDGES[cell], EDGES[cell + 1]);
            let rate = ((1.0 + to) / (1.0 + from)).ln() / (to - from);
            Rates { failure: self.failures * rate, success: self.successes * rate, worth: self.worth * rate }
        })
    }
}

/// A mean over neighbouring cells, the nearer the heavier.
fn smooth(values: &[f64; CELLS], cell: usize, width: usize) -> f64 {
    let (from, to) = (cell.saturating_sub(width), (cell + width).min(CELLS - 1));
    let weight = |at: usize| (width + 1 - at.abs_diff(cell)) as f64;
    let sum: f64 = (from..=to).map(|at| weight(at) * values[at]).sum();
    sum / (from..=to).map(weight).sum::<f64>()
}
