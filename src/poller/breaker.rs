//! The circuit breaker of one app: which failures stop its requests, for how long, and what lets them go on.
//!
//! Pure, told the time. Its transitions stand as a table in `ARCHITECTURE.md`, and the tests go through it row by row.

use std::num::NonZero;
use std::time::Duration;

use crate::api::code::{Action, Failure, QUOTA_PAUSE};
use crate::budget::Pause;

/// Before the first probe of an app whose requests cannot succeed until somebody acts.
const PROBE_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause that grows by doubling; longer ones are those that the upstream asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// So many pairs in a row that fail for causes that may be their own stop the app, whatever the causes are.
const SUSPECTS_CAP: usize = 4;
/// The generation of the first credential that a process reads.
const FIRST_CREDENTIAL: u64 = 1;

/// What the poller does next with the pair whose request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Poll it again, no earlier than this.
    Again { at_least: Duration },
    /// Poll it again with a fresh signature.
    SignAndAgain,
    /// Poll it again, and send more slowly.
    Slower,
    /// Poll this pair only rarely.
    Refuse,
}

const AGAIN: Decision = Decision::Again { at_least: Duration::ZERO };

/// A request that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedRequest {
    /// The row of the pair in the ledger.
    pub pair: NonZero<i64>,
    /// Stands for the task of the pair.
    pub task: u32,
    /// [`CircuitBreaker::epoch`] when the request began.
    pub epoch: u32,
    /// The pair failed like this before and was not answered since: see [`CircuitBreaker::accuses`].
    pub is_accused: bool,
    pub failure: Failure,
}

/// The credential in use.
#[derive(Clone, Copy, Debug)]
pub struct CredentialInUse {
    /// Another generation is another credential.
    pub generation: u64,
    /// Whether a fresh signature can be made from it.
    pub can_renew: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Requests go out.
    #[default]
    Closed,
    /// Requests go out; pairs failed since the latest answer, and one more may stop the app.
    Suspect,
    /// No request goes out before that moment, Unix milliseconds. `named`: the upstream named it.
    Open { until: i64, named: bool },
    /// One request at a time goes out, to see whether the trouble is over.
    Probing,
}

/// Decides whether the requests of one app may go out.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    state: State,
    /// Those that failed since the latest answer, each pair once.
    suspects: Vec<FailedRequest>,
    /// A fresh signature was made since the latest answer.
    signed_anew: bool,
    /// Refusals despite a fresh signature.
    refusals: u32,
    /// Pauses in a row.
    pauses: u32,
    /// Counts what makes older requests worthless as witnesses: pauses and fresh signatures.
    epoch: u32,
    /// The generation of the credential when the latest pause began.
    credential: u64,
}

impl CircuitBreaker {
    /// Takes over a pause that an earlier process left. One that waits for somebody to act is cut short: a restart is
    /// often just that.
    pub fn resumed(pause: Option<Pause>, now: i64) -> CircuitBreaker {
        let Some(pause) = pause.filter(|pause| pause.resume_at * 1000 > now) else {
            return CircuitBreaker::default();
        };
        // No upstream names a longer one: a pause that lies further ahead was written under another wall clock.
        let longest = if pause.fixed { QUOTA_PAUSE } else { PROBE_PAUSE };
        let until = (pause.resume_at * 1000).min(after(now, longest));
        CircuitBreaker {
            state: State::Open { until, named: pause.fixed },
            credential: FIRST_CREDENTIAL,
            ..CircuitBreaker::default()
        }
    }

    /// The pause in force, as the next process should know it.
    pub fn pause(&self) -> Option<Pause> {
        match self.state {
            State::Open { until, named } => Some(Pause { resume_at: until / 1000, fixed: named }),
            _ => None,
        }
    }

    /// When polling goes on, Unix milliseconds; 0 when not paused.
    pub fn resume_at(&self) -> i64 {
        match self.state {
            State::Open { until, .. } => until,
            _ => 0,
        }
    }

    /// Tells requests that began before a pause or a fresh signature from later ones.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// True from the beginning of a pause to the answer that ends it: one request alone may be on its way.
    pub fn is_probing(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Probing)
    }

    /// Whether a pair of that task failed since the latest answer.
    pub fn suspects_task(&self, task: u32) -> bool {
        self.suspects.iter().any(|suspect| suspect.task == task)
    }

    /// Whether a request may go out at `now`; the end of a pause is noticed here.
    pub fn lets_through(&mut self, now: i64) -> bool {
        match self.state {
            State::Open { until, .. } if until > now => false,
            State::Open { .. } => {
                self.state = State::Probing;
                true
            }
            _ => true,
        }
    }

    /// The credential is of that generation: another one than at the pause means that somebody acted. True if that
    /// ended the pause.
    pub fn credential_is(&mut self, generation: u64) -> bool {
        generation != self.credential && self.reset_by_operator()
    }

    /// Whatever somebody had to do may be done: ends a pause unless the upstream named its time. True if it did.
    pub fn reset_by_operator(&mut self) -> bool {
        let ends = matches!(self.state, State::Open { named: false, .. });
        if ends {
            self.state = State::Probing;
            self.signed_anew = false;
            self.refusals = 0;
        }
        ends
    }

    /// The upstream named a pause to another app that shares the budget. True if polling pauses for it, or longer.
    pub fn adopt(&mut self, pause: Pause, now: i64) -> bool {
        let until = (pause.resume_at * 1000).min(after(now, QUOTA_PAUSE));
        let is_longer = until > now && until > self.resume_at();
        if is_longer {
            let credential = self.credential;
            self.open(pause.fixed, until, credential);
        }
        is_longer
    }

    /// Another upstream is asked from now on, which knows nothing of all this.
    pub fn forget(&mut self) {
        *self = CircuitBreaker { epoch: self.epoch + 1, ..CircuitBreaker::default() };
    }

    /// The API answered a request that began in `epoch`: with a trace, or by saying that there is no such pair. True if
    /// that ended the probing.
    pub fn on_success(&mut self, epoch: u32) -> bool {
        if epoch != self.epoch {
            return false; // It says nothing of what happened since.
        }
        let ended = self.is_probing();
        *self = CircuitBreaker { epoch, credential: self.credential, ..CircuitBreaker::default() };
        ended
    }

    /// Whether that failure accuses its pair until the pair is answered: what stops an app may be the fault of one pair.
    pub fn accuses(&self, action: Action, epoch: u32) -> bool {
        let may_stop = matches!(action, Action::Stop | Action::StopIfConfirmed | Action::Resign { .. });
        may_stop && epoch == self.epoch
    }

    /// What to do about a failure.
    pub fn on_failure(&mut self, failed: FailedRequest, credential: CredentialInUse, now: i64) -> Decision {
        let action = failed.failure.action;
        match action {
            Action::Retry | Action::RetryThenGiveUp { .. } => return AGAIN,
            Action::RetryLate { at_least } => return Decision::Again { at_least },
            Action::SlowDown => return Decision::Slower,
            Action::GiveUpPair => return Decision::Refuse,
            Action::Pause { .. } | Action::Resign { .. } | Action::Stop | Action::StopIfConfirmed => {}
        }
        // A request that began before the trouble was known says nothing new.
        if failed.epoch != self.epoch {
            return AGAIN;
        }
        match action {
            Action::Pause { at_least } => self.open(true, after(now, at_least), credential.generation),
            // Others were answered after it failed like this: it is the pair.
            _ if self.is_disproved(&failed) => return Decision::Refuse,
            Action::Resign { .. } if credential.can_renew && !self.signed_anew => {
                self.suspect(&failed);
                self.signed_anew = true;
                self.epoch += 1;
                return Decision::SignAndAgain;
            }
            Action::Resign { then_tries } if self.refusals < then_tries => {
                self.suspect(&failed);
                self.refusals += 1;
            }
            Action::StopIfConfirmed if !self.is_confirmed(&failed) => {
                self.suspect(&failed);
                return Decision::Refuse;
            }
            _ => {
                self.suspect(&failed);
                self.stop(now, credential.generation);
            }
        }
        AGAIN
    }

    /// Somebody must act: no request goes out, and each probe in vain makes the next one wait longer.
    pub fn stop(&mut self, now: i64, generation: u64) {
        let length = PROBE_PAUSE.saturating_mul(1 << self.pauses.min(6)).min(LONGEST_PAUSE);
        self.open(false, after(now, length), generation);
    }

    /// The wall clock was set by so many milliseconds. True if a pause moved along.
    pub fn shift(&mut self, by: i64) -> bool {
        match &mut self.state {
            State::Open { until, .. } => {
                *until += by;
                true
            }
            _ => false,
        }
    }

    fn open(&mut self, named: bool, until: i64, generation: u64) {
        self.state = State::Open { until, named };
        self.pauses += 1;
        self.epoch += 1;
        self.credential = generation;
    }

    fn suspect(&mut self, failed: &FailedRequest) {
        if !self.is_suspect(failed.pair) && self.suspects.len() < SUSPECTS_CAP {
            self.suspects.push(*failed);
        }
        if self.state == State::Closed {
            self.state = State::Suspect;
        }
    }

    fn is_suspect(&self, pair: NonZero<i64>) -> bool {
        self.suspects.iter().any(|suspect| suspect.pair == pair)
    }

    /// The pair failed before the latest answer and never was answered itself.
    fn is_disproved(&self, failed: &FailedRequest) -> bool {
        failed.is_accused && !self.is_suspect(failed.pair) && !self.is_probing()
    }

    /// What one pair met stops the app: a probe met it, another pair met the same, or every pair meets something.
    fn is_confirmed(&self, failed: &FailedRequest) -> bool {
        let mut others = self.suspects.iter().filter(|suspect| suspect.pair != failed.pair);
        let are_many = others.clone().count() + 1 >= SUSPECTS_CAP;
        self.is_probing() || are_many || others.any(|suspect| suspect.failure == failed.failure)
    }
}

fn after(now: i64, length: Duration) -> i64 {
    now.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 2))
}

#[cfg(test)]
mod tests;
