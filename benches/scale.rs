//! The product as a whole on this machine: idle, scrapes beside a Pushgateway, 600,000 pairs, a thousand apps: `cargo bench --bench scale`.

#![allow(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

#[path = "scale/apps.rs"]
mod apps;
#[path = "scale/crowd.rs"]
mod crowd;
#[path = "scale/idle.rs"]
mod idle;
#[path = "scale/process.rs"]
mod process;
#[path = "scale/scrapes.rs"]
mod scrapes;
#[allow(dead_code, unused_imports, reason = "made for the tests; the bench takes what it needs")]
#[path = "../tests/it/support/mod.rs"]
mod support;

/// Runs the parts that the arguments name, or all.
fn main() {
    let parts: [(&str, fn()); 4] =
        [("idle", idle::run), ("scrapes", scrapes::run), ("crowd", crowd::run), ("apps", apps::run)];
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            part();
        }
    }
}
