//! The program from outside: the daemon and the commands as children, against upstreams of the test's own.

#![allow(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

mod backup;
mod blocked;
mod board;
mod breaker;
mod budget;
mod changes;
mod check;
mod cli;
mod clocks;
mod conversation;
mod damage;
mod drift;
mod failing;
mod faults;
mod hostile;
mod late;
mod lists;
mod matrix;
mod privacy;
mod reload;
mod restart;
mod sample;
mod scrape;
mod secrets;
mod service;
mod shared;
mod slow;
mod soak;
mod sources;
mod support;
mod surroundings;
mod swaps;
mod tidy;
mod trace;
mod watch_api;
mod watching;
mod web_security;
