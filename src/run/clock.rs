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

/// Notices when somebody sets the wall clock.
#[derive(Debug)]
pub struct StepWatch {
    wall: i64,
    steady: Moment,
}

impl Default for StepWatch {
    /// Watches from now on.
    fn default() -> StepWatch {
        StepWatch { wall: wall_millis(), steady: Moment::now() }
    }
}

impl StepWatch {
    /// By how many milliseconds the wall clock was set since the last call, 0 for none.
    pub fn step(&mut self) -> i64 {
        let (wall, steady) = (wall_millis(), Moment::now());
        let passed = i64::try_from(steady.since(self.steady).as_millis()).unwrap_or(i64::MAX);
        let step = wall - self.wall - passed;
        (self.wall, self.steady) = (wall, steady);
        if step.abs() > STEP { step } else { 0 }
    }
}
