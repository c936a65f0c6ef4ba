//! Work that may block for ever, as on a mount that hangs: off the runtime, with a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The work did not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file system gave no answer within {} s", .0.as_secs_f64())]
pub struct Hung(pub Duration);

/// Runs one kind of work on the threads for blocking work, one piece at a time. A thread that hangs cannot be ended: while
/// it does, no second one is started. Clones count as the same kind.
#[derive(Clone, Debug)]
pub struct Blocking {
    state: Arc<State>,
    deadline: Duration,
}

#[derive(Debug)]
struct State {
    running: Arc<Semaphore>,
    /// Work is running that did not end in time.
    has_hung: AtomicBool,
}

/// Held while work runs.
struct Running {
    state: Arc<State>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // In this order: whoever finds the permit given back may rely on nobody hanging.
        self.permit = None;
        self.state.has_hung.store(false, Ordering::SeqCst);
    }
}

impl Blocking {
    /// Each piece of work gets `deadline`.
    pub fn new(deadline: Duration) -> Blocking {
        let state = State { running: Arc::new(Semaphore::new(1)), has_hung: AtomicBool::new(false) };
        Blocking { state: Arc::new(state), deadline }
    }

    /// Runs `work` after the one before it, and waits for it. A panic of it goes on here.
    ///
    /// # Errors
    /// [`Hung`]: after the deadline, or at once where earlier work was found to hang and still does. `work` may still end
    /// later, and what it gives is dropped.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Hung> {
        let hung = Hung(self.deadline);
        if self.state.has_hung.load(Ordering::SeqCst) {
            return Err(hung);
        }
        let state = Arc::clone(&self.state);
        let run = async move {
            let permit = Arc::clone(&state.running).acquire_owned().await.ok();
            let running = Running { state, permit };
            let work = move || {
                let _running = running;
                work()
            };
            tokio::task::spawn_blocking(work).await
        };
        match tokio::time::timeout(self.deadline, run).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime shuts down.
            Ok(Err(_)) => Err(hung),
            Err(_) => {
                self.state.has_hung.store(true, Ordering::SeqCst);
                if self.state.running.available_permits() > 0 {
                    // It has just ended.
                    self.state.has_hung.store(false, Ordering::SeqCst);
                }
                Err(hung)
            }
        }
    }
}

/// Runs work that blocks on the threads for such work. A panic of it goes on here.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await, // The runtime ends, and whoever waits ends with it.
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_is_given_up_and_no_second_thread_joins_it() {
        let blocking = Blocking::new(Duration::from_millis(50));
        assert_eq!(blocking.run(|| 1).await, Ok(1));
        let (release, hold) = mpsc::channel::<()>();
        let hung = blocking.run(move || hold.recv().is_ok()).await.unwrap_err();
        assert_eq!(hung.to_string(), "the file system gave no answer within 0.05 s");
        let started = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let started = Arc::clone(&started);
            let refused = blocking.clone().run(move || started.fetch_add(1, Ordering::SeqCst)).await;
            assert_eq!(refused, Err(hung));
        }
        assert_eq!(started.load(Ordering::SeqCst), 0);
        release.send(()).unwrap();
        let answers = async {
            while blocking.run(|| 2).await != Ok(2) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), answers)
            .await
            .expect("it runs again once the thread is free");
    }

    #[tokio::test]
    async fn work_that_is_only_slow_is_waited_for() {
        let blocking = Blocking::new(Duration::from_secs(20));
        let (release, hold) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let blocking = blocking.clone();
            async move { blocking.run(move || hold.recv().is_ok()).await }
        });
        while blocking.state.running.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        // Whoever waited for it has gone; the next piece of work comes after it.
        first.abort();
        let mut second = Box::pin(blocking.run(|| 2));
        assert!(futures_util::FutureExt::now_or_never(&mut second).is_none());
        release.send(()).unwrap();
        assert_eq!(second.await, Ok(2));
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_place_back() {
        let blocking = Blocking::new(Duration::from_secs(20));
        let panicking = blocking.clone();
        let panicked = tokio::spawn(async move { panicking.run(|| panic!("on purpose")).await });
        assert!(panicked.await.unwrap_err().is_panic());
        assert_eq!(blocking.run(|| 3).await, Ok(3));
    }
}
