//! Who is in an app's population and when its pushes go out; nothing is kept, everything is thrown again when asked for.
use super::{
    calendar::MICROS,
    options::PopulationOptions,
    rng::{Rng, blend, number_of},
    vendor::VENDORS,
};

/// What the throws of a kind begin with, so that no two kinds share their luck.
pub(super) mod salt {
    pub(in crate::sim) const APP: u64 = 1;
    pub(in crate::sim) const TASK: u64 = 2;
    pub(in crate::sim) const USER: u64 = 3;
    pub(in crate::sim) const DELIVERY: u64 = 4;
    pub(in crate::sim) const WEATHER: u64 = 5;
    pub(in crate::sim) const DRIFT: u64 = 6;
}

/// One app's population.
#[derive(Clone, Copy, Debug)]
pub(super) struct Population<'a> {
    pub(super) seed: u64,
    pub(super) sdk_app_id: u64,
    pub(super) options: &'a PopulationOptions,
    pub(super) speed: f64,
    /// Unix microseconds at which the simulator started.
    pub(super) start_micros: i64,
}

/// How a device's answer shows a leaf that has no result; the manual does not know which the upstream uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blank {
    /// The object is there, the leaf is not.
    LeafMissing,
    /// The leaf is there with `PushStatus` 0 and an empty `EventTime`.
    Zero,
    /// The object is missing until its first leaf.
    ObjectMissing,
}

/// One person's device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Device {
    pub(super) instance_id: u64,
    pub(super) platform: u8,
    /// Where its token and versions are thrown from.
    pub(super) seed: u64,
    pub(super) notifications_on: bool,
    pub(super) recently_active: bool,
    /// `LastActiveTerminal` as the field table spells it, else `last_active_terminal` as the sample does.
    pub(super) spelled_as_table: bool,
    pub(super) blank: Blank,
}

/// The part of an IM instance's number that stays the same for one person's devices.
const INSTANCE_IDS: u64 = 89_999_990;

impl<'a> Population<'a> {
    pub(super) fn new(seed: u64, sdk_app_id: u64, options: &'a PopulationOptions) -> Population<'a> {
        let seed = blend(&[salt::APP, seed, sdk_app_id]);
        Population { seed, sdk_app_id, options, speed: 1.0, start_micros: 0 }
    }

    /// A name as the upstream makes them; every fifth is that of a batch push.
    pub(super) fn task_id(&self, task: u32) -> String {
        let mut rng = Rng::new(&[salt::TASK, self.seed, u64::from(task)]);
        let (first, second, third) = (rng.next() >> 32, rng.next() >> 32, rng.next() >> 4);
        let prefix = if task % 5 == 4 { "batch_" } else { "" };
        format!("{prefix}{first:08x}_{second:08x}_{third:015x}_{:08}_{task:06x}", rng.below(100_000_000))
    }

    /// Every fiftieth name is not ASCII.
    pub(super) fn user_id(&self, user: u32) -> String {
        let word = if user % 50 == 49 { "用户" } else { "user" };
        format!("{word}_{user:06}")
    }

    pub(super) fn task_index(&self, task_id: &str) -> Option<u32> {
        let (_, digits) = task_id.rsplit_once('_')?;
        let task = u32::from_str_radix(digits, 16).ok()?;
        (task < self.options.tasks && self.task_id(task) == task_id).then_some(task)
    }

    pub(super) fn user_index(&self, user_id: &str) -> Option<u32> {
        let (_, digits) = user_id.rsplit_once('_')?;
        let user = digits.parse().ok()?;
        (user < self.options.users_per_task && self.user_id(user) == user_id).then_some(user)
    }

    /// Unix seconds at which the push of a task went or goes out.
    pub(super) fn pushed_at(&self, task: u32) -> i64 {
        let (tasks, task) = (f64::from(self.options.tasks), f64::from(task));
        let past = (tasks * self.options.past_share).round();
        let share = if task < past { (task - past) / past } else { (task - past) / (tasks - past) };
        let offset = (share * self.options.push_span.as_secs_f64() * MICROS as f64) as i64;
        self.start_micros.saturating_add(offset).div_euclid(MICROS)
    }

    /// The one to three devices of a person.
    pub(super) fn devices(&self, user: u32) -> Vec<Device> {
        let mut rng = Rng::new(&[salt::USER, self.seed, u64::from(user)]);
        let count = *rng.weighted(&[(70, 1), (22, 2), (8, 3)]);
        let base = 10_000_000 + rng.below(INSTANCE_IDS);
        (0..count).map(|index| device(&mut rng, base + index)).collect()
    }
}

fn device(rng: &mut Rng, instance_id: u64) -> Device {
    let all: u32 = VENDORS.iter().map(|vendor| vendor.weight).sum();
    let mut left = rng.below(u64::from(all)) as u32;
    let mut platform = VENDORS[0].platform;
    for vendor in &VENDORS {
        platform = vendor.platform;
        match left.checked_sub(vendor.weight) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    Device {
        instance_id,
        platform,
        seed: rng.next(),
        notifications_on: !rng.chance(0.08),
        recently_active: rng.chance(0.6),
        spelled_as_table: rng.chance(0.5),
        blank: *rng.weighted(&[(1, Blank::LeafMissing), (1, Blank::Zero), (1, Blank::ObjectMissing)]),
    }
}

/// One number for a pair, by its names.
pub(super) fn pair_number(task_id: &str, user_id: &str) -> u64 {
    blend(&[number_of(task_id), number_of(user_id)])
}
