//! Answers about pairs for pages and API: list, timeline, watch API.

mod chain;
mod desk;
mod register;

pub use desk::{Directory, Handle, Pollers};
pub use register::Book;
