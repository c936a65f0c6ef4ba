//! A world of pushes for the bench: what becomes of each, told in advance.

pub mod bias;
pub mod bound;
pub mod loads;
pub mod measure;
pub mod policies;
pub mod shapes;
pub mod table;

use fastrand::Rng;

use shapes::{Shape, VENDORS};

/// Unix milliseconds at which every run begins.
pub const BEGIN: i64 = 1_790_000_000_000;

/// One vendor.
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

const ONLINE_SHARE: f64 = 0.25;
/// Of online devices, those in the background, which get an offline push as well.
const BACKGROUND_SHARE: f64 = 0.3;
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
    pub shape: Shape,
    pub pushed_at: i64,
    /// Share of sends that each vendor refuses.
    pub refusals: [f64; VENDORS],
}

impl Task {
    pub fn new(shape: Shape, pushed_at: i64, dice: &mut Rng) -> Task {
        let effect = log_normal(1.0, shape.task_sigma, dice);
        let refusals = shape
            .vendors
            .map(|vendor| if dice.f64() < shape.broken { 1.0 } else { (vendor.refusals * effect).min(0.9) });
        Task { shape, pushed_at, refusals }
    }

    /// What becomes of the push to one user.
    pub fn push(&self, outage: Option<Outage>, dice: &mut Rng) -> Vec<Element> {
        let mut elements = Vec::new();
        let draw = dice.f64();
        let devices = 1
            + usize::from(draw > self.shape.devices[0])
            + usize::from(draw > self.shape.devices[0] + self.shape.devices[1]);
        for _ in 0..devices {
            let at = pick(&self.shape.vendors, dice);
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
        if dice.f64() >= self.shape.silent {
            story.log(3, false, log_normal(1.0, 1.0, dice));
        }
        story.end(0, true)
    }

    fn offline(&self, vendor: usize, outage: Option<Outage>, dice: &mut Rng) -> Element {
        let number = self.shape.vendors[vendor].number;
        let mut story = Story::begin(self.pushed_at);
        story.log(0, false, log_normal(0.3, 0.5, dice));
        story.log(1, false, log_normal(0.3, 0.5, dice));
        let shape = &self.shape;
        let wait = log_normal(shape.channel.0, shape.channel.1, dice);
        let out = |o: Outage| o.vendor == number && (o.from..o.until).contains(&story.at(wait));
        let refused = outage.is_some_and(out) || dice.f64() < self.refusals[vendor];
        story.log(2, refused, wait);
        if !refused && dice.f64() >= shape.silent {
            let receipts = shape.vendors[vendor].receipts;
            if receipts && dice.f64() < shape.bad_receipts {
                story.log(3, true, shape.bad_after.draw(dice));
                return story.end(number, false);
            }
            let (median, sigma) = if dice.f64() < shape.quick_share { shape.quick } else { shape.slow };
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

fn pick(vendors: &[Vendor], dice: &mut Rng) -> usize {
    let mut left = dice.f64();
    for (at, vendor) in vendors.iter().enumerate() {
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
