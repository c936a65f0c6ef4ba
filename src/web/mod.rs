//! Listeners, routes and pages: the window on what is known.

mod api;
mod auth;
mod crowd;
pub mod desk;
mod gzip;
mod house;
mod limits;
mod listen;
mod pages;
mod phase;
mod privacy;
mod routes;
mod security;
mod serve;
#[cfg(test)]
mod slow_tests;
#[cfg(test)]
mod tests;
mod tls;

pub use auth::{HashFault, MAX_COST, MIN_COST, PasswordHash, RateLimit, Users};
pub use house::{
    AppStatus, Fixtures, House, LatestFailure, PushFailure, RecentStage, Reload, ReloadAnswer,
    SnapshotReader, SourceStatus, Status,
};
pub use limits::Limits;
pub use listen::{ListenError, bind};
pub use privacy::Veil;
pub use security::Security;
pub use serve::serve;
pub use tls::{ClientAuth, Tls, TlsFault, TlsSettings, TlsVersion, cipher_suites, curves};
