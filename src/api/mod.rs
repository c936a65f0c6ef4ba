//! The upstream as it speaks: its words (wire), its error numbers by what we do about each (code), and who asks (client).

mod body;
pub mod client;
pub mod code;
mod failed;
pub mod wire;
