//! The server kit: listeners, connections, limits, TLS, passwords and compression; knows nothing of pushes.

mod application;
mod auth;
mod connection;
pub mod gzip;
mod limits;
mod listen;
mod peer;
mod pool;
mod security;
mod serve;
mod server;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

pub use application::{Application, RequestRefusal, ServerEvent};
pub use auth::{Authenticated, HashFault, MAX_COST, MIN_COST, PasswordHash, RateLimit, Users, check};
pub use limits::{Limits, MAX_BODY_BYTES, MAX_HEAD_BYTES};
pub use listen::{ListenError, bind};
pub use peer::Peer;
pub use security::Security;
pub use serve::serve;
pub use server::Server;
pub use tls::{ClientAuth, Tls, TlsFault, TlsSettings, TlsVersion, cipher_suites, curves};
