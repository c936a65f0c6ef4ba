//! What the tests share: the program as a child, the simulated upstream, waits for a condition, strict scrapes.

pub mod answers;
pub mod child;
pub mod listener;
pub mod noise;
pub mod scrape;
pub mod town;

use std::cell::Cell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

pub use child::{Daemon, Page, Place, get, request};
pub use scrape::Scrape;
pub use town::{AppText, Town};

/// How long a wait may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is an answer; fails with what was waited for.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until the condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
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
