//! One answer, understood: platforms, routes, stages, outcomes and reasons in place of the upstream's numbers.

mod clock;
mod model;
pub mod read;
pub mod reason;
mod words;

pub use model::{
    Addition, Device, Drift, Event, Leaf, Notifications, Outcome, Platform, Route, Stage, Trace,
};
pub use reason::Reason;
pub use words::visible;
