//! Ages on a log-spaced grid, and a distribution as a curve over it.

use std::sync::LazyLock;

/// Cells of the grid.
pub const CELLS: usize = 80;
/// Cells in which `1 s + age` doubles.
const PER_OCTAVE: f64 = 4.0;

/// Ages in seconds between which the cells lie: 0 to 12 days.
pub static EDGES: LazyLock<[f64; CELLS + 1]> =
    LazyLock::new(|| std::array::from_fn(|at| (at as f64 / PER_OCTAVE).exp2() - 1.0));

/// A place on the grid: the cell, and how far into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub cell: usize,
    pub share: f64,
}

impl Place {
    /// The place of that age, seconds; ages beyond the grid lie at its end.
    pub fn of(age: f64) -> Place {
        let at = (1.0 + age.max(0.0)).log2() * PER_OCTAVE;
        let cell = (at as usize).min(CELLS - 1);
        let (from, to) = (EDGES[cell], EDGES[cell + 1]);
        let share = ((age.max(0.0) - from) / (to - from)).clamp(0.0, 1.0);
        Place { cell, share }
    }
}

/// Rates of a failure and of a worthwhile success in each cell, and their sums.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Chance that nothing has been reported yet, at each edge; 1 throughout where events are not exclusive.
    waiting: [f64; CELLS + 1],
    /// Expected failures up to each edge.
    failures: [f64; CELLS + 1],
    /// Expected worth of successes up to each edge.
    worth: [f64; CELLS + 1],
    /// Summed rate of failures up to each edge: what is expected of those that still wait.
    hazard: [f64; CELLS + 1],
}

/// Rates per second in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub failure: f64,
    /// Of any success.
    pub success: f64,
    /// Of successes, each by its weight.
    pub worth: f64,
}

/// What may have become visible since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct News {
    /// Expected failures.
    pub failures: f64,
    /// Its slope now, per second.
    pub failures_slope: f64,
    /// Expected worth of successes.
    pub worth: f64,
    /// Chance that nothing was reported.
    pub waits: f64,
    /// How fast that chance falls now, per second.
    pub ending: f64,
}

impl Curve {
    /// A curve of one event at most: a report ends the wait.
    pub fn exclusive(rates: &[Rates; CELLS]) -> Curve {
        Curve::of(rates, true)
    }

    /// A curve of any number of events.
    pub fn additive(rates: &[Rates; CELLS]) -> Curve {
        Curve::of(rates, false)
    }

    fn of(rates: &[Rates; CELLS], exclusive: bool) -> Curve {
        let mut curve = Curve {
            waiting: [1.0; CELLS + 1],
            failures: [0.0; CELLS + 1],
            worth: [0.0; CELLS + 1],
            hazard: [0.0; CELLS + 1],
        };
        for (cell, rate) in rates.iter().enumerate() {
            let width = EDGES[cell + 1] - EDGES[cell];
            let mut time = width;
            if exclusive {
                let all = rate.failure + rate.success;
                let stay = (-all * width).exp();
                if all * width > 1e-9 {
                    time = curve.waiting[cell] * (1.0 - stay) / all;
                } else {
                    time = curve.waiting[cell] * width;
                }
                // Never quite nothing, so that what was never seen late keeps a finite conditional chance.
                curve.waiting[cell + 1] = (curve.waiting[cell] * stay).max(1e-12);
            }
            curve.failures[cell + 1] = curve.failures[cell] + rate.failure * time;
            curve.worth[cell + 1] = curve.worth[cell] + rate.worth * time;
            curve.hazard[cell + 1] = curve.hazard[cell] + rate.failure * width;
        }
        curve
    }

    /// What is expected between ages `from` and `to` (seconds) of one that waited still at `from`.
    pub fn news(&self, from: f64, to: f64) -> News {
        let (a, b) = (Place::of(from), Place::of(to));
        let waiting = at(&self.waiting, a);
        let width = (EDGES[b.cell + 1] - EDGES[b.cell]) * waiting;
        let slope = |sums: &[f64; CELLS + 1]| (sums[b.cell + 1] - sums[b.cell]) / width;
        News {
            failures: (at(&self.failures, b) - at(&self.failures, a)) / waiting,
            failures_slope: slope(&self.failures),
            worth: (at(&self.worth, b) - at(&self.worth, a)) / waiting,
            waits: at(&self.waiting, b) / waiting,
            ending: -slope(&self.waiting),
        }
    }

    /// Failures expected of one that waits from age `from` to age `to`, whatever ends the wait.
    pub fn hazard(&self, from: f64, to: f64) -> f64 {
        at(&self.hazard, Place::of(to)) - at(&self.hazard, Place::of(from))
    }

    /// Chance that one that waited at age `from` still waits at age `to`.
    pub fn waits(&self, from: f64, to: f64) -> f64 {
        at(&self.waiting, Place::of(to)) / at(&self.waiting, Place::of(from))
    }

    /// The age by which that `share` of the events have come that come within `horizon` seconds; an edge of the grid.
    pub fn come_by(&self, share: f64, horizon: f64) -> f64 {
        let wanted = share * (1.0 - at(&self.waiting, Place::of(horizon)));
        let come = (0..CELLS).find(|edge| 1.0 - self.waiting[*edge] >= wanted);
        come.map_or(horizon, |edge| EDGES[edge]).min(horizon)
    }

    /// Failures and worth up to that age.
    pub fn upto(&self, age: f64) -> (f64, f64) {
        let place = Place::of(age);
        (at(&self.failures, place), at(&self.worth, place))
    }
}

fn at(sums: &[f64; CELLS + 1], place: Place) -> f64 {
    sums[place.cell] + (sums[place.cell + 1] - sums[place.cell]) * place.share
}
