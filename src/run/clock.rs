//! The wall clock as the pollers read it, and waits that hit a moment of the monotonic one.

use std::time::Duration;

use crate::budget::Moment;

/// Below this interval a timer's own grain of a millisecond costs too much of the rate.
pub const FINE_INTERVAL: Duration = Duration::from_millis(250);
/// What is left to the finer wait.
const FINE_PART: Duration = Duration::from_micros(2_500);
/// A difference of the two clocks beyond this is a step of the wall clock, not its drift.
const STEP: i64 = 2_000;

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

/// Milliseconds since the machine started, those in which it was suspended among them: the monotonic clock leaves those
/// out, and the wall clock would seem to have been set.
fn millis_since_boot() -> i64 {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

/// Notices when somebody sets the wall clock.
#[derive(Debug)]
pub struct StepWatch {
    wall: i64,
    since_boot: i64,
}

impl Default for StepWatch {
    /// Watches from now on.
    fn default() -> StepWatch {
        StepWatch { wall: wall_millis(), since_boot: millis_since_boot() }
    }
}

impl StepWatch {
    /// By how many milliseconds the wall clock was set since the last call, 0 for none.
    pub fn step(&mut self) -> i64 {
        self.step_at(wall_millis(), millis_since_boot())
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
        let mut watch = StepWatch { wall: 50 * DAY, since_boot: 1_000 };
        assert_eq!(watch.step_at(50 * DAY + 1_000, 2_000), 0);
        assert_eq!(watch.step_at(51 * DAY + 2_000, 3_000), DAY);
        assert_eq!(watch.step_at(51 * DAY + 3_000, 4_000), 0);
        assert_eq!(watch.step_at(50 * DAY + 4_000, 5_000), -DAY);
        // A second is what two clocks may drift apart while nobody looks.
        assert_eq!(watch.step_at(50 * DAY + 6_000, 6_000), 0);
    }

    #[test]
    fn a_machine_that_slept_has_not_set_its_clock() {
        // Asleep, only this clock goes on beside the wall's; awake, both that this program reads go alike.
        let asleep = || millis_since_boot() - Moment::now().0.cast_signed() / 1_000_000;
        assert!(asleep() >= -1, "the clock since boot lies behind the monotonic one");
        let mut watch = StepWatch { wall: 50 * DAY, since_boot: 1_000 };
        assert_eq!(watch.step_at(51 * DAY, DAY + 1_000), 0);
    }
}
