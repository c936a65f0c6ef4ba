//! Listeners, routes and pages: the window on what is known.

mod auth;
mod crowd;
mod gzip;
mod house;
mod limits;
mod listen;
mod page;
mod phase;
mod routes;
mod security;
mod serve;
#[cfg(test)]
mod slow_tests;
#[cfg(test)]
mod tests;
mod tls;

pub use auth::{HashFault, MAX_COST, MIN_COST, PasswordHash, RateLimit, Users};
pub use house::{AppStatus, Fixtures, House, LatestFailure, Reload, ReloadAnswer, SnapshotReader, Status};
pub use limits::Limits;
pub use listen::{ListenError, bind};
pub use security::Security;
pub use serve::serve;
pub use tls::{ClientAuth, Tls, TlsFault, TlsSettings, TlsVersion, cipher_suites, curves};
