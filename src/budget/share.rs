//! One budget for all apps of this process that have its key, by turns.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::slot::KeptPause;
use super::{Budget, Key, LOCK_RETRY, Moment, Pause, Plan, SlotError, Turn};
use crate::sys::lock;

/// How long the next start is left to the app whose turn it is, as a share of the interval, and its bounds: one that does
/// not come, since its thread is busy, must not stop the others.
const TURN_SHARE: f64 = 0.02;
const SHORTEST_TURN: Duration = Duration::from_millis(1);
pub(super) const LONGEST_TURN: Duration = Duration::from_millis(20);
/// A slot file that was not written for so long says nothing any more: the slowest budget starts once in 28 hours, and
/// no pause lasts longer than an hour.
const SLOT_FILE_LIFE: Duration = Duration::from_secs(48 * 3600);

/// The budgets that this process has open.
#[derive(Debug)]
pub struct Budgets {
    folder: PathBuf,
    pools: Mutex<HashMap<Key, Weak<Pool>>>,
}

/// One budget and who shares it.
#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    /// Told when a start may have become possible, or a pause began.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    budget: Budget,
    /// The rates of those that have said one, requests per second; the lowest holds.
    rates: BTreeMap<u64, f64>,
    /// Those that wait for a start, the next one first.
    queue: VecDeque<u64>,
    /// A start is taken, and its request is not sent yet.
    is_taken: bool,
    members: u64,
    /// What stands in the file.
    pause: Option<KeptPause>,
    /// Files of an earlier version whose content is taken over.
    taken_over: Vec<PathBuf>,
}

/// What one app has of a budget.
#[derive(Debug)]
pub struct Share {
    pool: Arc<Pool>,
    app: Arc<str>,
    id: u64,
    changed: watch::Receiver<()>,
    /// The pause that [`Share::news_of_pause`] saw last.
    seen: Option<KeptPause>,
}

/// What [`Share::take`] came to.
#[derive(Debug)]
pub enum Taken {
    /// The start is taken.
    Start(Start),
    /// It is not; ask again then.
    NotBefore(Moment),
}

/// A start that is taken: nothing else starts until it is told when its request was sent. Dropped untold it counts as
/// sent at that moment.
#[derive(Debug)]
pub struct Start {
    pool: Arc<Pool>,
    not_before: Moment,
    is_told: bool,
}

impl Budgets {
    /// No budget is open yet; `folder` is where their files lie.
    pub fn new(folder: PathBuf) -> Budgets {
        Budgets { folder, pools: Mutex::default() }
    }

    /// A share of `app` in the budget of `key`, which has `requests_per_second` unless others share it already: their
    /// rate holds until [`Share::set_rate`].
    ///
    /// # Errors
    /// The slot file cannot be created or read.
    pub fn open(&self, key: &Key, app: &Arc<str>, requests_per_second: f64) -> Result<Share, SlotError> {
        let mut pools = lock(&self.pools);
        pools.retain(|_, pool| pool.strong_count() > 0);
        let pool = match pools.get(key).and_then(Weak::upgrade) {
            Some(pool) => pool,
            None => {
                let budget = Budget::open(&self.folder, key, requests_per_second)?;
                let pool = Arc::new(Pool::new(budget)?);
                pools.insert(key.clone(), Arc::downgrade(&pool));
                pool
            }
        };
        let mut state = pool.state();
        state.members += 1;
        let id = state.members;
        let is_taken = state.is_taken;
        if let Some(file) = state.budget.take_over(&self.folder, app, is_taken)? {
            state.taken_over.push(file);
            state.pause = state.budget.kept_pause()?;
        }
        drop(state);
        let changed = pool.changed.subscribe();
        Ok(Share { pool, app: app.clone(), id, changed, seen: None })
    }

    /// Removes files that nobody needs any more: of earlier versions, taken over by now, and of budgets that are not open
    /// and were not used for long. A file that cannot be removed does no harm.
    pub fn tidy(&self, now: SystemTime) {
        let pools = lock(&self.pools);
        let mut open = Vec::new();
        for (key, pool) in pools.iter() {
            let Some(pool) = pool.upgrade() else { continue };
            open.push(key.file_name());
            for file in pool.state().taken_over.drain(..) {
                let _ = std::fs::remove_file(file);
            }
        }
        let Ok(files) = std::fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            let is_slot = name.to_str().is_some_and(|name| name.ends_with(".slot"));
            let written_at = file.metadata().and_then(|metadata| metadata.modified());
            let age = written_at.ok().and_then(|at| now.duration_since(at).ok());
            if is_slot
                && age.is_some_and(|age| age > SLOT_FILE_LIFE)
                && !open.iter().any(|open| name == **open)
            {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

impl Pool {
    fn new(budget: Budget) -> Result<Pool, SlotError> {
        let state = State {
            pause: budget.kept_pause()?,
            budget,
            rates: BTreeMap::new(),
            queue: VecDeque::new(),
            is_taken: false,
            members: 0,
            taken_over: Vec::new(),
        };
        Ok(Pool { state: Mutex::new(state), changed: watch::Sender::new(()) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn tell(&self) {
        self.changed.send_replace(());
    }

    fn sent(&self, at: Moment) -> Result<(), SlotError> {
        let mut state = self.state();
        state.is_taken = false;
        let told = state.budget.sent(at);
        drop(state);
        self.tell();
        told
    }
}

impl State {
    /// When that member may start; `None` while the start of another one is not sent yet.
    fn earliest(&self, id: u64) -> Option<Moment> {
        if self.is_taken {
            return None;
        }
        let before = self.queue.iter().position(|waiting| *waiting == id).unwrap_or(self.queue.len());
        let turn = self.budget.pace().interval().mul_f64(TURN_SHARE).clamp(SHORTEST_TURN, LONGEST_TURN);
        let wait = turn.saturating_mul(u32::try_from(before).unwrap_or(u32::MAX));
        Some(self.budget.earliest().after(wait))
    }

    fn set_rates(&mut self) {
        if let Some(rate) = self.rates.values().copied().min_by(f64::total_cmp) {
            self.budget.pace_mut().set_rate(rate);
        }
    }
}

impl Share {
    /// The app's rate, requests per second; the lowest of those that share the budget holds.
    pub fn set_rate(&self, requests_per_second: f64) {
        let mut state = self.pool.state();
        state.rates.insert(self.id, requests_per_second);
        state.set_rates();
        drop(state);
        self.pool.tell();
    }

    /// The spacing in force.
    pub fn interval(&self) -> Duration {
        self.pool.state().budget.pace().interval()
    }

    /// The rate in force, requests per second: what the app can use while nobody else wants it.
    pub fn whole_rate(&self) -> f64 {
        self.pool.state().budget.pace().rate()
    }

    /// The app's part of the rate in force, requests per second: what it can use while all others want theirs.
    pub fn rate(&self) -> f64 {
        let state = self.pool.state();
        state.budget.pace().rate() / state.rates.len().max(1) as f64
    }

    /// The budget as it is configured at present.
    pub fn plan(&self) -> Plan {
        let state = self.pool.state();
        let requests_per_second = state.budget.pace().configured_rate();
        Plan { apps: state.rates.len().max(1), requests_per_second }
    }

    /// The earliest moment of the app's next start as far as this process knows. `None` while another app's request is
    /// about to be sent: then [`Share::changed`] tells when to look again. `is_due` says whether the app would start now:
    /// it keeps its place among those that wait only as long as it would.
    pub fn earliest(&mut self, is_due: bool) -> Option<Moment> {
        self.changed.mark_unchanged();
        let mut state = self.pool.state();
        match state.queue.iter().position(|id| *id == self.id) {
            None if is_due => state.queue.push_back(self.id),
            Some(place) if !is_due => drop(state.queue.remove(place)),
            _ => {}
        }
        state.earliest(self.id)
    }

    /// Done when [`Share::earliest`] may tell another moment than it did last, or a pause has begun.
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            std::future::pending().await // Never: the share holds the pool.
        }
    }

    /// Tries to take the next start, which may lie up to `lead` ahead.
    ///
    /// # Errors
    /// The slot file cannot be locked, read or written: no request may start, since the next process would not know.
    pub fn take(&self, lead: Duration) -> Result<Taken, SlotError> {
        let mut state = self.pool.state();
        let now = Moment::now();
        let Some(earliest) = state.earliest(self.id) else {
            return Ok(Taken::NotBefore(now.after(LOCK_RETRY)));
        };
        if now.after(lead) < earliest {
            return Ok(Taken::NotBefore(earliest));
        }
        match state.budget.take_at(now, lead)? {
            Turn::Taken(not_before) => Ok(Taken::Start(self.start(&mut state, not_before))),
            Turn::NotBefore(moment) => Ok(Taken::NotBefore(moment)),
        }
    }

    /// Waits for the next start and takes it. Holds the slot while it waits, so that a daemon beside us which asks all
    /// the time lets it through.
    ///
    /// # Errors
    /// As [`Share::take`].
    pub async fn wait_and_take(&self) -> Result<Start, SlotError> {
        while !self.pool.state().budget.hold()? {
            tokio::time::sleep(LOCK_RETRY).await;
        }
        loop {
            let turn = {
                let mut state = self.pool.state();
                let turn = state.budget.take_held(Moment::now())?;
                match turn {
                    Turn::Taken(not_before) => return Ok(self.start(&mut state, not_before)),
                    Turn::NotBefore(free_at) => free_at,
                }
            };
            tokio::time::sleep(turn.since(Moment::now())).await;
        }
    }

    fn start(&self, state: &mut State, not_before: Moment) -> Start {
        state.is_taken = true;
        state.queue.retain(|id| *id != self.id);
        Start { pool: self.pool.clone(), not_before, is_told: false }
    }

    /// The answer to the request that was sent at `sent_at` came at `at`.
    pub fn answered(&self, sent_at: Moment, at: Moment) {
        self.pool.state().budget.pace_mut().answered(sent_at, at);
        self.pool.tell();
    }

    /// The upstream said that requests come too often.
    pub fn widen(&self) {
        self.pool.state().budget.pace_mut().widen();
    }

    /// The upstream took a request without complaint; true if that changed the pace.
    pub fn narrow(&self) -> bool {
        self.pool.state().budget.pace_mut().narrow()
    }

    /// Carries the app's pause, or its end, over a restart, at `now` in Unix seconds. A pause that the upstream named
    /// belongs to all that share the budget, and only who met it ends it before its time.
    ///
    /// # Errors
    /// The slot file cannot be written.
    pub fn keep_pause(&self, pause: Option<Pause>, now: i64) -> Result<(), SlotError> {
        let mut state = self.pool.state();
        let stays = |kept: &KeptPause| {
            let is_others = kept.app != *self.app && kept.pause.resume_at > now;
            is_others && pause.is_none_or(|pause| kept.pause.fixed && !pause.fixed)
        };
        if state.pause.as_ref().is_some_and(stays) {
            return Ok(());
        }
        state.pause = pause.map(|pause| KeptPause { pause, app: self.app.to_string() });
        state.budget.keep_pause(state.pause.as_ref())?;
        drop(state);
        self.pool.tell();
        Ok(())
    }

    /// The pause that is kept, if it concerns this app: its own, or one that the upstream named to anybody.
    pub fn kept_pause(&self) -> Option<Pause> {
        let state = self.pool.state();
        let kept = state.pause.as_ref()?;
        let concerns = kept.pause.fixed || kept.app.is_empty() || kept.app == *self.app;
        concerns.then_some(kept.pause)
    }

    /// A pause that the upstream named to another app since the last call.
    pub fn news_of_pause(&mut self) -> Option<Pause> {
        let state = self.pool.state();
        if state.pause == self.seen {
            return None;
        }
        self.seen.clone_from(&state.pause);
        let kept = self.seen.as_ref()?;
        (kept.pause.fixed && kept.app != *self.app).then_some(kept.pause)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.rates.remove(&self.id);
        state.queue.retain(|id| *id != self.id);
        state.set_rates();
        drop(state);
        self.pool.tell();
    }
}

impl Start {
    /// Nothing may be sent before that moment.
    pub fn not_before(&self) -> Moment {
        self.not_before
    }

    /// The request was handed to the network at `at`, or failed at `at` before it could be.
    ///
    /// # Errors
    /// The slot file cannot be written or unlocked.
    pub fn sent(mut self, at: Moment) -> Result<(), SlotError> {
        self.is_told = true;
        self.pool.sent(at)
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        if !self.is_told {
            // Whoever opens the file next finds out if this cannot be written.
            let _ = self.pool.sent(Moment::now());
        }
    }
}
