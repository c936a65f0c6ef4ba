//! Worlds of other shapes: how vendors refuse, how long receipts take, how many devices a user has.

use fastrand::Rng;

use super::Vendor;

pub const VENDORS: usize = 6;

/// When a receipt that reports a failure comes.
#[derive(Clone, Copy, Debug)]
pub enum After {
    /// The logarithm is even between one second and that many.
    Logarithmic(f64),
    /// Even between 0 and that many seconds.
    Even(f64),
}

impl After {
    pub fn draw(self, dice: &mut Rng) -> f64 {
        match self {
            After::Logarithmic(longest) => longest.powf(dice.f64()),
            After::Even(longest) => longest * dice.f64(),
        }
    }

    pub fn longest(self) -> f64 {
        match self {
            After::Logarithmic(longest) | After::Even(longest) => longest,
        }
    }

    /// Share that has come by that age, seconds.
    pub fn by(self, age: f64) -> f64 {
        match self {
            After::Logarithmic(longest) => age.clamp(1.0, longest).ln() / longest.ln(),
            After::Even(longest) => age.clamp(0.0, longest) / longest,
        }
    }

    /// The integral of [`After::by`] from 0.
    pub fn waited(self, age: f64) -> f64 {
        match self {
            After::Logarithmic(longest) => {
                let inside = age.clamp(1.0, longest);
                (inside * inside.ln() - inside + 1.0) / longest.ln() + (age - inside).max(0.0)
            }
            After::Even(longest) => {
                let inside = age.clamp(0.0, longest);
                inside * inside / longest / 2.0 + (age - inside)
            }
        }
    }
}

/// One world. Times in seconds; log-normal ones as median and sigma.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Said in the name of a workload; empty for the first shape.
    pub name: &'static str,
    pub vendors: [Vendor; VENDORS],
    /// Share of (task, vendor) of which every send is refused.
    pub broken: f64,
    /// Spread of the refusals of tasks.
    pub task_sigma: f64,
    pub channel: (f64, f64),
    /// Share of devices that never report receipt.
    pub silent: f64,
    /// Of receipts, those that report a failure, and when.
    pub bad_receipts: f64,
    pub bad_after: After,
    /// Of good receipts, those that come quickly; and when.
    pub quick_share: f64,
    pub quick: (f64, f64),
    pub slow: (f64, f64),
    /// Of users with one device and with two; the others have three.
    pub devices: [f64; 2],
}

const fn vendor(number: i64, share: f64, refusals: f64, receipts: bool) -> Vendor {
    Vendor { number, share, refusals, receipts }
}

/// The world on which constants were chosen. Failures of the channel 4 to 12 %; the fourth vendor has no device stage.
pub const FIRST: Shape = Shape {
    name: "",
    vendors: [
        vendor(1, 0.30, 0.05, true),
        vendor(2, 0.20, 0.08, true),
        vendor(3, 0.20, 0.04, true),
        vendor(4, 0.12, 0.06, false),
        vendor(6, 0.10, 0.10, true),
        vendor(7, 0.08, 0.12, true),
    ],
    broken: 0.03,
    task_sigma: 0.5,
    channel: (1.0, 0.8),
    silent: 0.12,
    bad_receipts: 0.06,
    bad_after: After::Logarithmic(6.0 * 3600.0),
    quick_share: 0.6,
    quick: (4.0, 1.2),
    slow: (5400.0, 1.6),
    devices: [0.70, 0.22],
};

/// Failures of receipt come evenly over six hours, and are twice as many.
pub const EVEN: Shape =
    Shape { name: "even failures", bad_receipts: 0.12, bad_after: After::Even(6.0 * 3600.0), ..FIRST };

/// Channels take half a minute, receipts hours, failures of receipt up to eight hours; users have more devices.
pub const SLOW: Shape = Shape {
    name: "slow vendors",
    channel: (25.0, 1.0),
    bad_receipts: 0.04,
    bad_after: After::Logarithmic(8.0 * 3600.0),
    quick_share: 0.3,
    quick: (30.0, 1.5),
    slow: (14_400.0, 1.2),
    devices: [0.5, 0.3],
    ..FIRST
};

/// Little fails but what is broken, and that is three times as much; most devices are silent.
pub const BROKEN: Shape = Shape {
    name: "broken tasks",
    vendors: [
        vendor(1, 0.55, 0.01, true),
        vendor(2, 0.15, 0.02, true),
        vendor(3, 0.10, 0.01, false),
        vendor(4, 0.10, 0.03, false),
        vendor(6, 0.05, 0.20, true),
        vendor(7, 0.05, 0.02, true),
    ],
    broken: 0.10,
    task_sigma: 1.0,
    silent: 0.5,
    bad_receipts: 0.02,
    bad_after: After::Logarithmic(3600.0),
    ..FIRST
};
