//! What whoever started a daemon hears of it; alive it is only while every poller's loop goes round.

use std::sync::Arc;
use std::time::Instant;

use crate::query::Directory;

/// What the life of a daemon comes to; whoever started it may want to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The watch lists are loaded, or a reload has ended, well or not.
    Ready,
    Reloading,
    Stopping,
    /// The main loop and those of all pollers go round; told every second.
    Alive,
}

pub(super) type Observer = Arc<dyn Fn(LifecycleEvent) + Send + Sync>;

/// Tells an observer that the daemon is alive, as long as every loop goes round.
pub(super) struct Pulse {
    directory: Directory,
    observer: Observer,
    /// The poller that stands still, once it was told.
    told: Option<Arc<str>>,
}

impl Pulse {
    pub fn new(directory: Directory, observer: Observer) -> Pulse {
        Pulse { directory, observer, told: None }
    }

    /// The main loop went round.
    pub fn beat(&mut self) {
        let now = Instant::now();
        let directory = self.directory.load();
        let still =
            directory.iter().find_map(|(app, handle)| Some((app, handle.heartbeat.stands_still(now)?)));
        match still {
            None => {
                self.told = None;
                (self.observer)(LifecycleEvent::Alive);
            }
            Some((app, ago)) if self.told.as_ref() != Some(app) => {
                let seconds = ago.as_secs();
                tracing::error!(%app, seconds, "the poller makes no progress; the watchdog is not fed");
                self.told = Some(app.clone());
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;
    use crate::poller::heartbeat::Heartbeat;
    use crate::query::Handle;

    #[test]
    fn the_daemon_is_alive_while_every_poller_is() {
        let handle = |heartbeat| Handle {
            queries: mpsc::channel(1).0,
            lists: Arc::default(),
            watch_for: Duration::ZERO,
            heartbeat,
        };
        let (good, bad) = [1, 30].map(|ago| Heartbeat::stamped(Duration::from_secs(ago))).into();
        let directory = Directory::default();
        let alive = Arc::new(Mutex::new(0));
        let count = Arc::clone(&alive);
        let observer =
            Arc::new(move |event| *count.lock().unwrap() += i32::from(event == LifecycleEvent::Alive));
        let mut pulse = Pulse::new(directory.clone(), observer);
        let publish = |hearts: &[(&str, &Heartbeat)]| {
            let handles = hearts.iter().map(|(app, heart)| (Arc::from(*app), handle((*heart).clone())));
            directory.store(Arc::new(handles.collect()));
        };
        let mut beats = |hearts: &[(&str, &Heartbeat)]| {
            publish(hearts);
            let before = *alive.lock().unwrap();
            pulse.beat();
            (*alive.lock().unwrap() - before, pulse.told.clone())
        };
        assert_eq!(beats(&[]), (1, None));
        assert_eq!(beats(&[("a", &good), ("b", &bad)]), (0, Some("b".into())));
        bad.beat();
        assert_eq!(beats(&[("a", &good), ("b", &bad)]), (1, None));
    }
}
