//! Tells the service manager how it goes: ready, reloading, stopping, alive.
//!
//! The protocol is systemd's: datagrams to the socket named in `NOTIFY_SOCKET` (`sd_notify(3)`). Without that variable
//! nobody is told anything.

use sd_notify::NotifyState;

use timpush_exporter::daemon::Moment;

/// Passes each moment on. A word of life goes out only where a watchdog waits for it (`WatchdogSec=`).
pub fn observer() -> impl Fn(Moment) + Send + Sync + 'static {
    let is_watched = sd_notify::watchdog_enabled().is_some();
    move |moment| {
        if moment == Moment::Alive && !is_watched {
            return;
        }
        if let Err(error) = tell(moment) {
            tracing::warn!(%error, ?moment, "the service manager could not be told");
        }
    }
}

fn tell(moment: Moment) -> std::io::Result<()> {
    match moment {
        Moment::Ready => sd_notify::notify(&[NotifyState::Ready]),
        // The time tells the manager that READY=1 of before this reload is not its end.
        Moment::Reloading => sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?]),
        Moment::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Moment::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    }
}
