//! What the ledger knows of a pair, in the words of the schedule.

use crate::ledger::Verdict;
use crate::ledger::fold::{KnownDevice, KnownResult, News, Record, Sampled};
use crate::ledger::settle::{Lags, Outlook};
use crate::schedule::{Device, Learned, Look, Report, Route, STAGES};
use crate::trace::{self, Outcome, Platform};

/// What a poll came to, with the times of the pair's push and end in Unix milliseconds.
pub(super) fn answered<'a>(
    verdict: &Verdict,
    (pushed_at, ends_at): (i64, i64),
    devices: &'a [Device],
) -> Look<'a> {
    let confirm_from = match verdict.outlook {
        Outlook::Unconfirmed { poll_from } => Some(poll_from.saturating_mul(1000)),
        Outlook::Open | Outlook::Settled => None,
    };
    let settled = verdict.outlook == Outlook::Settled;
    let is_closed = verdict.record.sampled == Sampled::Closed;
    Look::Answered { settled, is_closed, confirm_from, pushed_at: Some(pushed_at), ends_at, devices }
}

/// How long the stages take to report.
pub(super) fn lags(learned: &Learned) -> Lags {
    let whole = |seconds: f64| seconds.ceil() as i64;
    let receipts = learned.receipt_lags().into_iter();
    Lags {
        answer: learned.answer_lag().map(whole),
        receipt: receipts.map(|(number, lag)| (Platform::Vendor(number), whole(lag))).collect(),
    }
}

/// The devices of a pair by the routes they have shown; `news` are the results that this very poll brought.
pub(super) fn devices(record: &Record, news: &[News]) -> Vec<Device> {
    let mut devices = Vec::with_capacity(record.devices.len());
    for (at, device) in record.devices.iter().enumerate() {
        let fresh: Vec<&News> = news.iter().filter(|news| news.device == at).collect();
        devices.extend(device.routes().map(|route| on_route(device, route, &fresh)));
    }
    devices
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
