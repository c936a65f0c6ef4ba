//! How many passwords are checked at once: a flood of wrong ones may not take the machine from scrapes and polls.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Passwords checked at the same time, each on a thread of its own.
const MAX_RUNNING: usize = 1;
/// Requests whose password is being checked or waits for that; those beyond are refused.
pub(super) const MAX_QUEUED: usize = 16;
/// How many of them may come from one address: one client cannot fill all the places.
pub(super) const MAX_QUEUED_OF_PEER: usize = 4;

/// The queue of passwords to be checked.
#[derive(Debug)]
pub(in crate::web) struct Checks {
    running: Arc<Semaphore>,
    /// Of each address that has any; never held across an await.
    queued: Arc<Mutex<HashMap<Option<IpAddr>, usize>>>,
}

/// A place in the queue; given back when dropped.
pub(super) struct Place {
    peer: Option<IpAddr>,
    running: Arc<Semaphore>,
    queued: Arc<Mutex<HashMap<Option<IpAddr>, usize>>>,
}

/// The right to check a password now.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl Checks {
    pub(in crate::web) fn new() -> Checks {
        Checks { running: Arc::new(Semaphore::new(MAX_RUNNING)), queued: Arc::default() }
    }

    /// A place for a request from that address, where there is one left.
    pub(super) fn queue(&self, peer: Option<IpAddr>) -> Option<Place> {
        let peer = peer.map(neighbourhood);
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        let own = queued.get(&peer).copied().unwrap_or(0);
        if own >= MAX_QUEUED_OF_PEER || queued.values().sum::<usize>() >= MAX_QUEUED {
            return None;
        }
        queued.insert(peer, own + 1);
        Some(Place { peer, running: Arc::clone(&self.running), queued: Arc::clone(&self.queued) })
    }
}

impl Place {
    /// Waits until it is this one's turn.
    pub(super) async fn turn(self) -> Turn {
        let permit = Arc::clone(&self.running).acquire_owned().await;
        Turn { _permit: permit.expect("nobody closes the semaphore"), _place: self }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        let own = queued.get(&self.peer).copied().unwrap_or(0);
        if own > 1 {
            queued.insert(self.peer, own - 1);
        } else {
            queued.remove(&self.peer);
        }
    }
}

/// What counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that one network has.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}
