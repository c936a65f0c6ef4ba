//! Tells the service manager how it goes: ready, reloading, stopping, alive.
//!
//! The protocol is systemd's: datagrams to the socket named in `NOTIFY_SOCKET` (`sd_notify(3)`). Without that variable
//! nobody is told anything.

use sd_notify::NotifyState;

use timpush_exporter::daemon::LifecycleEvent;

/// Passes each event on. A word of life goes out only where a watchdog waits for it (`WatchdogSec=`).
pub fn observer() -> impl Fn(LifecycleEvent) + Send + Sync + 'static {
    let is_watched = sd_notify::watchdog_enabled().is_some();
    move |event| {
        if event == LifecycleEvent::Alive && !is_watched {
            return;
        }
        if let Err(error) = tell(event) {
            tracing::warn!(%error, ?event, "the service manager could not be told");
        }
    }
}

fn tell(event: LifecycleEvent) -> std::io::Result<()> {
    match event {
        LifecycleEvent::Ready => sd_notify::notify(&[NotifyState::Ready]),
        // The time tells the manager that READY=1 of before this reload is not its end.
        LifecycleEvent::Reloading => {
            sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?])
        }
        LifecycleEvent::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        LifecycleEvent::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    }
}
