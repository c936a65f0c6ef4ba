//! A world of pushes for the bench: what becomes of each, told in advance.

pub mod bound;
pub mod loads;
pub mod measure;
pub mod policies;
pub mod table;

use fastrand::Rng;

/// Unix milliseconds at which every run begins.
pub const BEGIN: i64 = 1_790_000_000_000;

/// One vendor of this world.
#[derive(Clone, Copy, Debug)]
pub struct Vendor {
    pub number: i64,
    /// Of devices.
    pub share: f64,
    /// Of sends that the vendor refuses.
    pub refusals: f64,
    /// Whether devices report receipt.
    pub receipts: bool,
}

const fn vendor(number: i64, share: f64, refusals: f64, receipts: bool) -> Vendor {
    Vendor { number, share, refusals, receipts }
}

/// Failures of the channel 4 to 12 %; the fourth has no device stage.
pub const VENDORS: [Vendor; 6] = [
    vendor(1, 0.30, 0.05, true),
    vendor(2, 0.20, 0.08, true),
    vendor(3, 0.20, 0.04, true),
    vendor(4, 0.12, 0.06, false),
    vendor(6, 0.10, 0.10, true),
    vendor(7, 0.08, 0.12, true),
];

const BROKEN_SHARE: f64 = 0.03;
const TASK_SIGMA: f64 = 0.5;
const ONLINE_SHARE: f64 = 0.25;
/// Of online devices, those in the background, which get an offline push as well.
const BACKGROUND_SHARE: f64 = 0.3;
/// Of users with one, two and three devices.
const DEVICES: [f64; 3] = [0.70, 0.22, 0.08];
pub const SILENT_SHARE: f64 = 0.12;
/// Of receipts, those that report a failure, and the longest they take.
pub const BAD_RECEIPTS: f64 = 0.06;
pub const BAD_RECEIPT_SECONDS: f64 = 6.0 * 3600.0;
const CLICK_SHARE: f64 = 0.04;

/// A vendor that refuses everything for a while.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub vendor: i64,
    /// Unix milliseconds.
    pub from: i64,
    pub until: i64,
}

/// One result and when it can be seen.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// 0 to 4: im, offline, channel, device, click.
    pub stage: usize,
    pub failed: bool,
    /// Unix milliseconds.
    pub at: i64,
}

/// One element of an answer.
#[derive(Clone, Debug)]
pub struct Element {
    pub vendor: i64,
    pub online: bool,
    /// In the order of their times.
    pub events: Vec<Event>,
}

/// One task as the vendors treat it.
#[derive(Clone, Debug)]
pub struct Task {
    pub pushed_at: i64,
    /// Share of sends that each vendor refuses.
    pub refusals: [f64; VENDORS.len()],
}

impl Task {
    pub fn new(pushed_at: i64, dice: &mut Rng) -> Task {
        let effect = log_normal(1.0, TASK_SIGMA, dice);
        let refusals = VENDORS
            .map(|vendor| if dice.f64() < BROKEN_SHARE { 1.0 } else { (vendor.refusals * effect).min(0.9) });
        Task { pushed_at, refusals }
    }

    /// What becomes of the push to one user.
    pub fn push(&self, outage: Option<Outage>, dice: &mut Rng) -> Vec<Element> {
        let mut elements = Vec::new();
        let draw = dice.f64();
        let devices = 1 + usize::from(draw > DEVICES[0]) + usize::from(draw > DEVICES[0] + DEVICES[1]);
        for _ in 0..devices {
            let at = pick(dice);
            let online = dice.f64() < ONLINE_SHARE;
            if online {
                elements.push(self.online(dice));
            }
            if !online || dice.f64() < BACKGROUND_SHARE {
                elements.push(self.offline(at, outage, dice));
            }
        }
        elements
    }

    fn online(&self, dice: &mut Rng) -> Element {
        let mut story = Story::begin(self.pushed_at);
        story.log(0, false, log_normal(0.3, 0.5, dice));
        story.log(2, false, log_normal(0.2, 0.5, dice));
        if dice.f64() >= SILENT_SHARE {
            story.log(3, false, log_normal(1.0, 1.0, dice));
        }
        story.end(0, true)
    }

    fn offline(&self, vendor: usize, outage: Option<Outage>, dice: &mut Rng) -> Element {
        let number = VENDORS[vendor].number;
        let mut story = Story::begin(self.pushed_at);
        story.log(0, false, log_normal(0.3, 0.5, dice));
        story.log(1, false, log_normal(0.3, 0.5, dice));
        let wait = log_normal(1.0, 0.8, dice);
        let out = |o: Outage| o.vendor == number && (o.from..o.until).contains(&story.at(wait));
        let refused = outage.is_some_and(out) || dice.f64() < self.refusals[vendor];
        story.log(2, refused, wait);
        if !refused && dice.f64() >= SILENT_SHARE {
            let receipts = VENDORS[vendor].receipts;
            if receipts && dice.f64() < BAD_RECEIPTS {
                story.log(3, true, BAD_RECEIPT_SECONDS.powf(dice.f64()));
                return story.end(number, false);
            }
            let (median, sigma) = if dice.f64() < 0.6 { (4.0, 1.2) } else { (5400.0, 1.6) };
            let reached = log_normal(median, sigma, dice);
            if receipts {
                story.log(3, false, reached);
            }
            if dice.f64() < CLICK_SHARE {
                story.log(4, false, log_normal(1800.0, 2.0, dice));
            }
        }
        story.end(number, false)
    }
}

/// Events one after the other.
struct Story {
    at: i64,
    events: Vec<Event>,
}

impl Story {
    fn begin(at: i64) -> Story {
        Story { at, events: Vec::with_capacity(5) }
    }

    fn at(&self, wait_seconds: f64) -> i64 {
        self.at + (wait_seconds * 1000.0) as i64
    }

    fn log(&mut self, stage: usize, failed: bool, wait_seconds: f64) {
        self.at = self.at(wait_seconds);
        self.events.push(Event { stage, failed, at: self.at });
    }

    fn end(self, vendor: i64, online: bool) -> Element {
        Element { vendor, online, events: self.events }
    }
}

fn pick(dice: &mut Rng) -> usize {
    let mut left = dice.f64();
    for (at, vendor) in VENDORS.iter().enumerate() {
        left -= vendor.share;
        if left < 0.0 {
            return at;
        }
    }
    0
}

/// A log-normal draw by its median.
pub fn log_normal(median: f64, sigma: f64, dice: &mut Rng) -> f64 {
    let (u, v) = (1.0 - dice.f64(), dice.f64());
    median * (sigma * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()).exp()
}
