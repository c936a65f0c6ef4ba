//! The wall clock as the pollers read it, and waits that hit a moment of the monotonic one.

use std::time::Duration;

use crate::budget::Moment;
use crate::sys::millis_since_boot;

/// Below this interval a timer's own grain of a millisecond costs too much of the rate.
pub const FINE_INTERVAL: Duration = Duration::from_millis(250);
/// What is left to the finer wait.
const FINE_PART: Duration = Duration::from_micros(2_500);
/// A difference of the two clocks beyond this is a step of the wall clock, not its drift.
const STEP: i64 = 2_000;
/// Steps that come to more than this make what was reckoned by the clock before worth nothing.
const LONG_STEP: i64 = 3_600_000;

/// Unix time in milliseconds.
pub fn wall_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Unix time in seconds.
pub fn wall_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Waits until `moment`; with `fine` to within tens of microseconds, else to within a millisecond or two.
pub async fn until(moment: Moment, fine: bool) {
    let left = moment.since(Moment::now());
    if !fine {
        tokio::time::sleep(left).await;
        return;
    }
    if left > FINE_PART {
        tokio::time::sleep(left - FINE_PART).await;
    }
    let left = moment.since(Moment::now());
    if !left.is_zero() {
        // A cancelled wait leaves its thread asleep for these last milliseconds, which harms nobody.
        let _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
    }
}

/// Notices when somebody sets the wall clock.
#[derive(Debug)]
pub struct StepWatch {
    wall: i64,
    since_boot: i64,
    /// Steps since the last long one, all together.
    set_by: i64,
}

impl Default for StepWatch {
    /// Watches from now on.
    fn default() -> StepWatch {
        StepWatch { wall: wall_millis(), since_boot: millis_since_boot(), set_by: 0 }
    }
}

impl StepWatch {
    /// By how many milliseconds the wall clock was set since the last call, 0 for none.
    pub fn step(&mut self) -> i64 {
        self.step_at(wall_millis(), millis_since_boot())
    }

    /// Whether the clock was set so far since this was true last, in one step or in many, that whatever was reckoned by it
    /// is to be reckoned again.
    pub fn was_set_far(&mut self, step: i64) -> bool {
        self.set_by = self.set_by.saturating_add(step);
        let far = self.set_by.abs() >= LONG_STEP;
        if far {
            self.set_by = 0;
        }
        far
    }

    fn step_at(&mut self, wall: i64, since_boot: i64) -> i64 {
        let step = (wall - self.wall) - (since_boot - self.since_boot);
        (self.wall, self.since_boot) = (wall, since_boot);
        if step.abs() > STEP { step } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn a_step_is_told_once_and_by_its_length() {
        let mut watch = StepWatch { wall: 50 * DAY, since_boot: 1_000, set_by: 0 };
        assert_eq!(watch.step_at(50 * DAY + 1_000, 2_000), 0);
        assert_eq!(watch.step_at(51 * DAY + 2_000, 3_000), DAY);
        assert_eq!(watch.step_at(51 * DAY + 3_000, 4_000), 0);
        assert_eq!(watch.step_at(50 * DAY + 4_000, 5_000), -DAY);
        // A second is what two clocks may drift apart while nobody looks.
        assert_eq!(watch.step_at(50 * DAY + 6_000, 6_000), 0);
    }

    #[test]
    fn many_short_steps_are_a_long_one_and_steps_there_and_back_are_none() {
        let mut watch = StepWatch::default();
        assert!(!watch.was_set_far(3_599_999) && watch.was_set_far(1));
        assert!(
            !watch.was_set_far(3_000_000) && !watch.was_set_far(-6_000_000) && watch.was_set_far(-600_000)
        );
        assert!(watch.was_set_far(-20_000 * DAY) && !watch.was_set_far(0));
    }

    #[test]
    fn a_machine_that_slept_has_not_set_its_clock() {
        // Asleep, the clock since boot goes on beside the wall's.
        let mut watch = StepWatch { wall: 50 * DAY, since_boot: 1_000, set_by: 0 };
        assert_eq!(watch.step_at(51 * DAY, DAY + 1_000), 0);
    }
}
