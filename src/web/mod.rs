//! Listeners, routes and pages: the window on what is known.

mod api;
pub mod desk;
mod gzip;
mod house;
mod limits;
mod listen;
mod pages;
mod phase;
mod privacy;
mod routes;
mod serve;
#[cfg(test)]
mod slow_tests;
#[cfg(test)]
mod tests;

pub use house::{
    AppStatus, Fixtures, House, LatestFailure, PushFailure, RecentStage, Reload, ReloadAnswer,
    SnapshotReader, SourceStatus, Status,
};
pub use limits::Limits;
pub use listen::{ListenError, bind};
pub use privacy::Veil;
pub use serve::serve;
