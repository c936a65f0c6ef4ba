//! One app's loop: whenever the budget lets a question through, ask the pair that the schedule names.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::client::{Client, Upstream};
use crate::budget::{Budget, Moment};
use crate::config::App;
use crate::ledger::{Ledger, LedgerClosed};
use crate::metrics::{AppMetrics, PairStates};
use crate::schedule::{Schedule, Slot, State};
use crate::usersig::{Identity, Signer};
use crate::watch::Entry;
use crate::watch::list::List;
use crate::web::AppStatus;

use super::clock::{self, FINE_INTERVAL, StepWatch, wall_millis};
use super::look::Looked;
use super::pairs::{Enrolled, Enrolment};
use super::trouble::Trouble;

/// Commands that may wait for a poller.
pub const COMMANDS_CAP: usize = 8;
/// Requests of one app that may be on their way at once: enough for any rate as long as answers come in time.
const IN_FLIGHT_CAP: f64 = 256.0;
/// How often figures are refreshed and the clock and the credential looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long to wait after the slot file could not be used.
const SLOT_RETRY: Duration = Duration::from_secs(1);

/// What a poller is told.
#[derive(Debug)]
pub enum Command {
    /// The list in force from now on, first places first; `done` is told when every pair of it is enrolled.
    List {
        entries: Vec<Arc<Vec<Entry>>>,
        done: Option<oneshot::Sender<()>>,
    },
    /// The app's configuration changed.
    Configure(Box<App>),
    /// The app left the configuration: its pairs are removed, and the poller ends.
    Dismiss,
}

/// What a poller works with.
pub struct Tools {
    pub ledger: Ledger,
    pub client: Client,
    pub budget: Budget,
    pub metrics: Arc<AppMetrics>,
    pub status: Arc<ArcSwap<AppStatus>>,
}

/// What the poller knows of a listed pair beside list and schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Its row in the ledger.
    pub row: i64,
    pub added_at: i64,
    /// Questions answered with a code that may be the pair's fault or not.
    pub doubts: u32,
}

/// Polls one app.
pub struct Poller {
    pub(super) app: App,
    pub(super) name: Arc<str>,
    pub(super) tools: Tools,
    pub(super) upstream: Arc<Upstream>,
    pub(super) signer: Signer,
    pub(super) trouble: Trouble,
    pub(super) list: List,
    pub(super) schedule: Schedule,
    pub(super) held: HashMap<Slot, Held>,
    pub(super) work: JoinSet<Done>,
    /// Requests on their way, up to the commit of their answers.
    pub(super) in_flight: usize,
    /// Told when the request just started is handed to the network.
    pub(super) sending: Option<oneshot::Receiver<Moment>>,
    /// Told when the latest request is answered, with the moment it was sent.
    pub(super) answering: Option<(Moment, oneshot::Receiver<Moment>)>,
    /// The receiver that becomes `answering` once the request is sent.
    pub(super) next_answer: Option<oneshot::Receiver<Moment>>,
    pub(super) enrolment: Enrolment,
    pub(super) status: AppStatus,
    /// After the slot file failed: no start before this.
    slot_retry_at: Moment,
    clock: StepWatch,
}

/// What a task of the poller came to.
pub(super) enum Done {
    Looked(Looked),
    Enrolled(Result<Enrolled, LedgerClosed>),
}

impl Poller {
    /// A poller with an empty list.
    pub fn new(app: App, tools: Tools) -> Poller {
        let resume_at = tools.budget.kept_pause().unwrap_or(0);
        let trouble = if resume_at > clock::wall_seconds() {
            Trouble::resumed(resume_at * 1000)
        } else {
            Trouble::default()
        };
        let status = AppStatus {
            name: app.name.to_string(),
            endpoint_host: host(&app.endpoint).to_owned(),
            rate_configured: app.requests_per_second,
            ..AppStatus::default()
        };
        Poller {
            name: app.name.clone(),
            upstream: Arc::new(upstream(&app)),
            signer: signer(&app),
            trouble,
            list: List::new(app.max_pairs),
            schedule: Schedule::default(),
            held: HashMap::new(),
            work: JoinSet::new(),
            in_flight: 0,
            sending: None,
            answering: None,
            next_answer: None,
            enrolment: Enrolment::default(),
            status,
            slot_retry_at: Moment::default(),
            clock: StepWatch::new(),
            app,
            tools,
        }
    }

    /// Polls until `cancel`, a [`Command::Dismiss`], or the end of the ledger. What is on its way is waited for, each
    /// look at most its timeout, so that nothing that was read is lost.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let dismissed = loop {
            let start_at = self.start_at();
            let takes_commands = self.enrolment.takes_lists();
            tokio::select! {
                biased;
                () = cancel.cancelled() => break false,
                sent_at = told(&mut self.sending) => self.was_sent(sent_at),
                answered_at = told_answer(&mut self.answering) => self.was_answered(answered_at),
                Some(done) = self.work.join_next() => {
                    if self.finish(done).await.is_err() {
                        break false;
                    }
                }
                command = commands.recv(), if takes_commands => match command {
                    Some(Command::List { entries, done }) => self.enrolment.propose(entries, done),
                    Some(Command::Configure(app)) => self.configure(*app),
                    Some(Command::Dismiss) => break true,
                    None => break false,
                },
                _ = tick.tick() => self.tick().await,
                () = wait(start_at, self.tools.budget.pace().interval() < FINE_INTERVAL) => self.start(),
            }
            if self.advance().await.is_err() {
                break false;
            }
        };
        self.drain().await;
        if dismissed {
            let live = State::ALL.map(|state| self.schedule.count(state));
            let removed = live.iter().sum::<usize>() - self.schedule.count(State::Settled);
            // A closed ledger means that the process ends, and then nothing is shown any more.
            let _ = self.tools.ledger.dismiss(&self.name, removed as u64).await;
        }
    }

    /// Waits for what is on its way.
    async fn drain(&mut self) {
        if let Some(sending) = self.sending.take() {
            let sent_at = sending.await.unwrap_or_else(|_| Moment::now());
            self.was_sent(sent_at);
        }
        while let Some(done) = self.work.join_next().await {
            if self.finish(done).await.is_err() {
                return;
            }
        }
    }

    /// When the next look may start: `None` while there is nothing to do that a wait could bring.
    fn start_at(&mut self) -> Option<Moment> {
        let now = wall_millis();
        if self.sending.is_some() || self.in_flight >= self.in_flight_cap() || self.enrolment.is_waiting() {
            return None;
        }
        let due_at = match self.trouble.resume_at() {
            0 => self.schedule.next_look_at(now)?,
            resume_at => resume_at.max(self.schedule.next_look_at(now)?),
        };
        let wait = Duration::from_millis(u64::try_from(due_at - now).unwrap_or(0));
        let due_at = Moment::now().after(wait);
        Some(self.tools.budget.earliest().max(due_at).max(self.slot_retry_at))
    }

    fn in_flight_cap(&self) -> usize {
        if self.trouble.is_probing() {
            return 1;
        }
        let enough = self.tools.budget.pace().rate() * self.app.request_timeout.as_secs_f64();
        // Positive and far below the limits of usize.
        (enough.ceil() + 1.0).min(IN_FLIGHT_CAP) as usize
    }

    /// Starts the look that is due, if the budget lets it through.
    fn start(&mut self) {
        let now = wall_millis();
        if !self.trouble.may_go_on(now) || self.schedule.next_look_at(now).is_none_or(|at| at > now) {
            return;
        }
        match self.tools.budget.take() {
            Ok(None) => self.look(now),
            Ok(Some(not_before)) => self.slot_retry_at = not_before,
            Err(error) => self.slot_failed(&error),
        }
    }

    fn slot_failed(&mut self, error: &crate::budget::SlotError) {
        tracing::error!(app = %self.name, %error, "no request can start: the next process would not know of it");
        self.status.latest_failure = Some(error.to_string());
        self.slot_retry_at = Moment::now().after(SLOT_RETRY);
    }

    /// The request just started was handed to the network, or failed before it could be.
    fn was_sent(&mut self, at: Moment) {
        self.sending = None;
        self.answering = self.next_answer.take().map(|answer| (at, answer));
        if let Err(error) = self.tools.budget.sent(at) {
            self.slot_failed(&error);
        }
    }

    fn was_answered(&mut self, at: Moment) {
        if let Some((sent_at, _)) = self.answering.take() {
            self.tools.budget.pace_mut().answered(sent_at, at);
        }
    }

    async fn finish(&mut self, done: Result<Done, tokio::task::JoinError>) -> Result<(), LedgerClosed> {
        match done {
            Ok(Done::Looked(looked)) => self.looked(looked),
            Ok(Done::Enrolled(enrolled)) => self.enrolled(enrolled?).await,
            Err(error) => std::panic::resume_unwind(error.into_panic()), // Nobody cancels these tasks.
        }
    }

    /// Once a second: figures, the clock, the credential.
    async fn tick(&mut self) {
        let step = self.clock.step();
        if step != 0 {
            tracing::warn!(app = %self.name, seconds = step / 1000, "the wall clock was set; looks move along");
            self.schedule.shift(step);
            self.trouble.shift(step);
        }
        let now = wall_millis();
        let generation = self.signer.credential_generation(now / 1000);
        if self.trouble.credential_is(generation) {
            tracing::info!(app = %self.name, "the credential was replaced; polling goes on");
            self.signer.renew();
            self.keep_pause();
        }
        if let Some(trouble) = self.signer.trouble() {
            tracing::warn!(app = %self.name, error = %trouble, "the credential cannot be read; the one before stays in use");
        }
        self.trouble.may_go_on(now);
        self.publish(now);
    }

    /// Carries the pause in force, or its end, over a restart.
    pub(super) fn keep_pause(&mut self) {
        if let Err(error) = self.tools.budget.keep_pause(self.trouble.resume_at() / 1000) {
            self.slot_failed(&error);
        }
    }

    /// Shows the figures of this moment.
    pub(super) fn publish(&mut self, now: i64) {
        let count = |state| self.schedule.count(state) as u64;
        let pairs = PairStates {
            new: count(State::New) + self.enrolment.waiting() as u64,
            active: count(State::Active),
            settled: count(State::Settled),
            failing: count(State::Failing),
        };
        let resume_at = Some(self.trouble.resume_at() / 1000).filter(|at| *at > 0);
        let rate = self.tools.budget.pace().rate();
        let backlog_seconds = self.schedule.backlog(now) as f64 / rate;
        self.status.pairs = pairs;
        self.status.resume_at = resume_at;
        self.status.rate_in_force = rate;
        self.status.backlog_seconds = backlog_seconds;
        let metrics = &self.tools.metrics;
        metrics.set_watched_pairs(pairs);
        metrics.set_rate(rate);
        metrics.set_backlog_seconds(backlog_seconds);
        metrics.set_resume_at(resume_at);
        self.tools.status.store(Arc::new(self.status.clone()));
    }

    /// Takes over a changed configuration; the budget goes on under the new rate.
    fn configure(&mut self, app: App) {
        self.tools.budget.pace_mut().set_rate(app.requests_per_second);
        let (before, identity) = (&self.app, |app: &App| (app.sdk_app_id, app.admin.clone()));
        let signs_anew = identity(&app) != identity(before) || app.credential != before.credential;
        if (&app.endpoint, app.sdk_app_id) != (&before.endpoint, before.sdk_app_id) {
            self.trouble.forget();
            self.keep_pause();
        } else if signs_anew && self.trouble.somebody_acted() {
            self.keep_pause();
        }
        if signs_anew {
            self.signer = signer(&app);
        }
        self.upstream = Arc::new(upstream(&app));
        self.status.endpoint_host = host(&app.endpoint).to_owned();
        self.status.rate_configured = app.requests_per_second;
        self.tools.metrics.set_info(app.sdk_app_id, app.region);
        self.app = app;
    }
}

fn upstream(app: &App) -> Upstream {
    Upstream {
        endpoint: app.endpoint.clone(),
        sdk_app_id: app.sdk_app_id,
        admin: app.admin.clone(),
        timeout: app.request_timeout,
    }
}

fn signer(app: &App) -> Signer {
    Signer::new(
        Identity {
            sdk_app_id: app.sdk_app_id,
            admin: app.admin.clone(),
        },
        app.credential.clone(),
    )
}

/// The host and port of a base URL.
fn host(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

async fn wait(moment: Option<Moment>, fine: bool) {
    match moment {
        Some(moment) => clock::until(moment, fine).await,
        None => std::future::pending().await,
    }
}

/// The moment that is told; the present one if the teller went away, which is later than whatever it had to tell.
async fn told(receiver: &mut Option<oneshot::Receiver<Moment>>) -> Moment {
    match receiver {
        Some(receiver) => receiver.await.unwrap_or_else(|_| Moment::now()),
        None => std::future::pending().await,
    }
}

async fn told_answer(receiver: &mut Option<(Moment, oneshot::Receiver<Moment>)>) -> Moment {
    match receiver {
        Some((_, receiver)) => receiver.await.unwrap_or_else(|_| Moment::now()),
        None => std::future::pending().await,
    }
}
