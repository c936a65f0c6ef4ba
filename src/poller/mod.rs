//! One app's loop: whenever the budget lets a request through, polls the pair that the schedule names.

mod additions;
mod breaker;
pub mod clock;
mod convert;
mod credential;
mod drawing;
mod enrolment;
mod failure_log;
pub mod feeder;
pub mod first_look;
pub mod heartbeat;
mod housekeeping;
mod in_force;
pub mod inbox;
mod learning;
pub mod list_scan;
mod poll;
mod polled_pairs;
mod polling;
mod requests;
mod retention;
mod roster;
mod round;
mod slot_table;
mod stats;
mod status;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::api::client::Client;
use crate::budget::{Moment, Share};
use crate::config::App;
use crate::ledger::{Ledger, LedgerClosed};
use crate::metrics::AppMetrics;
use crate::view::AppStatus;

use clock::wall_millis;
use feeder::AllRead;
use heartbeat::Heartbeat;
use housekeeping::Housekeeping;
use in_force::NewList;
use inbox::{Inbox, NewSettings};
use list_scan::{ListScan, PollerQuery, Times};
use polling::Polling;
use requests::Requests;
use roster::Roster;
use status::Status;
use work::{Done, Work};

/// How often figures are refreshed and the clock and the credential looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long the end of a poller waits for answers.
const DRAIN_DEADLINE: Duration = Duration::from_secs(3);
/// How long it waits for the ledger after that, each time.
const LEDGER_DEADLINE: Duration = Duration::from_secs(3);

/// What a poller works with.
pub struct Tools {
    pub ledger: Ledger,
    pub client: Client,
    pub budget: Share,
    pub metrics: Arc<AppMetrics>,
    pub status: Arc<ArcSwap<AppStatus>>,
    pub all_read: AllRead,
    pub heartbeat: Heartbeat,
}

/// Polls one app.
pub struct Poller {
    polling: Polling,
    /// The query that is being answered.
    scan: Option<ListScan>,
    housekeeping: Housekeeping,
}

/// Why the loop ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Dismissed,
    Stopped,
}

impl Poller {
    /// A poller with an empty list.
    pub fn new(app: App, tools: Tools) -> Poller {
        let Tools { ledger, client, budget, metrics, status, all_read, heartbeat } = tools;
        let now = wall_millis();
        let polling = Polling {
            requests: Requests::new(&app, client, budget, now),
            roster: Roster::new(app.watch_for, app.max_pairs),
            status: Status::new(&app, metrics, status, now),
            work: Work::new(app.name.clone(), ledger),
            lags: Arc::default(),
            app,
        };
        Poller { polling, scan: None, housekeeping: Housekeeping::new(heartbeat, all_read) }
    }

    /// Polls until `cancel`, its dismissal, or the end of the ledger.
    pub async fn run(mut self, inbox: Inbox, cancel: CancellationToken) {
        let Polling { app, work, .. } = &self.polling;
        let Ok(learned) = self.housekeeping.recall(&work.ledger, app, wall_millis()).await else {
            return;
        };
        self.polling.roster.recall(learned);
        self.polling.refresh_lags();
        let end = self.poll_all(inbox, cancel).await;
        self.drain().await;
        if end == End::Dismissed {
            // A closed ledger means that the process ends, and then nothing is shown any more. Where it is told too late,
            // the poller after this one begins with it.
            let dismiss =
                self.polling.work.ledger.dismiss(&self.polling.app.name, self.polling.roster.live() as u64);
            let _ = tokio::time::timeout(LEDGER_DEADLINE, dismiss).await;
        }
    }

    async fn poll_all(&mut self, inbox: Inbox, cancel: CancellationToken) -> End {
        let Inbox { mut lists, mut queries, settings, dismissed } = inbox;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.polling.adopt_pause();
            let (start_at, is_fine) = (self.polling.start_at(), self.polling.requests.are_quick());
            let takes_lists = self.polling.roster.takes_lists();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return End::Stopped,
                () = dismissed.cancelled() => return End::Dismissed,
                followed = self.polling.requests.follow() => self.polling.tell_slot(followed),
                Some(done) = self.polling.work.next() => {
                    if self.finish(done).is_err() {
                        return End::Stopped;
                    }
                }
                changed = settings.take() => self.configure(changed),
                list = lists.recv(), if takes_lists => match list {
                    Some(list) => self.replace(list),
                    None => return End::Stopped,
                },
                _ = tick.tick() => self.tick(),
                () = wait(start_at, is_fine) => self.polling.start(),
                // Behind everything else: what pages ask waits for polls, never the other way round.
                Some(query) = queries.recv(), if self.scan.is_none() => self.begin_answer(query),
                () = tokio::task::yield_now(), if self.scan.is_some() => self.scan_on(),
            }
            self.advance();
            if self.polling.requests.awaits_credential() {
                self.read_credential();
            }
        }
    }

    /// Waits a little for what is on its way. A pair whose answer does not come in time is polled again later: nothing of
    /// it was counted.
    async fn drain(&mut self) {
        let deadline = tokio::time::Instant::now() + DRAIN_DEADLINE;
        let sent = self.polling.requests.finish_sending(deadline).await;
        self.polling.tell_slot(sent);
        self.tell_leaves();
        while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.polling.work.next()).await {
            if self.finish(done).is_err() {
                break;
            }
            self.tell_leaves();
        }
        self.polling.work.shutdown().await;
        // A closed ledger means that the process ends badly; then the schedule learns anew.
        if let Some(bytes) = self.housekeeping.unkept(&self.polling.roster) {
            let learn = self.polling.work.ledger.learn(&self.polling.app.name, bytes);
            let _ = tokio::time::timeout(LEDGER_DEADLINE, learn).await;
        }
    }

    fn finish(&mut self, done: Done) -> Result<(), LedgerClosed> {
        let Polling { roster, status, .. } = &mut self.polling;
        match done {
            Done::Polled(polled) => self.polling.polled(polled)?,
            Done::Enrolment(done) => {
                roster.job_done(done?, wall_millis(), |pair, record| status.see_failures(pair, record));
            }
            Done::Housekeeping(done) => self.housekeeping.job_done(done?),
            Done::Credential(read) => self.polling.credential_read(read),
        }
        Ok(())
    }

    fn replace(&mut self, list: NewList) {
        self.polling.roster.replace(list, Instant::now(), wall_millis());
    }

    /// Takes what steps can be taken now: the next piece of the list, pairs whose watching is over.
    fn advance(&mut self) {
        let now = wall_millis();
        while let Some(job) = self.polling.roster.next_job(now) {
            self.polling.work.enrol(job);
        }
        if let Some((refusals, done)) = self.polling.roster.take_in_force() {
            self.polling.status.refused(refusals, self.polling.app.max_pairs);
            if let Some(done) = done {
                self.polling.publish(now);
                let _ = done.send(()); // Whoever waited may have gone.
            }
        }
        self.mind_clock();
        self.polling.roster.end_pairs(wall_millis());
    }

    /// Tells the ledger of pairs that left.
    fn tell_leaves(&mut self) {
        if let Some(job) = self.polling.roster.next_leaves() {
            self.polling.work.enrol(job);
        }
    }

    /// Once a second: figures, the clock, the credential.
    fn tick(&mut self) {
        self.housekeeping.beat();
        self.mind_clock();
        let now = wall_millis();
        self.read_credential();
        self.polling.requests.lets_through(now);
        self.polling.refresh_lags();
        self.polling.roster.fill_up(Instant::now(), now);
        for job in self.housekeeping.next_jobs(&self.polling.roster, &self.polling.app.watch_labels, now) {
            self.polling.work.keep_house(job);
        }
        self.polling.publish(now);
    }

    /// Notices that the wall clock was set. By a little, what is planned moves along. By much, it was wrong before: all is
    /// planned anew as after a restart, pairs that are over by the wrong clock are watched again, and what the upstream
    /// refused it may accept now.
    fn mind_clock(&mut self) {
        let Some(step) = self.housekeeping.clock_step() else {
            return;
        };
        tracing::warn!(app = %self.polling.app.name, seconds = step.by / 1000, "the wall clock was set; polls move along");
        let now = wall_millis();
        self.polling.roster.schedule_mut().shift(step.by);
        let mut pause_changed = self.polling.requests.shift(step.by);
        self.polling.status.clock_was_set(step.is_far, now);
        if step.by < 0 || step.is_far {
            self.polling.roster.reconsider_over();
        }
        if step.is_far {
            self.polling.roster.plan_anew();
            pause_changed |= self.polling.requests.reset_by_operator();
        }
        if pause_changed {
            self.polling.keep_pause(now);
        }
    }

    fn read_credential(&mut self) {
        if let Some(reading) = self.polling.requests.next_reading() {
            self.polling.work.read(reading);
        }
    }

    /// Takes over a changed configuration.
    fn configure(&mut self, NewSettings { app, budget }: NewSettings) {
        if self.polling.requests.configure(&app, &self.polling.app, budget) {
            self.polling.keep_pause(wall_millis());
        }
        if app.watch_labels != self.polling.app.watch_labels {
            self.housekeeping.labels_changed();
        }
        self.polling.roster.configure(app.watch_for, app.max_pairs);
        self.polling.status.configure(&app, &self.polling.app);
        self.polling.app = app;
    }

    /// Answers at once, or begins to look through the list.
    fn begin_answer(&mut self, query: PollerQuery) {
        // Whoever asked may have gone: their affair.
        match query {
            PollerQuery::Page { filter, reply } => {
                self.scan = Some(ListScan::new(&self.polling.roster, filter, reply));
            }
            PollerQuery::Pair { task, user, reply } => {
                drop(reply.send(list_scan::find(&self.polling.roster, (&task, &user), self.times())));
            }
            PollerQuery::LeftOut { pairs, reply } => drop(reply.send(self.polling.roster.left_out(&pairs))),
            PollerQuery::OverLimit(pairs) => self.polling.status.refused_by_api(pairs),
        }
    }

    fn scan_on(&mut self) {
        let times = self.times();
        self.scan = self.scan.take().and_then(|scan| scan.step(&self.polling.roster, times));
    }

    fn times(&self) -> Times {
        Times { now: wall_millis(), resume_at: self.polling.requests.breaker().resume_at() }
    }
}

async fn wait(moment: Option<Moment>, fine: bool) {
    match moment {
        Some(moment) => clock::until(moment, fine).await,
        None => std::future::pending().await,
    }
}
