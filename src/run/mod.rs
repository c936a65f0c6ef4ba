//! Builds the house: a poller for each app, reload, signals, shutdown.

mod apps;
mod chain;
pub mod clock;
mod daemon;
mod desk;
mod feeder;
mod first_look;
mod holdings;
mod look;
mod pairs;
mod poller;
mod question;
mod recent;
mod register;
mod round;
mod told;
mod trouble;
mod upkeep;
mod web_config;

pub use apps::BUDGET_FOLDER;
pub use daemon::{Daemon, Failure, Moment, Options, Reloader};
pub use web_config::WebFile;
