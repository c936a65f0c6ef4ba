//! All that the simulator remembers between two requests.
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{
    account::{ResultAccount, Tally},
    answer::{Moment, note_of},
    calendar::MICROS,
    delivery::{Outage, OutageOrder},
    fault::{FaultOrder, Faults},
    options::{Account, Options},
    population::Population,
    rate_limiter::{RateLimiters, RateLimits},
    report::{Arrivals, Pair, Refusal, Sums},
    vendor::vendor,
};

/// Answers of a test's own that are kept at the same time.
const MAX_CANNED: usize = 10_000;
/// Outages since the start; ended ones still shape the past.
const MAX_OUTAGES: usize = 1_000;

/// An answer of a test's own: served as it is, with HTTP 200, whenever a question for the pair passes the checks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CannedAnswer {
    /// One app only; `None` is any.
    #[serde(default)]
    pub sdk_app_id: Option<u64>,
    pub task: String,
    pub user: String,
    /// Exactly one of the three bodies is given: a JSON value,
    #[serde(default)]
    pub json: Option<Value>,
    /// or a text,
    #[serde(default)]
    pub text: Option<String>,
    /// or bytes in standard base64.
    #[serde(default)]
    pub base64: Option<String>,
}

impl CannedAnswer {
    /// This JSON value, for any app.
    pub fn json(task: &str, user: &str, body: Value) -> CannedAnswer {
        let (task, user) = (task.to_owned(), user.to_owned());
        CannedAnswer { sdk_app_id: None, task, user, json: Some(body), text: None, base64: None }
    }

    /// These bytes, for any app.
    pub fn raw(task: &str, user: &str, body: &[u8]) -> CannedAnswer {
        let (task, user) = (task.to_owned(), user.to_owned());
        CannedAnswer {
            sdk_app_id: None,
            task,
            user,
            json: None,
            text: None,
            base64: Some(BASE64_STANDARD.encode(body)),
        }
    }

    fn body(&self) -> Result<Bytes, Refusal> {
        match (&self.json, &self.text, &self.base64) {
            (Some(json), None, None) => Ok(json.to_string().into()),
            (None, Some(text), None) => Ok(text.clone().into()),
            (None, None, Some(coded)) => {
                BASE64_STANDARD.decode(coded).map(Bytes::from).map_err(|_| Refusal::BadAnswer)
            }
            _ => Err(Refusal::BadAnswer),
        }
    }
}

type CannedKey = (Option<u64>, String, String);

/// The state behind all connections. No lock is held across an await.
#[derive(Debug)]
pub(super) struct World {
    pub(super) options: Options,
    started: Instant,
    start_micros: i64,
    /// Index into `options.apps`.
    apps: HashMap<u64, usize>,
    pub(super) limiters: Mutex<RateLimiters>,
    pub(super) faults: Mutex<Faults>,
    pub(super) account: Mutex<ResultAccount>,
    canned: Mutex<HashMap<CannedKey, Bytes>>,
    outages: Mutex<Arc<Vec<Outage>>>,
    bent_answers: AtomicU64,
}

/// The value behind a lock; what a panicked holder left is still plain numbers.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn new(options: Options) -> World {
        let started = Instant::now();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let rules = RateLimits {
            started,
            smallest_gap: options.smallest_gap(),
            lockout_failures: options.lockout_failures,
            lockout_window: options.lockout_window,
        };
        let limiters = RateLimiters::new(rules, options.apps.iter().map(|app| app.sdk_app_id));
        World {
            started,
            start_micros: i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX),
            apps: options.apps.iter().enumerate().map(|(index, app)| (app.sdk_app_id, index)).collect(),
            limiters: Mutex::new(limiters),
            faults: Mutex::default(),
            account: Mutex::default(),
            canned: Mutex::default(),
            outages: Mutex::default(),
            bent_answers: AtomicU64::new(0),
            options,
        }
    }

    pub(super) fn app(&self, sdk_app_id: u64) -> Option<&Account> {
        self.apps.get(&sdk_app_id).map(|index| &self.options.apps[*index])
    }

    pub(super) fn population(&self, sdk_app_id: u64) -> Population<'_> {
        let Options { seed, speed, population, .. } = &self.options;
        Population {
            speed: *speed,
            start_micros: self.start_micros,
            ..Population::new(*seed, sdk_app_id, population)
        }
    }

    /// The wall clock at the start, moved on by a clock that never steps: what has once happened stays so.
    pub(super) fn now_micros(&self) -> i64 {
        let passed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.start_micros.saturating_add(passed)
    }

    /// The present and the outages so far. Taken together, so that no outage begins in the past of an answer.
    pub(super) fn present(&self) -> (Moment, Arc<Vec<Outage>>) {
        let outages = locked(&self.outages);
        let zone_offset_seconds = self.options.zone_offset_seconds;
        (Moment { now_micros: self.now_micros(), zone_offset_seconds }, Arc::clone(&outages))
    }

    /// Counts the bent answers, so that no two are bent alike.
    pub(super) fn next_bent(&self) -> u64 {
        self.bent_answers.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn canned(&self, sdk_app_id: u64, task: &str, user: &str) -> Option<Bytes> {
        let canned = locked(&self.canned);
        if canned.is_empty() {
            return None;
        }
        let find = |app| canned.get(&(app, task.to_owned(), user.to_owned())).cloned();
        find(Some(sdk_app_id)).or_else(|| find(None))
    }

    pub(super) fn set_answer(&self, answer: CannedAnswer) -> Result<(), Refusal> {
        self.known(answer.sdk_app_id)?;
        let body = answer.body()?;
        let mut canned = locked(&self.canned);
        let key = (answer.sdk_app_id, answer.task, answer.user);
        if canned.len() >= MAX_CANNED && !canned.contains_key(&key) {
            return Err(Refusal::Full { what: "answers", limit: MAX_CANNED });
        }
        canned.insert(key, body);
        Ok(())
    }

    pub(super) fn clear_answers(&self) {
        locked(&self.canned).clear();
    }

    pub(super) fn set_fault(&self, order: FaultOrder) -> Result<(), Refusal> {
        self.known(order.sdk_app_id)?;
        locked(&self.faults).add(order)
    }

    pub(super) fn outage(&self, order: OutageOrder) -> Result<(), Refusal> {
        self.known(order.sdk_app_id)?;
        vendor(order.platform).ok_or(Refusal::UnknownPlatform(order.platform))?;
        let mut outages = locked(&self.outages);
        if outages.len() >= MAX_OUTAGES {
            return Err(Refusal::Full { what: "outages", limit: MAX_OUTAGES });
        }
        // An answer may speak of this very microsecond already.
        let from_micros = self.now_micros().saturating_add(1);
        let mut more = outages.to_vec();
        more.push(Outage { order, from_micros, until_micros: i64::MAX });
        *outages = Arc::new(more);
        Ok(())
    }

    /// Ends every outage now; what it did to events before this moment stays.
    pub(super) fn end_outages(&self) {
        let mut outages = locked(&self.outages);
        let now_micros = self.now_micros().saturating_add(1);
        let mut ended = outages.to_vec();
        ended.iter_mut().for_each(|outage| outage.until_micros = outage.until_micros.min(now_micros));
        *outages = Arc::new(ended);
    }

    fn known(&self, sdk_app_id: Option<u64>) -> Result<(), Refusal> {
        match sdk_app_id {
            Some(app) if !self.apps.contains_key(&app) => Err(Refusal::UnknownApp(app)),
            _ => Ok(()),
        }
    }

    pub(super) fn arrivals(&self, sdk_app_id: Option<u64>) -> Arrivals {
        locked(&self.limiters).report(sdk_app_id)
    }

    pub(super) fn account(&self) -> Sums {
        locked(&self.account).sums()
    }

    /// Every result up to now of every pair of every app, told again from the beginning.
    pub(super) fn truth(&self) -> Sums {
        let (moment, outages) = self.present();
        let mut tally = Tally::default();
        for account in &self.options.apps {
            let population = self.population(account.sdk_app_id);
            for task in 0..population.options.tasks {
                if population.pushed_at(task).saturating_mul(MICROS) > moment.now_micros {
                    continue;
                }
                for user in 0..population.options.users_per_task {
                    for delivery in population.deliveries(task, user, &outages) {
                        let seen = delivery.route.stages().iter().filter_map(|stage| {
                            delivery
                                .seen(*stage, moment.now_micros)
                                .map(|event| note_of(&delivery, *stage, &event))
                        });
                        let notes: Vec<_> = seen.collect();
                        notes.iter().for_each(|note| tally.add(account.sdk_app_id, note));
                        if !notes.is_empty() {
                            tally.add_device();
                        }
                    }
                }
            }
        }
        tally.sums()
    }

    /// Every pair of an app's population; none for an app that the simulator does not play.
    pub(super) fn pairs(&self, sdk_app_id: u64) -> Vec<Pair> {
        if !self.apps.contains_key(&sdk_app_id) {
            return Vec::new();
        }
        let population = self.population(sdk_app_id);
        let of_task = |task| {
            let (id, pushed_at) = (population.task_id(task), population.pushed_at(task));
            let users = 0..population.options.users_per_task;
            users.map(move |user| Pair { task: id.clone(), user: population.user_id(user), pushed_at })
        };
        (0..population.options.tasks).flat_map(of_task).collect()
    }
}
