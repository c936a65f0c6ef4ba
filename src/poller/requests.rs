//! The requests of one app: what lets one start, what signs it, and what stops them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::api::client::{Client, Endpoint, SendGate};
use crate::budget::{Moment, Pause, Plan, Share, SlotError, Start, Taken};
use crate::config::App;
use crate::usersig::{CredentialRead, SignError, Signed, Signer};

use super::breaker::{CircuitBreaker, CredentialInUse, Decision, FailedRequest};
use super::clock::FINE_INTERVAL;
use super::credential::{CredentialReader, CredentialReading};

/// Requests of one app that may be on their way at once: enough for any rate as long as answers come in time.
const IN_FLIGHT_CAP: f64 = 256.0;
/// Intervals of which [`LEAD`] is a share that counts.
const QUICK_INTERVAL: Duration = Duration::from_millis(60);
/// About what it takes to wake up, sign and reach the connection.
const LEAD: Duration = Duration::from_micros(350);
/// How long to wait after the slot file could not be used.
const SLOT_RETRY: Duration = Duration::from_secs(1);

/// Requests of one app.
pub(super) struct Requests {
    client: Client,
    endpoint: Arc<Endpoint>,
    budget: Share,
    signer: Signer,
    reader: CredentialReader,
    breaker: CircuitBreaker,
    in_flight: InFlight,
    /// The request just started.
    sending: Option<Sending>,
    /// Told when the latest request is answered, with the moment it was sent.
    answering: Option<(Moment, oneshot::Receiver<Moment>)>,
    /// After the slot file failed: no start before this.
    slot_retry_at: Moment,
}

/// How many are on their way, by the epoch in which they began: see [`CircuitBreaker::epoch`].
#[derive(Debug, Default)]
struct InFlight(BTreeMap<u32, usize>);

/// A request that is about to be handed to the network.
struct Sending {
    start: Start,
    /// Told when it is.
    sent: oneshot::Receiver<Moment>,
    /// Told when it is answered.
    answered: oneshot::Receiver<Moment>,
}

/// A request that may leave.
pub(super) struct Request {
    pub client: Client,
    pub endpoint: Arc<Endpoint>,
    pub signed: Signed,
    pub gate: SendGate,
    /// To be told when it is answered.
    pub answered: oneshot::Sender<Moment>,
    /// See [`CircuitBreaker::epoch`].
    pub epoch: u32,
}

/// What an answer brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovery {
    /// The rate grows again.
    pub is_quicker: bool,
    /// It ended the probing.
    pub has_resumed: bool,
}

/// What became of a credential that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CredentialNews {
    /// It was replaced, and that ended a pause.
    pub has_resumed: bool,
    /// Why it cannot be read now.
    pub trouble: Option<SignError>,
    /// Whether one is in use.
    pub is_known: bool,
}

impl InFlight {
    fn begin(&mut self, epoch: u32) {
        *self.0.entry(epoch).or_default() += 1;
    }

    fn end(&mut self, epoch: u32) {
        if let Some(count) = self.0.get_mut(&epoch) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&epoch);
            }
        }
    }

    fn len(&self) -> usize {
        self.0.values().sum()
    }

    fn of(&self, epoch: u32) -> usize {
        self.0.get(&epoch).copied().unwrap_or(0)
    }
}

impl Requests {
    /// None on their way. `budget` may hold a pause that an earlier process left.
    pub fn new(app: &App, client: Client, budget: Share, now: i64) -> Requests {
        budget.set_rate(app.requests_per_second);
        Requests {
            client,
            endpoint: Arc::new(app.api_endpoint()),
            breaker: CircuitBreaker::resumed(budget.kept_pause(), now),
            budget,
            signer: app.signer(),
            reader: CredentialReader::default(),
            in_flight: InFlight::default(),
            sending: None,
            answering: None,
            slot_retry_at: Moment::default(),
        }
    }

    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// Requests a second, as they are in force.
    pub fn rate(&self) -> f64 {
        self.budget.rate()
    }

    pub fn plan(&self) -> Plan {
        self.budget.plan()
    }

    /// Whether starts follow each other so quickly that a timer's grain counts.
    pub fn are_quick(&self) -> bool {
        self.budget.interval() < FINE_INTERVAL
    }

    /// When the next one may start, where a poll is due at `next_poll_at`; `None` while no wait could bring it.
    pub fn start_at(&mut self, next_poll_at: Option<i64>, now: i64) -> Option<Moment> {
        let due_at = next_poll_at.filter(|_| self.may_prepare()).map(|at| {
            let wait = at.max(self.breaker.resume_at()) - now;
            Moment::now().after(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
        });
        let is_due = due_at.is_some_and(|at| at <= Moment::now());
        let allowed_at = self.budget.earliest(is_due)?.before(self.lead());
        Some(allowed_at.max(due_at?).max(self.slot_retry_at))
    }

    /// Whether one could be made ready, whatever pace and breaker say.
    fn may_prepare(&self) -> bool {
        self.sending.is_none() && !self.has_enough_in_flight() && !self.signer.awaits_reading()
    }

    fn has_enough_in_flight(&self) -> bool {
        if self.breaker.is_probing() && self.in_flight.of(self.breaker.epoch()) > 0 {
            return true;
        }
        let enough = self.budget.whole_rate() * self.endpoint.timeout.as_secs_f64();
        // Positive and far below the limits of usize.
        self.in_flight.len() >= (enough.ceil() + 1.0).min(IN_FLIGHT_CAP) as usize
    }

    /// How much ahead of its moment a request is made ready: at high rates the way to the network would cost too much
    /// of the rate.
    fn lead(&self) -> Duration {
        if self.budget.interval() < QUICK_INTERVAL { LEAD } else { Duration::ZERO }
    }

    /// Whether the breaker lets one through; the end of a pause is noticed here.
    pub fn lets_through(&mut self, now: i64) -> bool {
        self.breaker.lets_through(now)
    }

    /// Takes a start from the budget, if it is time.
    ///
    /// # Errors
    /// The slot file cannot be used; the next attempt waits.
    pub fn take_start(&mut self) -> Result<Option<Start>, SlotError> {
        let lead = self.lead();
        match self.budget.take(lead) {
            Ok(Taken::Start(start)) => Ok(Some(start)),
            Ok(Taken::NotBefore(moment)) => {
                self.slot_retry_at = moment.before(lead);
                Ok(None)
            }
            Err(error) => Err(self.slot_failed(error)),
        }
    }

    fn slot_failed(&mut self, error: SlotError) -> SlotError {
        self.slot_retry_at = Moment::now().after(SLOT_RETRY);
        error
    }

    /// A signature; without one the breaker opens.
    ///
    /// # Errors
    /// There is none.
    pub fn sign(&mut self, now: i64) -> Result<Signed, SignError> {
        let signed = self.signer.current(now / 1000);
        if signed.is_err() {
            self.breaker.stop(now, self.signer.generation());
        }
        signed
    }

    /// A request begins.
    pub fn begin(&mut self, start: Start, signed: Signed) -> Request {
        let (sent, sending) = oneshot::channel();
        let (answered, answering) = oneshot::channel();
        let gate = SendGate { not_before: start.not_before(), sent };
        self.sending = Some(Sending { start, sent: sending, answered: answering });
        let epoch = self.breaker.epoch();
        self.in_flight.begin(epoch);
        let (client, endpoint) = (self.client.clone(), self.endpoint.clone());
        Request { client, endpoint, signed, gate, answered, epoch }
    }

    /// Goes on with the request that left last: it is handed to the network, or answered. Also ends when a start may have
    /// become possible. It may be dropped and called again.
    ///
    /// # Errors
    /// The slot file cannot be used.
    pub async fn follow(&mut self) -> Result<(), SlotError> {
        tokio::select! {
            biased;
            at = sent(&mut self.sending) => self.was_sent(at),
            at = answered(&mut self.answering) => {
                self.was_answered(at);
                Ok(())
            }
            () = self.budget.changed() => Ok(()),
        }
    }

    /// Waits until nothing is about to be handed to the network.
    ///
    /// # Errors
    /// The slot file cannot be used.
    pub async fn finish_sending(&mut self, deadline: tokio::time::Instant) -> Result<(), SlotError> {
        if self.sending.is_none() {
            return Ok(());
        }
        let at = tokio::time::timeout_at(deadline, sent(&mut self.sending)).await;
        self.was_sent(at.unwrap_or_else(|_| Moment::now()))
    }

    fn was_sent(&mut self, at: Moment) -> Result<(), SlotError> {
        let Some(Sending { start, answered, .. }) = self.sending.take() else {
            return Ok(());
        };
        self.answering = Some((at, answered));
        start.sent(at).map_err(|error| self.slot_failed(error))
    }

    fn was_answered(&mut self, at: Moment) {
        if let Some((sent_at, _)) = self.answering.take() {
            self.budget.answered(sent_at, at);
        }
    }

    /// A request that began in `epoch` has ended.
    pub fn end(&mut self, epoch: u32) {
        self.in_flight.end(epoch);
    }

    /// The API answered one that began in `epoch`: whatever trouble there was is over.
    pub fn on_success(&mut self, epoch: u32) -> Recovery {
        Recovery { is_quicker: self.budget.narrow(), has_resumed: self.breaker.on_success(epoch) }
    }

    /// Decides what a failure means, and puts into force what concerns the app. Also tells until when polling pauses, Unix
    /// milliseconds, where that is news.
    pub fn on_failure(&mut self, failed: FailedRequest, now: i64) -> (Decision, Option<i64>) {
        let credential =
            CredentialInUse { generation: self.signer.generation(), can_renew: self.signer.can_renew() };
        let before = self.breaker.resume_at();
        let decision = self.breaker.on_failure(failed, credential, now);
        match decision {
            Decision::SignAndAgain => self.signer.renew(),
            Decision::Slower => self.budget.widen(),
            Decision::Again { .. } | Decision::Refuse => {}
        }
        let resume_at = self.breaker.resume_at();
        (decision, (resume_at != before).then_some(resume_at))
    }

    /// Carries the pause in force, or its end, over a restart.
    ///
    /// # Errors
    /// The slot file cannot be used.
    pub fn keep_pause(&mut self, now: i64) -> Result<(), SlotError> {
        let kept = self.budget.keep_pause(self.breaker.pause(), now / 1000);
        kept.map_err(|error| self.slot_failed(error))
    }

    /// Takes over a pause that the upstream named to another app with the same budget; gives it if it is longer than what
    /// is in force.
    pub fn adopt_pause(&mut self, now: i64) -> Option<Pause> {
        let pause = self.budget.news_of_pause()?;
        self.breaker.adopt(pause, now).then_some(pause)
    }

    /// Whatever the operator had to do may be done. True if that ended a pause.
    pub fn reset_by_operator(&mut self) -> bool {
        self.breaker.reset_by_operator()
    }

    /// The wall clock was set by so many milliseconds. True if a pause moved along.
    pub fn shift(&mut self, step: i64) -> bool {
        self.breaker.shift(step)
    }

    /// A credential is to be read before anything can be signed.
    pub fn awaits_credential(&self) -> bool {
        self.signer.awaits_reading()
    }

    /// The next reading of the credential, where none is on its way.
    pub fn next_reading(&mut self) -> Option<CredentialReading> {
        self.reader.begin(&self.signer)
    }

    /// The credential was read, or could not be; `None` for the credential before this one.
    pub fn credential_read(&mut self, read: CredentialRead) -> Option<CredentialNews> {
        if !self.signer.take(read) {
            return None;
        }
        self.reader.end();
        let generation = self.signer.generation();
        let has_resumed = self.breaker.credential_is(generation);
        Some(CredentialNews {
            has_resumed,
            trouble: self.signer.trouble().cloned(),
            is_known: generation > 0,
        })
    }

    /// Takes over a changed configuration. The budget goes on under the new rate, or is another one where it belongs to
    /// another host or SDKAppID now. True if a pause has ended.
    pub fn configure(&mut self, app: &App, before: &App, budget: Option<Share>) -> bool {
        let is_elsewhere = budget.is_some();
        if let Some(budget) = budget {
            self.budget = budget;
            self.breaker.forget();
            self.slot_retry_at = Moment::default();
        }
        self.budget.set_rate(app.requests_per_second);
        let identity = |app: &App| (app.sdk_app_id, app.admin.clone());
        let signs_anew = identity(app) != identity(before) || app.credential != before.credential;
        let asks_anew = signs_anew || app.endpoint != before.endpoint;
        if signs_anew {
            self.signer = app.signer();
        }
        if app.credential != before.credential {
            self.reader = CredentialReader::default();
        }
        self.endpoint = Arc::new(app.api_endpoint());
        asks_anew && !is_elsewhere && self.breaker.reset_by_operator()
    }
}

/// The moment at which the request is handed to the network; the present one if its task is gone, which is later than
/// whatever it had to tell.
async fn sent(sending: &mut Option<Sending>) -> Moment {
    match sending {
        Some(sending) => (&mut sending.sent).await.unwrap_or_else(|_| Moment::now()),
        None => std::future::pending().await,
    }
}

async fn answered(answering: &mut Option<(Moment, oneshot::Receiver<Moment>)>) -> Moment {
    match answering {
        Some((_, answered)) => answered.await.unwrap_or_else(|_| Moment::now()),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
