//! Who may ask: the password of every request to a path that is not public, and how often anybody may ask.

mod check;
mod credentials;
mod password_queue;
mod rate;
#[cfg(test)]
mod tests;
mod users;

pub use check::{Authenticated, check};
pub(super) use password_queue::PasswordQueue;
pub use rate::RateLimit;
pub use users::{HashFault, MAX_COST, MIN_COST, PasswordHash, Users};
