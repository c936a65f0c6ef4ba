//! Answers about pairs for pages and API: list, timeline, watch API.

mod chain;
mod service;
mod watch_api;

pub use service::{Directory, Handle, QueryService};
pub use watch_api::WatchApi;
