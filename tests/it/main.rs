//! The program from outside: the daemon and the commands as children, against upstreams of the test's own.

mod board;
mod budget;
mod cli;
mod conversation;
mod damage;
mod faults;
mod hostile;
mod matrix;
mod privacy;
mod reload;
mod restart;
mod scrape;
mod secrets;
mod service;
mod soak;
mod sources;
mod support;
mod swaps;
mod tidy;
mod trace;
mod watch_api;
mod web_security;
