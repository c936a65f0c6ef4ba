//! See `targets::web_config`.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "each target uses one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Fuzzers run beside each other.
    let file = std::env::temp_dir().join(format!("web_config_{}.yaml", std::process::id()));
    targets::web_config(&file, data);
});
