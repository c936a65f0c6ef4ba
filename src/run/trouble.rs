//! What an app does about its failures: sign again, pause, probe; pure, told the time.

use std::time::Duration;

use crate::api::code::{Action, QUOTA_PAUSE};
use crate::budget::Pause;

/// Before the first probe of an app whose questions cannot succeed until somebody acts.
const PROBE_PAUSE: Duration = Duration::from_secs(60);
/// The generation of the first credential that a process reads.
const FIRST_CREDENTIAL: u64 = 1;
/// The longest pause that grows by doubling; longer ones are those that the upstream asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What the poller does next for the pair whose look failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look again, no earlier than this.
    Again { at_least: Duration },
    /// Look again with a fresh signature.
    SignAndAgain,
    /// Look again, and ask more slowly.
    Slower,
    /// This pair only rarely.
    Refuse,
}

/// The troubles of one app.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Unix milliseconds; 0 when not paused.
    resume_at: i64,
    /// Pauses in a row.
    pauses: u32,
    /// Tells looks that began before the latest pause from later ones.
    epoch: u32,
    /// One look alone goes out to see whether the trouble is over.
    probing: bool,
    /// The upstream named its time: a new credential does not shorten this pause.
    fixed: bool,
    /// A fresh signature was made since the last good answer.
    signed_anew: bool,
    /// Refusals despite a fresh signature.
    refusals: u32,
    /// The generation of the credential when the pause began.
    credential: u64,
}

impl Trouble {
    /// Takes over a pause that an earlier process left. One that waits for somebody to act is cut short: a restart is
    /// often just that.
    pub fn resumed(pause: Option<Pause>, now: i64) -> Trouble {
        let Some(pause) = pause.filter(|pause| pause.resume_at * 1000 > now) else {
            return Trouble::default();
        };
        // No upstream names a longer one: a pause that lies further ahead was written under another wall clock.
        let longest = if pause.fixed { QUOTA_PAUSE } else { PROBE_PAUSE };
        let latest = now + i64::try_from(longest.as_millis()).unwrap_or(0);
        let resume_at = (pause.resume_at * 1000).min(latest);
        Trouble {
            resume_at,
            probing: true,
            fixed: pause.fixed,
            credential: FIRST_CREDENTIAL,
            ..Trouble::default()
        }
    }

    /// The pause in force, as the next process should know it.
    pub fn pause(&self) -> Option<Pause> {
        (self.resume_at > 0).then_some(Pause { resume_at: self.resume_at / 1000, fixed: self.fixed })
    }

    /// When polling goes on, Unix milliseconds; 0 when not paused.
    pub fn resume_at(&self) -> i64 {
        self.resume_at
    }

    /// Tells looks apart that began before a pause.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// True while one look alone may be on its way.
    pub fn is_probing(&self) -> bool {
        self.probing
    }

    /// Ends the pause if it is over; true if polling may go on.
    pub fn may_go_on(&mut self, now: i64) -> bool {
        if self.resume_at > now {
            return false;
        }
        self.resume_at = 0;
        true
    }

    /// The credential is of that generation: another one than at the pause means that somebody acted. True if that
    /// ended the pause.
    pub fn credential_is(&mut self, generation: u64) -> bool {
        generation != self.credential && self.somebody_acted()
    }

    /// Whatever somebody had to do may be done: ends a pause unless the upstream named its time. True if it did.
    pub fn somebody_acted(&mut self) -> bool {
        let ends = self.resume_at > 0 && !self.fixed;
        if ends {
            self.resume_at = 0;
            self.signed_anew = false;
            self.refusals = 0;
        }
        ends
    }

    /// Another upstream is asked from now on, which knows nothing of all this.
    pub fn forget(&mut self) {
        *self = Trouble { epoch: self.epoch + 1, ..Trouble::default() };
    }

    /// An answer came.
    pub fn over(&mut self) {
        let Trouble { epoch, credential, .. } = *self;
        *self = Trouble { epoch, credential, ..Trouble::default() };
    }

    /// What to do about a failure with that `action`, of a look that began in `epoch`, with a credential of that
    /// `generation` from which a new signature can be made or not.
    pub fn about(
        &mut self,
        action: Action,
        epoch: u32,
        now: i64,
        (generation, can_sign): (u64, bool),
    ) -> Step {
        let again = Step::Again { at_least: Duration::ZERO };
        match action {
            Action::Retry | Action::RetryThenGiveUp { .. } => again,
            Action::RetryLate { at_least } => Step::Again { at_least },
            Action::SlowDown => Step::Slower,
            Action::GiveUpPair => Step::Refuse,
            // A look that began before the trouble was known says nothing new.
            Action::Resign { .. } | Action::Pause { .. } | Action::Stop if epoch != self.epoch => again,
            Action::Resign { .. } if can_sign && !self.signed_anew => {
                self.signed_anew = true;
                self.epoch += 1;
                Step::SignAndAgain
            }
            Action::Resign { then_tries } if self.refusals < then_tries => {
                self.refusals += 1;
                again
            }
            Action::Resign { .. } | Action::Stop => {
                self.stop(now, generation);
                again
            }
            Action::Pause { at_least } => {
                self.begin(at_least, now, generation);
                self.fixed = true;
                again
            }
        }
    }

    /// Somebody must act: all looks stop, and each probe in vain makes the next one wait longer.
    pub fn stop(&mut self, now: i64, generation: u64) {
        let length = PROBE_PAUSE.saturating_mul(1 << self.pauses.min(6)).min(LONGEST_PAUSE);
        self.begin(length, now, generation);
        self.fixed = false;
    }

    fn begin(&mut self, length: Duration, now: i64, generation: u64) {
        self.resume_at = now + i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 2);
        self.pauses += 1;
        self.epoch += 1;
        self.probing = true;
        self.credential = generation;
    }

    /// The wall clock was set by so many milliseconds.
    pub fn shift(&mut self, by: i64) {
        if self.resume_at > 0 {
            self.resume_at += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIAL: (u64, bool) = (1, true);
    const AGAIN: Step = Step::Again { at_least: Duration::ZERO };
    const RESIGN: Action = Action::Resign { then_tries: 0 };

    fn about(trouble: &mut Trouble, action: Action, now: i64) -> Step {
        trouble.about(action, trouble.epoch(), now, CREDENTIAL)
    }

    #[test]
    fn a_refused_signature_is_made_anew_once_and_then_the_app_pauses() {
        let mut trouble = Trouble::default();
        assert_eq!(about(&mut trouble, RESIGN, 0), Step::SignAndAgain);
        assert_eq!((about(&mut trouble, RESIGN, 5_000), trouble.resume_at()), (AGAIN, 65_000));
        assert!(!trouble.may_go_on(64_999) && trouble.may_go_on(65_000) && trouble.is_probing());
    }

    #[test]
    fn a_signature_that_nobody_here_can_make_pauses_at_once() {
        let mut trouble = Trouble::default();
        trouble.about(RESIGN, 0, 0, (1, false));
        assert_eq!(trouble.resume_at(), 60_000);
    }

    #[test]
    fn looks_that_began_before_the_trouble_was_known_change_nothing() {
        let mut trouble = Trouble::default();
        let began = trouble.epoch();
        about(&mut trouble, Action::Stop, 0);
        for action in [RESIGN, Action::Stop, Action::Pause { at_least: Duration::from_secs(3600) }] {
            assert_eq!(trouble.about(action, began, 30_000, CREDENTIAL), AGAIN);
        }
        assert_eq!(trouble.resume_at(), 60_000);
    }

    #[test]
    fn probes_in_vain_wait_longer_up_to_ten_minutes_and_an_answer_forgives() {
        let mut trouble = Trouble::default();
        let mut now = 0;
        for minutes in [1, 2, 4, 8, 10, 10] {
            about(&mut trouble, Action::Stop, now);
            assert_eq!(trouble.resume_at() - now, minutes * 60_000);
            now = trouble.resume_at();
            assert!(trouble.may_go_on(now));
        }
        trouble.over();
        assert!(!trouble.is_probing());
        about(&mut trouble, Action::Stop, now);
        assert_eq!(trouble.resume_at() - now, 60_000);
    }

    #[test]
    fn a_pause_that_the_upstream_names_is_kept_whatever_credential_comes() {
        let mut trouble = Trouble::default();
        about(&mut trouble, Action::Pause { at_least: Duration::from_secs(60) }, 0);
        assert!(!trouble.credential_is(2) && !trouble.may_go_on(59_999));
        let mut stopped = Trouble::default();
        about(&mut stopped, Action::Stop, 0);
        assert!(!stopped.credential_is(1) && stopped.credential_is(2) && stopped.may_go_on(1));
    }

    #[test]
    fn doubtful_refusals_are_tried_again_before_the_pause() {
        let mut trouble = Trouble::default();
        let doubtful = Action::Resign { then_tries: 2 };
        let steps: Vec<Step> = (0..4).map(|_| about(&mut trouble, doubtful, 0)).collect();
        assert_eq!(steps, [Step::SignAndAgain, AGAIN, AGAIN, AGAIN]);
        assert_eq!(trouble.resume_at(), 60_000);
    }

    #[test]
    fn a_restart_keeps_a_pause_that_the_upstream_named_and_shortens_one_that_waits_for_somebody() {
        let pause = |fixed| Some(Pause { resume_at: 3600, fixed });
        let kept = |fixed| Trouble::resumed(pause(fixed), 0);
        assert_eq!((kept(true).resume_at(), kept(false).resume_at()), (3_600_000, 60_000));
        assert!(!kept(false).credential_is(1), "the first credential read is not a new one");
        assert_eq!(kept(true).pause(), pause(true));
        assert_eq!(Trouble::resumed(pause(true), 3_600_001).resume_at(), 0);
    }

    #[test]
    fn a_clock_set_back_a_day_between_two_processes_does_not_make_a_pause_longer() {
        let day_ahead = Some(Pause { resume_at: 86_400 + 60, fixed: true });
        assert_eq!(Trouble::resumed(day_ahead, 0).resume_at(), 3_600_000);
    }
}
