//! The upstream as it speaks: its words (wire), its error numbers by what we do about each (code), and who asks (client).

pub mod client;
pub mod code;
pub mod wire;
