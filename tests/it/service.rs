//! What a service manager hears: ready, reloading and ready again, alive, stopping.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use crate::support::{Daemon, PATIENCE, Place, Town};

/// A daemon under a service manager with a watchdog.
pub struct Service {
    pub daemon: Daemon,
    heard: UnixDatagram,
}

impl Service {
    /// Starts that command of that place, and waits until it listens.
    pub fn of(mut command: Command, place: &Place) -> Service {
        let socket = place.path("notify");
        let heard = UnixDatagram::bind(&socket).unwrap();
        heard.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "30000000");
        Service { daemon: Daemon::spawn(command).listening(), heard }
    }

    /// The next word that is no word of life.
    pub fn next(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let word = self.any();
            if word != "WATCHDOG=1\n" {
                return word;
            }
            assert!(Instant::now() < deadline, "only words of life came");
        }
    }

    pub fn any(&self) -> String {
        let mut buffer = [0; 512];
        let length = self.heard.recv(&mut buffer).expect("a word comes in time");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    pub fn hears_a_reload(&self) {
        let before = monotonic_micros();
        self.daemon.signal(Signal::HUP);
        let word = self.next();
        let at = word.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{word}"));
        let at: i64 = at.trim_end().parse().unwrap();
        assert!((before..=monotonic_micros()).contains(&at), "{before} {at}");
        assert_eq!(self.next(), "READY=1\n");
    }
}

fn monotonic_micros() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[test]
fn a_service_manager_hears_what_happens() {
    let town = Town::lively(5, 3, 20.0);
    let place = Place::new(&town.watched("shop", 20.0).config());
    let service = Service::of(place.command(&[]), &place);
    assert_eq!(service.next(), "READY=1\n");
    assert_eq!(service.any(), "WATCHDOG=1\n");
    service.hears_a_reload();
    // A reload that fails ends as well.
    place.configure("apps: []\n");
    service.hears_a_reload();
    service.daemon.signal(Signal::TERM);
    assert_eq!(service.next(), "STOPPING=1\n");
    service.daemon.end();
}
