//! What all tests share: the simulator with a folder beside it, the daemon as a child, its scrape, and waiting.

pub mod canaries;
pub mod daemon;
pub mod rig;
pub mod spy;
pub mod sums;

use std::time::{Duration, Instant};

pub use daemon::Daemon;
pub use rig::{APP, App, ID, Rig};

pub use crate::support_b::Scrape;
pub use crate::support_b::answers::now as unix_now;
pub use crate::support_b::child::KEY;

/// How long any wait may take; a wait that takes longer is a failure.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `look` gives a value; what it complained of last is told when that never happens.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(why) if began.elapsed() > DEADLINE => panic!("never came: {what}; at last: {why}"),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Waits until `condition` holds.
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    wait_for(what, async || {
        let holds = condition().await;
        holds.then_some(()).ok_or_else(|| "it does not hold".to_owned())
    })
    .await;
}

/// Observes for `time` that `look` keeps giving the same.
pub async fn stays<T: PartialEq + std::fmt::Debug>(
    time: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> T,
) {
    let (began, first) = (Instant::now(), look().await);
    while began.elapsed() < time {
        let now = look().await;
        let after = began.elapsed();
        assert_eq!(now, first, "{what} changed after {after:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
