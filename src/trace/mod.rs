//! One answer, understood: platforms, routes, stages, outcomes and reasons in place of the upstream's numbers.

mod clock;
mod dimensions;
mod model;
pub mod read;
pub mod reason;
mod words;

pub use dimensions::{Notifications, Outcome, Platform, Route, Stage};
pub use model::{Addition, Device, Drift, Event, Leaf, Trace};
pub use reason::Reason;
pub use words::visible;
