//! What becomes of one push on one device: the timing world of the demo, and the outages that cut into it.
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{
    calendar::MICROS,
    population::{Device, Population, salt},
    rng::Rng,
    vendor::{self, Failure, IM_INTERNAL, NO_CERTIFICATE, NO_TOKEN, Vendor, vendor},
    words::{Route, Stage},
};

/// Share of devices that are online when the push comes.
const ONLINE_SHARE: f64 = 0.25;
/// Share of online devices that are in the background and get an offline push as well.
const BACKGROUND_SHARE: f64 = 0.3;
/// Share of (task, vendor) that is wholly broken by a wrong credential.
const BROKEN_SHARE: f64 = 0.03;
/// Share of pushes that the channel took and that no receipt ever speaks of.
const SILENT_SHARE: f64 = 0.12;
/// Share of receipts that report a failure, where the vendor reports those.
const BAD_RECEIPT_SHARE: f64 = 0.06;
/// The longest delay of a receipt that reports a failure.
const BAD_RECEIPT_SECONDS: f64 = 6.0 * 3_600.0;
/// Share of delivered pushes that are tapped.
const CLICK_SHARE: f64 = 0.04;
/// Recipients of one task that the upstream serves in a second.
const DISPATCHED_PER_SECOND: f64 = 1_000.0;

/// One result and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Unix microseconds.
    pub(super) at_micros: i64,
    pub(super) failure: Option<Failure>,
}

/// One push to one device on one route, whole: past and future.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) device: Device,
    pub(super) route: Route,
    /// Unix seconds.
    pub(super) pushed_at: i64,
    /// Unix microseconds from which an answer has an element for it.
    pub(super) dispatched_micros: i64,
    events: [Option<Event>; Stage::COUNT],
}

/// How a vendor fails while it is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKind {
    /// Every send is refused with the vendor's own code for being down.
    Fail,
    /// Sends are taken, and no receipt or tap comes any more.
    Silent,
}

/// A vendor that is to go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutageOrder {
    /// `PushPlatform`, 1 to 8; in an order also as a name such as `huawei`.
    #[serde(deserialize_with = "platform")]
    pub platform: u8,
    pub kind: OutageKind,
    /// One app only; `None` is all.
    #[serde(default)]
    pub sdk_app_id: Option<u64>,
}

fn platform<'de, D: Deserializer<'de>>(order: D) -> Result<u8, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Number(u8),
        Name(String),
    }
    match Told::deserialize(order)? {
        Told::Number(number) => Ok(number),
        Told::Name(name) => {
            vendor::number_of(&name).ok_or_else(|| D::Error::custom(format!("no vendor {name}")))
        }
    }
}

/// An outage with its time: events of `[from, until)` suffer, whenever they are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) order: OutageOrder,
    pub(super) from_micros: i64,
    pub(super) until_micros: i64,
}

impl Delivery {
    /// `EventType`.
    pub(super) fn event_type(&self) -> u8 {
        match self.route {
            Route::Offline => 1,
            Route::Online => 2,
        }
    }

    /// `PushPlatform`.
    pub(super) fn platform(&self) -> u8 {
        match self.route {
            Route::Offline => self.device.platform,
            Route::Online => 0,
        }
    }

    /// The result at a stage, if it lies at or before `now_micros`.
    pub(super) fn seen(&self, stage: Stage, now_micros: i64) -> Option<Event> {
        self.events[stage as usize].filter(|event| event.at_micros <= now_micros)
    }

    fn suffer(&mut self, outage: &Outage) {
        let hit = |event: Option<Event>| {
            event.filter(|event| (outage.from_micros..outage.until_micros).contains(&event.at_micros))
        };
        match outage.order.kind {
            OutageKind::Fail => {
                if let Some(event) = hit(self.events[Stage::Channel as usize]) {
                    let failure = vendor(self.device.platform).map(|vendor| vendor.down);
                    self.events[Stage::Channel as usize] = Some(Event { failure, ..event });
                    self.events[Stage::Device as usize] = None;
                    self.events[Stage::Click as usize] = None;
                }
            }
            OutageKind::Silent => {
                if hit(self.events[Stage::Device as usize]).is_some() {
                    self.events[Stage::Device as usize] = None;
                    self.events[Stage::Click as usize] = None;
                }
                if hit(self.events[Stage::Click as usize]).is_some() {
                    self.events[Stage::Click as usize] = None;
                }
            }
        }
    }
}

impl Population<'_> {
    /// What becomes of one task for one person, on every device and route.
    pub(super) fn deliveries(&self, task: u32, user: u32, outages: &[Outage]) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for device in self.devices(user) {
            let parts = [salt::DELIVERY, self.seed, u64::from(task), u64::from(user), device.instance_id];
            let mut rng = Rng::new(&parts);
            let online = rng.chance(ONLINE_SHARE);
            let background = rng.chance(BACKGROUND_SHARE);
            let queue_seconds = f64::from(self.options.users_per_task) / DISPATCHED_PER_SECOND;
            let pushed_at = self.pushed_at(task);
            let mut teller = DeliveryBuilder {
                at_micros: pushed_at.saturating_mul(MICROS),
                speed: self.speed,
                events: [None; Stage::COUNT],
                rng,
            };
            let waited_seconds = teller.rng.share() * queue_seconds + teller.rng.log_normal(0.3, 0.5);
            teller.wait(waited_seconds);
            let delivery = |route, teller: DeliveryBuilder, told: [Option<Event>; Stage::COUNT]| Delivery {
                device,
                route,
                pushed_at,
                dispatched_micros: teller.at_micros,
                events: told,
            };
            if online {
                deliveries.push(delivery(Route::Online, teller.clone(), teller.clone().tell_online()));
            }
            if !online || background {
                let weather = self.weather(task, device.platform);
                deliveries.push(delivery(
                    Route::Offline,
                    teller.clone(),
                    teller.tell_offline(device, weather),
                ));
            }
        }
        for delivery in deliveries.iter_mut().filter(|delivery| delivery.route == Route::Offline) {
            let suits = |order: &OutageOrder| {
                order.platform == delivery.device.platform
                    && order.sdk_app_id.is_none_or(|app| app == self.sdk_app_id)
            };
            let suffered: Vec<&Outage> = outages.iter().filter(|outage| suits(&outage.order)).collect();
            suffered.into_iter().for_each(|outage| delivery.suffer(outage));
        }
        deliveries
    }

    /// What the task does to its vendor's refusals: a factor, or `None` where the whole of it is broken.
    fn weather(&self, task: u32, platform: u8) -> Option<f64> {
        let broken =
            Rng::new(&[salt::WEATHER, self.seed, u64::from(task), u64::from(platform)]).chance(BROKEN_SHARE);
        let factor = Rng::new(&[salt::WEATHER, self.seed, u64::from(task)]).log_normal(1.0, 0.5);
        (!broken).then_some(factor)
    }
}

/// Tells one delivery from its beginning.
#[derive(Clone)]
struct DeliveryBuilder {
    rng: Rng,
    at_micros: i64,
    speed: f64,
    events: [Option<Event>; Stage::COUNT],
}

type Told = [Option<Event>; Stage::COUNT];

impl DeliveryBuilder {
    fn wait(&mut self, seconds: f64) {
        let micros = seconds / self.speed * MICROS as f64;
        self.at_micros = self.at_micros.saturating_add(micros as i64);
    }

    fn log(&mut self, stage: Stage, failure: Option<Failure>) {
        self.events[stage as usize] = Some(Event { at_micros: self.at_micros, failure });
    }

    /// The first stage of both routes; false where the delivery ends with it.
    fn tell_im(&mut self) -> bool {
        let seconds = self.rng.log_normal(0.2, 0.5);
        self.wait(seconds);
        let failure = self.rng.chance(0.003).then_some(IM_INTERNAL);
        self.log(Stage::Im, failure);
        failure.is_none()
    }

    fn tell_online(mut self) -> Told {
        if !self.tell_im() {
            return self.events;
        }
        let seconds = self.rng.log_normal(0.2, 0.5);
        self.wait(seconds);
        let failure = self.rng.chance(0.01).then_some(IM_INTERNAL);
        self.log(Stage::Channel, failure);
        if failure.is_none() && !self.rng.chance(SILENT_SHARE) {
            let seconds = self.rng.log_normal(1.0, 1.0);
            self.wait(seconds);
            self.log(Stage::Device, None);
        }
        self.events
    }

    fn tell_offline(mut self, device: Device, weather: Option<f64>) -> Told {
        if !self.tell_im() {
            return self.events;
        }
        let seconds = self.rng.log_normal(0.3, 0.5);
        self.wait(seconds);
        let choices = [(6, Some(NO_CERTIFICATE)), (20, Some(NO_TOKEN)), (974, None)];
        let failure = *self.rng.weighted(&choices);
        self.log(Stage::Offline, failure);
        let Some(vendor) = vendor(device.platform).filter(|_| failure.is_none()) else {
            return self.events;
        };
        let seconds = self.rng.log_normal(1.0, 0.8);
        self.wait(seconds);
        let failure = self.refusal(vendor, weather);
        self.log(Stage::Channel, failure);
        if failure.is_none() {
            self.tell_receipts(vendor, device);
        }
        self.events
    }

    fn refusal(&mut self, vendor: &Vendor, weather: Option<f64>) -> Option<Failure> {
        let Some(factor) = weather else {
            return Some(vendor.credential);
        };
        let refused = self.rng.chance((vendor.refusal_share * factor).min(0.9));
        refused.then(|| *self.rng.weighted(vendor.refusals))
    }

    fn tell_receipts(&mut self, vendor: &Vendor, device: Device) {
        if self.rng.chance(SILENT_SHARE) {
            return;
        }
        if vendor.reports_reach {
            if !vendor.receipts.is_empty() && self.rng.chance(BAD_RECEIPT_SHARE) {
                let seconds = BAD_RECEIPT_SECONDS.powf(self.rng.share());
                self.wait(seconds);
                let failure = *self.rng.weighted(vendor.receipts);
                self.log(Stage::Device, Some(failure));
                return;
            }
            let soon = self.rng.chance(0.6);
            let (median, sigma) = if soon { (4.0, 1.2) } else { (90.0 * 60.0, 1.6) };
            let seconds = self.rng.log_normal(median, sigma);
            self.wait(seconds);
            self.log(Stage::Device, None);
        }
        if device.notifications_on && self.rng.chance(CLICK_SHARE) {
            let seconds = self.rng.log_normal(30.0 * 60.0, 2.0);
            self.wait(seconds);
            self.log(Stage::Click, None);
        }
    }
}
