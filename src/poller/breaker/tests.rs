//! The rows of the table in `ARCHITECTURE.md`, in its order, and what the breaker must withstand.

use super::*;
use crate::api::code::{LOCKOUT_PAUSE, classify, classify_http};

/// The signature is refused for good; an account that may not ask; a page of a filter.
const BAD_SIGNATURE: i64 = 70003;
const DOUBTFUL_ACCOUNT: i64 = 60004;
const NO_ADMIN: i64 = 60010;
const NOT_JSON: i64 = 60003;
const LOCKED_OUT: i64 = 70050;
const NO_QUOTA: i64 = 60028;
const NO_SUCH_PAIR: i64 = 90049;
const PASSES: i64 = 90102;

const MINUTE: i64 = 60_000;
const CREDENTIAL: CredentialInUse = CredentialInUse { generation: 1, can_renew: true };

/// A breaker with its pairs, as the poller keeps them.
#[derive(Default)]
struct App {
    breaker: CircuitBreaker,
    accused: std::collections::BTreeSet<i64>,
    now: i64,
}

impl App {
    fn fails_with(&mut self, pair: i64, failure: Failure) -> Decision {
        let epoch = self.breaker.epoch();
        let is_accused = self.accused.contains(&pair);
        if self.breaker.accuses(failure.action, epoch) {
            self.accused.insert(pair);
        }
        let row = NonZero::new(pair).unwrap();
        let failed = FailedRequest { pair: row, task: pair as u32 / 10, epoch, is_accused, failure };
        self.breaker.on_failure(failed, CREDENTIAL, self.now)
    }

    fn fails(&mut self, pair: i64, code: i64) -> Decision {
        self.fails_with(pair, classify(code))
    }

    fn is_filtered(&mut self, pair: i64) -> Decision {
        self.fails_with(pair, classify_http(403))
    }

    fn is_answered(&mut self, pair: i64) -> bool {
        self.accused.remove(&pair);
        self.breaker.on_success(self.breaker.epoch())
    }

    /// How long it is paused; the end of the pause has come when this returns.
    fn waits(&mut self) -> i64 {
        let waits = self.breaker.resume_at() - self.now;
        assert!(!self.breaker.lets_through(self.now) && !self.breaker.lets_through(self.now + waits - 1));
        self.now += waits;
        assert!(self.breaker.lets_through(self.now) && self.breaker.resume_at() == 0);
        waits
    }

    fn state(&self) -> State {
        self.breaker.state
    }
}

#[test]
fn closed_and_what_passes_changes_nothing() {
    let mut app = App::default();
    assert_eq!((app.fails(1, PASSES), app.state()), (AGAIN, State::Closed));
    assert_eq!((app.fails(1, 60007), app.state()), (Decision::Slower, State::Closed));
    let late = app.fails(1, 123_456);
    assert!(matches!(late, Decision::Again { at_least } if at_least >= Duration::from_secs(60)), "{late:?}");
    assert_eq!((app.fails(1, NO_SUCH_PAIR), app.state()), (Decision::Refuse, State::Closed));
    assert!(app.breaker.lets_through(0) && !app.breaker.is_probing());
}

#[test]
fn closed_and_what_all_requests_share_opens_at_once() {
    let mut app = App::default();
    assert_eq!(app.fails(1, NO_ADMIN), AGAIN);
    assert!(app.breaker.is_probing());
    assert_eq!((app.waits(), app.state()), (MINUTE, State::Probing));
}

#[test]
fn closed_and_a_pause_that_the_upstream_names_opens_for_its_time() {
    for (code, pause) in [(LOCKED_OUT, LOCKOUT_PAUSE), (NO_QUOTA, QUOTA_PAUSE)] {
        let mut app = App::default();
        assert_eq!(app.fails(1, code), AGAIN);
        assert!(!app.breaker.credential_is(2) && !app.breaker.reset_by_operator());
        assert_eq!(app.waits(), i64::try_from(pause.as_millis()).unwrap());
    }
}

#[test]
fn closed_and_a_refused_signature_is_made_anew_once() {
    let mut app = App::default();
    assert_eq!((app.fails(1, BAD_SIGNATURE), app.state()), (Decision::SignAndAgain, State::Suspect));
    assert_eq!((app.fails(2, BAD_SIGNATURE), app.waits()), (AGAIN, MINUTE));
    // Of the same pair, too: nobody was answered with the fresh one.
    let mut app = App::default();
    app.fails(1, BAD_SIGNATURE);
    assert_eq!((app.fails(1, BAD_SIGNATURE), app.waits()), (AGAIN, MINUTE));
}

#[test]
fn closed_and_a_signature_that_nobody_here_can_make_opens_at_once() {
    let mut breaker = CircuitBreaker::default();
    let failure = classify(BAD_SIGNATURE);
    let failed = FailedRequest { pair: NonZero::<i64>::MAX, task: 0, epoch: 0, is_accused: false, failure };
    breaker.on_failure(failed, CredentialInUse { can_renew: false, ..CREDENTIAL }, 0);
    assert_eq!(breaker.resume_at(), MINUTE);
}

#[test]
fn closed_and_a_doubtful_refusal_is_tried_again_before_it_opens() {
    let mut app = App::default();
    let steps = [1, 1, 2, 2].map(|pair| app.fails(pair, DOUBTFUL_ACCOUNT));
    assert_eq!(steps, [Decision::SignAndAgain, AGAIN, AGAIN, AGAIN]);
    assert_eq!((app.state(), app.fails(3, DOUBTFUL_ACCOUNT), app.waits()), (State::Suspect, AGAIN, MINUTE));
}

#[test]
fn closed_and_what_may_be_one_pairs_fault_is_held_against_it() {
    let mut app = App::default();
    assert_eq!((app.is_filtered(1), app.state()), (Decision::Refuse, State::Suspect));
    assert!(app.breaker.lets_through(0) && !app.breaker.is_probing(), "the others go on");
}

#[test]
fn suspect_and_the_same_pair_again_stays_so() {
    let mut app = App::default();
    for _ in 0..20 {
        assert_eq!((app.is_filtered(1), app.state()), (Decision::Refuse, State::Suspect));
    }
}

#[test]
fn suspect_and_an_answer_of_another_pair_closes_and_the_pair_is_no_witness_any_more() {
    let mut app = App::default();
    app.is_filtered(1);
    assert!(!app.is_answered(2), "no probing ended");
    for code in [NOT_JSON, NO_ADMIN, BAD_SIGNATURE, 71000] {
        assert_eq!((app.fails(1, code), app.state()), (Decision::Refuse, State::Closed), "{code}");
    }
    // Once it was answered it may speak again.
    app.is_answered(1);
    app.is_filtered(1);
    assert_eq!(app.state(), State::Suspect);
}

#[test]
fn suspect_and_a_second_pair_with_the_same_opens() {
    let mut app = App::default();
    app.is_filtered(1);
    assert_eq!((app.is_filtered(2), app.waits()), (AGAIN, MINUTE));
}

#[test]
fn suspect_and_a_second_pair_with_something_else_stays_so_until_there_are_many() {
    let mut app = App::default();
    let steps = [app.is_filtered(1), app.fails(2, NOT_JSON), app.fails(3, 71000)];
    assert_eq!((steps, app.state()), ([Decision::Refuse; 3], State::Suspect));
    assert_eq!((app.fails(4, 90001), app.waits()), (AGAIN, MINUTE));
}

#[test]
fn open_and_older_requests_change_nothing() {
    let mut app = App::default();
    let epoch = app.breaker.epoch();
    app.fails(1, NO_ADMIN);
    for code in [BAD_SIGNATURE, NO_ADMIN, NOT_JSON, NO_QUOTA] {
        let failed = FailedRequest {
            pair: NonZero::<i64>::MAX,
            task: 0,
            epoch,
            is_accused: false,
            failure: classify(code),
        };
        assert!(!app.breaker.accuses(failed.failure.action, epoch));
        assert_eq!(app.breaker.on_failure(failed, CREDENTIAL, MINUTE / 2), AGAIN);
    }
    assert!(!app.breaker.on_success(epoch));
    assert_eq!(app.waits(), MINUTE);
}

#[test]
fn open_and_somebody_acts_probes_at_once() {
    let mut app = App::default();
    app.fails(1, NO_ADMIN);
    assert!(!app.breaker.credential_is(1) && app.breaker.resume_at() > 0, "the same credential");
    assert!(app.breaker.credential_is(2) && !app.breaker.credential_is(3));
    assert_eq!((app.state(), app.breaker.resume_at()), (State::Probing, 0));
}

#[test]
fn probing_and_a_failure_in_vain_opens_for_longer_up_to_ten_minutes() {
    // What a probe meets counts, whatever its pair met before.
    type Fails = fn(&mut App) -> Decision;
    let kinds: [Fails; 3] =
        [|app| app.is_filtered(3), |app| app.fails(1, NO_ADMIN), |app| app.is_filtered(9)];
    for fails in kinds {
        let mut app = App::default();
        app.is_filtered(9);
        app.is_answered(5);
        app.fails(1, NO_ADMIN);
        let pauses = [1, 2, 4, 8, 10, 10].map(|_| {
            let minutes = app.waits() / MINUTE;
            assert_eq!(fails(&mut app), AGAIN);
            minutes
        });
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
    }
}

#[test]
fn probing_and_what_passes_probes_again() {
    let mut app = App::default();
    app.fails(1, NO_ADMIN);
    app.waits();
    assert_eq!((app.fails(2, PASSES), app.state()), (AGAIN, State::Probing));
    assert_eq!((app.fails(2, BAD_SIGNATURE), app.state()), (Decision::SignAndAgain, State::Probing));
}

#[test]
fn probing_and_an_answer_closes_and_forgives() {
    let mut app = App::default();
    app.fails(1, NO_ADMIN);
    app.waits();
    assert!(app.is_answered(2), "the probing ended");
    assert_eq!((app.state(), app.breaker.is_probing()), (State::Closed, false));
    // It stopped the app, and another one was answered: that was the pair.
    assert_eq!((app.fails(1, NO_ADMIN), app.state()), (Decision::Refuse, State::Closed));
    app.fails(3, NO_ADMIN);
    assert_eq!(app.waits(), MINUTE, "the next pause is a first one");
}

#[test]
fn what_names_its_own_time_opens_whoever_meets_it() {
    let mut app = App::default();
    app.is_filtered(1);
    app.is_answered(2);
    app.fails(1, LOCKED_OUT);
    assert_eq!(app.waits(), MINUTE);
}

#[test]
fn whichever_codes_one_pair_meets_it_stops_the_others_once_at_most() {
    let mut dice = fastrand::Rng::with_seed(7);
    let codes: Vec<Failure> = (60_000..91_001).map(classify).chain((300..500).map(classify_http)).collect();
    let is_own_time = |failure: &Failure| matches!(failure.action, Action::Pause { .. });
    let codes: Vec<Failure> = codes.into_iter().filter(|failure| !is_own_time(failure)).collect();
    let mut app = App::default();
    let mut pauses = 0;
    for _ in 0..20_000 {
        let failure = codes[dice.usize(..codes.len())];
        app.fails_with(1, failure);
        if app.breaker.resume_at() > 0 {
            pauses += 1;
            app.waits();
        }
        app.is_answered(2 + dice.i64(..50));
    }
    assert!(pauses <= 1, "{pauses}");
}

#[test]
fn the_tasks_of_those_that_stopped_the_app_are_told() {
    let mut app = App::default();
    app.is_filtered(11);
    app.is_filtered(12);
    assert!(app.breaker.suspects_task(1) && !app.breaker.suspects_task(2));
    app.waits();
    app.is_answered(21);
    assert!(!app.breaker.suspects_task(1));
}

#[test]
fn a_restart_keeps_a_pause_that_the_upstream_named_and_shortens_one_that_waits_for_somebody() {
    let pause = |fixed| Some(Pause { resume_at: 3600, fixed });
    let kept = |fixed| CircuitBreaker::resumed(pause(fixed), 0);
    assert_eq!((kept(true).resume_at(), kept(false).resume_at()), (3_600_000, 60_000));
    assert!(!kept(false).credential_is(1), "the first credential read is not a new one");
    assert_eq!(kept(true).pause(), pause(true));
    assert_eq!(CircuitBreaker::resumed(pause(true), 3_600_001).resume_at(), 0);
}

#[test]
fn a_clock_set_back_a_day_between_two_processes_does_not_make_a_pause_longer() {
    let day_ahead = Some(Pause { resume_at: 86_400 + 60, fixed: true });
    assert_eq!(CircuitBreaker::resumed(day_ahead, 0).resume_at(), 3_600_000);
}

#[test]
fn a_clock_that_is_set_takes_a_pause_along() {
    let mut app = App::default();
    assert!(!app.breaker.shift(5), "no pause");
    app.fails(1, NO_QUOTA);
    assert!(app.breaker.shift(-1_000_000));
    assert_eq!(app.breaker.pause(), Some(Pause { resume_at: 2_600, fixed: true }));
}

#[test]
fn another_upstream_knows_nothing_of_a_pause() {
    let mut app = App::default();
    let epoch = app.breaker.epoch();
    app.fails(1, NO_QUOTA);
    app.breaker.forget();
    assert!(app.breaker.lets_through(0) && app.breaker.epoch() > epoch && app.state() == State::Closed);
}

#[test]
fn a_pause_that_was_named_to_another_app_is_taken_over_unless_ours_is_longer() {
    let pause = |resume_at| Pause { resume_at, fixed: true };
    let mut app = App::default();
    let epoch = app.breaker.epoch();
    assert!(app.breaker.adopt(pause(100), 0) && app.breaker.epoch() > epoch);
    assert_eq!(
        (app.breaker.pause(), app.state()),
        (Some(pause(100)), State::Open { until: 100_000, named: true })
    );
    assert!(!app.breaker.adopt(pause(100), 0) && !app.breaker.adopt(pause(99), 0), "no longer than ours");
    assert!(!app.breaker.reset_by_operator() && app.breaker.adopt(pause(200), 0));
    assert_eq!(app.waits(), 200_000);
    assert!(!app.breaker.adopt(pause(150), 180_000), "over by now");
    assert!(app.breaker.adopt(pause(86_400), 200_000));
    assert_eq!(app.breaker.resume_at() - 200_000, 3_600_000, "no upstream names a longer one");
}
