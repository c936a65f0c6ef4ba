//! Listeners, routes and pages: the window on what is known.

mod gzip;
mod house;
mod limits;
mod listen;
mod page;
mod phase;
mod routes;
mod serve;
#[cfg(test)]
mod slow_tests;
#[cfg(test)]
mod tests;

pub use house::{AppStatus, Fixtures, House, LatestFailure, Reload, ReloadAnswer, SnapshotReader, Status};
pub use limits::Limits;
pub use listen::{ListenError, bind};
pub use serve::serve;
