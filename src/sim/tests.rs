//! The population told by its own words, and the simulator asked over the wire.
mod asked;
mod client;
mod spoiled;
mod told;
