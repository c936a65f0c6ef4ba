//! What the tests share: the program as a child, the simulated upstream, waits for a condition, strict scrapes.

pub mod answers;
pub mod canaries;
pub mod child;
pub mod http;
pub mod hung;
pub mod listener;
pub mod noise;
pub mod scrape;
pub mod sums;
pub mod town;

use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

pub use child::{Daemon, KEY, Place};
pub use http::{Page, get, request, send};
pub use scrape::Scrape;
pub use town::{APP, AppText, FIRST_APP, NOWHERE, Town, config};

/// How long a wait may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is an answer; fails with what was waited for, and what the last look complained of.
pub fn eventually<T, E: Display>(what: &str, look: impl FnMut() -> Result<T, E>) -> T {
    eventually_within(PATIENCE, what, look)
}

fn eventually_within<T, E: Display>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) => assert!(Instant::now() < deadline, "waited in vain until {what}: {why}"),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until the condition holds.
pub fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(PATIENCE, what, holds);
}

/// Waits so long at most until the condition holds.
pub fn until_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    eventually_within(patience, what, || holds().then_some(()).ok_or("it does not hold"));
}

/// Observes for `time` that `look` keeps giving the same.
pub fn stays<T: PartialEq + Debug>(time: Duration, what: &str, mut look: impl FnMut() -> T) {
    let (began, first) = (Instant::now(), look());
    while began.elapsed() < time {
        let now = look();
        let after = began.elapsed();
        assert_eq!(now, first, "{what} changed after {after:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Tests that measure time have the machine for themselves; all others share it.
static MACHINE: RwLock<()> = RwLock::new(());

thread_local! {
    /// Turns that this test holds: a second one must not wait for the first.
    static TURNS: Cell<u32> = const { Cell::new(0) };
}

enum Held {
    Shared(#[allow(dead_code, reason = "held for its end")] RwLockReadGuard<'static, ()>),
    Alone(#[allow(dead_code, reason = "held for its end")] RwLockWriteGuard<'static, ()>),
    Before,
}

/// A test's turn on the machine; ends when dropped.
pub struct Turn(#[allow(dead_code, reason = "held for its end")] Held);

impl Turn {
    /// Beside other tests.
    pub fn shared() -> Turn {
        Turn::take(|| Held::Shared(MACHINE.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// With no other test beside it.
    pub fn alone() -> Turn {
        Turn::take(|| Held::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn take(lock: impl FnOnce() -> Held) -> Turn {
        let held = if TURNS.get() > 0 { Held::Before } else { lock() };
        TURNS.set(TURNS.get() + 1);
        Turn(held)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURNS.set(TURNS.get() - 1);
    }
}
