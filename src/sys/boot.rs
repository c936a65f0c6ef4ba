//! The machine's present boot: its name, and the time since it began, which nobody can set.

use rustix::time::ClockId;

/// Names the present boot of the machine; where the system does not tell, every process counts as a new boot.
pub fn boot_id() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
        _ => format!("process-{}-{}", std::process::id(), fastrand::u64(..)),
    }
}

/// Milliseconds since the machine started, those in which it was suspended among them: the monotonic clock leaves those
/// out, and the wall clock would seem to have been set.
pub fn millis_since_boot() -> i64 {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_since_boot_counts_what_the_monotonic_one_leaves_out() {
        let monotonic = rustix::time::clock_gettime(ClockId::Monotonic).tv_sec * 1_000;
        assert!(millis_since_boot() >= monotonic, "it lies behind the monotonic one");
    }
}
