//! One app's loop: whenever the budget lets a question through, ask the pair that the schedule names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::client::{Client, Upstream};
use crate::budget::{Budget, Moment, Turn};
use crate::config::App;
use crate::ledger::{Ledger, LedgerClosed};
use crate::metrics::AppMetrics;
use crate::schedule::{Schedule, State};
use crate::usersig::{SignError, Signer};
use crate::watch::Entry;
use crate::watch::list::List;
use crate::web::{AppStatus, LatestFailure, Veil};

use super::clock::{self, FINE_INTERVAL, StepWatch, wall_millis};
use super::holdings::Holdings;
use super::look::Looked;
use super::pairs::{Enrolled, Enrolment};
use super::question::{Question, Scan};
use super::recent::{Failures, Minute, Recent};
use super::trouble::Trouble;

/// Commands that may wait for a poller.
pub const COMMANDS_CAP: usize = 8;
/// Requests of one app that may be on their way at once: enough for any rate as long as answers come in time.
const IN_FLIGHT_CAP: f64 = 256.0;
/// Intervals of which [`LEAD`] is a share that counts.
const QUICK_INTERVAL: Duration = Duration::from_millis(60);
/// About what it takes to wake up, sign and reach the connection.
const LEAD: Duration = Duration::from_micros(350);
/// How often figures are refreshed and the clock and the credential looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long the end of a poller waits for answers.
const DRAIN_DEADLINE: Duration = Duration::from_secs(3);
/// How long it waits for the ledger after that, each time.
const LEDGER_DEADLINE: Duration = Duration::from_secs(3);
/// How long to wait after the slot file could not be used.
const SLOT_RETRY: Duration = Duration::from_secs(1);

/// What a poller is told.
#[derive(Debug)]
pub enum Command {
    /// The list in force from now on, first places first; `done` is told when every pair of it is enrolled.
    List { entries: Vec<Arc<Vec<Entry>>>, done: Option<oneshot::Sender<()>> },
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
    pub veil: Arc<Veil>,
}

/// How a poller is reached.
pub struct Inbox {
    pub commands: mpsc::Receiver<Command>,
    pub questions: mpsc::Receiver<Question>,
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
    pub(super) held: Holdings,
    /// When what the schedule has learned was kept last.
    pub(super) learned_at: Instant,
    /// Whether it is just being kept.
    pub(super) is_learning: bool,
    /// When it was told last that more is due than the budget can follow.
    pub(super) too_much_told_at: Option<Instant>,
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
    /// The question that is being answered.
    pub(super) scan: Option<Scan>,
    pub(super) recent: Recent,
    pub(super) failures: Failures,
    pub(super) minute: Minute,
    pub(super) status: AppStatus,
    /// Why the credential could not be read, once it was told.
    pub(super) credential_trouble: Option<SignError>,
    /// After the slot file failed: no start before this.
    slot_retry_at: Moment,
    pub(super) clock: StepWatch,
}

/// What a task of the poller came to.
pub(super) enum Done {
    Looked(Looked),
    Enrolled(Result<Enrolled, LedgerClosed>),
    /// What the schedule has learned is kept.
    Learned(Result<(), LedgerClosed>),
}

impl Poller {
    /// A poller with an empty list.
    pub fn new(app: App, tools: Tools) -> Poller {
        // Where the slot file cannot be read, no start can be taken either.
        let trouble = Trouble::resumed(tools.budget.kept_pause().unwrap_or_default(), wall_millis());
        let status = AppStatus {
            name: app.name.to_string(),
            endpoint_host: app.host().to_owned(),
            rate_configured: app.requests_per_second,
            ..AppStatus::default()
        };
        tools.status.store(Arc::new(status.clone()));
        Poller {
            name: app.name.clone(),
            upstream: Arc::new(app.upstream()),
            signer: app.signer(),
            trouble,
            list: List::default(),
            schedule: Schedule::default(),
            held: Holdings::default(),
            learned_at: Instant::now(),
            is_learning: false,
            too_much_told_at: None,
            work: JoinSet::new(),
            in_flight: 0,
            sending: None,
            answering: None,
            next_answer: None,
            enrolment: Enrolment::default(),
            scan: None,
            recent: Recent::new(clock::wall_seconds()),
            failures: Failures::default(),
            minute: Minute::new(clock::wall_seconds()),
            status,
            credential_trouble: None,
            slot_retry_at: Moment::default(),
            clock: StepWatch::default(),
            app,
            tools,
        }
    }

    /// Polls until `cancel`, a [`Command::Dismiss`], or the end of the ledger.
    pub async fn run(mut self, inbox: Inbox, cancel: CancellationToken) {
        let Inbox { mut commands, mut questions } = inbox;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if self.recall().await.is_err() {
            return;
        }
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
                // Behind everything else: what pages ask waits for polls, never the other way round.
                Some(question) = questions.recv(), if self.scan.is_none() => self.asked(question),
                () = tokio::task::yield_now(), if self.scan.is_some() => self.look_through(),
            }
            if self.advance().await.is_err() {
                break false;
            }
        };
        self.drain().await;
        if dismissed {
            let live = State::ALL.map(|state| self.schedule.count(state));
            let removed = live.iter().sum::<usize>() - self.schedule.count(State::Settled);
            // A closed ledger means that the process ends, and then nothing is shown any more. Where it is told too late,
            // the poller after this one begins with it.
            let dismiss = self.tools.ledger.dismiss(&self.name, removed as u64);
            let _ = tokio::time::timeout(LEDGER_DEADLINE, dismiss).await;
        }
    }

    /// Waits a little for what is on its way. An answer that does not come in time is asked for again later: nothing of
    /// it was counted.
    async fn drain(&mut self) {
        let deadline = tokio::time::Instant::now() + DRAIN_DEADLINE;
        if let Some(sending) = self.sending.take() {
            let sent_at = tokio::time::timeout_at(deadline, sending).await;
            self.was_sent(sent_at.ok().and_then(Result::ok).unwrap_or_else(Moment::now));
        }
        while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.work.join_next()).await {
            if self.finish(done).await.is_err() {
                break;
            }
        }
        self.work.shutdown().await;
        // A closed ledger means that the process ends badly; then the schedule learns anew.
        let learn = self.tools.ledger.learn(&self.name, self.schedule.learned().to_bytes());
        let _ = tokio::time::timeout(LEDGER_DEADLINE, learn).await;
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
        let allowed_at = self.tools.budget.earliest().before(self.lead());
        Some(allowed_at.max(due_at).max(self.slot_retry_at))
    }

    /// How much ahead of its moment a request is made ready: at high rates the way to the network would cost too much
    /// of the rate.
    fn lead(&self) -> Duration {
        let quick = self.tools.budget.pace().interval() < QUICK_INTERVAL;
        if quick { LEAD } else { Duration::ZERO }
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
        let lead = self.lead();
        match self.tools.budget.take(lead) {
            Ok(Turn::Taken(moment)) => self.look(moment, now),
            Ok(Turn::NotBefore(moment)) => self.slot_retry_at = moment.before(lead),
            Err(error) => self.slot_failed(&error),
        }
    }

    pub(super) fn slot_failed(&mut self, error: &crate::budget::SlotError) {
        tracing::error!(app = %self.name, %error, "no request can start: the next process would not know of it");
        self.status.latest_failure =
            Some(LatestFailure { at: clock::wall_seconds(), text: error.to_string() });
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
            Ok(Done::Learned(kept)) => {
                self.is_learning = false;
                kept
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()), // Nobody cancels these tasks.
        }
    }
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
