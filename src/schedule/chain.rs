//! The reports of one device, read in their order.

use super::cells::{CLICK_WORTH, DEVICE_WORTH};
use super::told::{Device, Millis, Report, STAGES};

/// What is reported, in the order of the chain.
pub fn reports(device: &Device) -> impl Iterator<Item = (usize, Report)> + '_ {
    (0..STAGES).filter_map(|stage| device.reports[stage].map(|report| (stage, report)))
}

/// When a report came, as far as it can be known.
pub fn when(report: &Report) -> Millis {
    report.at.unwrap_or(report.seen_at).min(report.seen_at)
}

/// What a success of that stage is worth.
pub fn worth(stage: usize) -> f64 {
    match stage {
        3 => DEVICE_WORTH,
        4 => CLICK_WORTH,
        _ => 0.0,
    }
}
