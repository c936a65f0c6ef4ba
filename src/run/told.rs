//! What the ledger knows of a pair, in the words of the schedule.

use crate::ledger::fold::{KnownDevice, KnownResult, News, Record};
use crate::schedule::{Device, Report, Route, STAGES};
use crate::trace::{self, Outcome, Platform};

/// The devices of a pair by the routes they have shown; `news` are the results that this very look brought.
pub(super) fn devices(record: &Record, news: &[News]) -> Vec<Device> {
    let mut told = Vec::with_capacity(record.devices.len());
    for (at, device) in record.devices.iter().enumerate() {
        let fresh: Vec<&News> = news.iter().filter(|news| news.device == at).collect();
        told.extend(device.routes().map(|route| on_route(device, route, &fresh)));
    }
    told
}

fn on_route(device: &KnownDevice, route: trace::Route, fresh: &[&News]) -> Device {
    let mut reports = [None; STAGES];
    for result in device.results.iter().filter(|result| result.route == route) {
        let is_fresh = fresh.iter().any(|news| news.route == route && news.stage == result.stage);
        reports[result.stage as usize] = Some(report(result, is_fresh));
    }
    let platform = match device.platform_on(route) {
        Platform::Vendor(number) => number,
        Platform::Im => 0,
    };
    let route = match route {
        trace::Route::Offline => Route::Offline,
        trace::Route::Online => Route::Online,
    };
    Device { platform, route, reports }
}

fn report(result: &KnownResult, fresh: bool) -> Report {
    Report {
        failed: result.outcome == Outcome::Failure,
        at: result.at.map(|at| at * 1000),
        seen_at: result.seen_at * 1000,
        fresh,
    }
}
