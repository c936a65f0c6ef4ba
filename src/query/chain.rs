//! One pair's delivery chain, from what the ledger holds.

use std::sync::Arc;

use crate::ledger::NEVER_DUE;
use crate::ledger::PairRow;
use crate::ledger::fold::{DEVICES_CAP, KnownDevice, Standing, counts_from, delay_seconds};
use crate::trace::{Outcome, Route, Stage};

use crate::poller::clock::wall_seconds;
use crate::poller::list_scan::ListedPair;
use crate::view::{Chain, DeviceChain, StageView, Watch};

/// `pair` with what is `known` of its devices; `None` for one that the ledger has not met yet.
pub fn chain(app: Arc<str>, pair: ListedPair, known: Option<&PairRow>) -> Chain {
    let added_at = pair.added_at.or(known.map(|known| known.added_at)).unwrap_or_else(wall_seconds);
    let told = known.and_then(|known| known.record.pushed_at());
    let watch_for = i64::try_from(pair.watch_for.as_secs()).unwrap_or(i64::MAX / 4);
    let ends_at = counts_from(pair.listed_at, told, added_at) + watch_for;
    let devices = known.map(|known| known.record.devices.as_slice()).unwrap_or_default();
    let awaited_at = known.and_then(PairRow::awaited_at);
    let routes = |device: &KnownDevice| {
        device.routes().map(|route| on_route(device, route, awaited_at)).collect::<Vec<_>>()
    };
    let devices = devices.iter().flat_map(routes);
    let is_full = known.is_some_and(|known| known.record.devices.len() >= DEVICES_CAP);
    Chain { devices: devices.collect(), watch: watch(app, pair, known), added_at, ends_at, is_full }
}

/// A pair as it is listed.
pub fn watch(app: Arc<str>, pair: ListedPair, known: Option<&PairRow>) -> Watch {
    let told = known.and_then(|known| known.record.pushed_at());
    let failed_devices = known.map_or(0, |known| known.record.failed_devices());
    Watch {
        app,
        task: pair.task,
        user: pair.user,
        state: pair.state,
        labels: pair.labels,
        pushed_at: pair.listed_at.or(told),
        last_polled_at: known.and_then(|known| known.polled_at),
        next_poll_at: pair.next_poll_at,
        failed_devices: u32::try_from(failed_devices).unwrap_or(u32::MAX),
    }
}

fn on_route(device: &KnownDevice, route: Route, awaited_at: Option<i64>) -> DeviceChain {
    let standings = device.standings(route, awaited_at);
    // `IMStat` is of the route that `EventType` names.
    let stages = route.stages().iter().filter(|stage| **stage != Stage::Im || route == device.route);
    DeviceChain {
        instance: device.instance.clone(),
        route,
        platform: device.platform_on(route),
        notifications: device.notifications,
        pushed_at: device.pushed_at,
        stages: stages.map(|stage| view(device, (route, *stage), &standings)).collect(),
    }
}

fn view(device: &KnownDevice, (route, stage): (Route, Stage), standings: &[(Stage, Standing)]) -> StageView {
    let known = device.result(route, stage);
    let failed = known.filter(|result| result.outcome == Outcome::Failure);
    let due = standings.iter().find_map(|(at, standing)| match standing {
        Standing::Unreported(minute) if *at == stage => Some(*minute),
        _ => None,
    });
    StageView {
        stage,
        outcome: known.map(|result| result.outcome),
        code: failed.map(|result| result.code),
        reason: failed.and_then(|result| result.reason),
        at: known.and_then(|result| result.at),
        seen_at: known.map(|result| result.seen_at),
        delay_seconds: known.and_then(|result| delay_seconds(device.pushed_at, result.at)),
        awaited: due.is_some(),
        overdue_from: due.filter(|minute| *minute != NEVER_DUE).map(|minute| i64::from(minute) * 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::fold::{KnownResult, Record};
    use crate::schedule::State;
    use crate::trace::{Event, Notifications, Platform, Reason};

    const PUSHED: i64 = 1_790_000_000;

    fn result(route: Route, stage: Stage, outcome: Outcome) -> KnownResult {
        let failed = outcome == Outcome::Failure;
        KnownResult {
            route,
            stage,
            outcome,
            both: false,
            code: if failed { 410 } else { 0 },
            reason: failed.then_some(Reason::InvalidToken),
            at: Some(PUSHED + 2),
            seen_at: PUSHED + 60,
        }
    }

    fn device(results: Vec<KnownResult>) -> KnownDevice {
        KnownDevice {
            instance: "1".to_owned(),
            event: Event::Offline,
            platform: Platform::Vendor(1),
            notifications: Notifications::On,
            route: Route::Offline,
            pushed_at: Some(PUSHED),
            results,
        }
    }

    fn row() -> ListedPair {
        ListedPair {
            row: std::num::NonZero::new(1),
            task: "t".to_owned(),
            user: "u".to_owned(),
            labels: [].into(),
            state: State::Active,
            listed_at: None,
            added_at: Some(PUSHED + 5),
            watch_for: Duration::from_secs(3600),
            next_poll_at: Some(PUSHED + 100),
        }
    }

    #[test]
    fn a_chain_tells_what_is_known_and_what_is_awaited() {
        let good = device(vec![
            result(Route::Offline, Stage::Im, Outcome::Success),
            result(Route::Offline, Stage::Offline, Outcome::Success),
        ]);
        let bad = device(vec![
            result(Route::Offline, Stage::Channel, Outcome::Failure),
            result(Route::Online, Stage::Channel, Outcome::Success),
        ]);
        let record = Record { devices: vec![good, bad], ..Record::default() };
        let polled_at = Some(PUSHED + 60);
        let known = PairRow { id: 1, added_at: PUSHED + 5, polled_at, record, ..PairRow::default() };
        let chain = chain("shop".into(), row(), Some(&known));
        assert_eq!((chain.added_at, chain.ends_at), (PUSHED + 5, PUSHED + 3600));
        let watch = &chain.watch;
        assert_eq!((watch.pushed_at, watch.last_polled_at), (Some(PUSHED), Some(PUSHED + 60)));
        assert_eq!((watch.failed_devices, watch.next_poll_at), (1, Some(PUSHED + 100)));
        let shape: Vec<(Route, usize)> = chain.devices.iter().map(|d| (d.route, d.stages.len())).collect();
        assert_eq!(shape, [(Route::Offline, 5), (Route::Offline, 5), (Route::Online, 2)]);
        let channel = chain.devices[0].stages[2];
        // Overdue five minutes after the stage before, rounded up to the minute.
        let overdue_from = (PUSHED + 2 + 300 + 59) / 60 * 60;
        assert_eq!(
            (channel.outcome, channel.awaited, channel.overdue_from),
            (None, true, Some(overdue_from))
        );
        assert_eq!(
            (chain.devices[0].stages[4].awaited, chain.devices[0].stages[4].overdue_from),
            (true, None)
        );
        let failed = chain.devices[1].stages[2];
        assert_eq!((failed.code, failed.reason), (Some(410), Some(Reason::InvalidToken)));
        assert_eq!((failed.delay_seconds, failed.awaited), (Some(2), false));
        assert!(!chain.devices[1].stages[3].awaited, "nothing comes behind a failure");
        assert_eq!(chain.devices[2].platform, Platform::Im);
    }

    #[test]
    fn a_pair_that_the_ledger_has_not_met_has_no_devices() {
        let chain = chain("shop".into(), ListedPair { row: None, listed_at: Some(PUSHED), ..row() }, None);
        assert_eq!((chain.devices.len(), chain.ends_at), (0, PUSHED + 3600));
        assert_eq!((chain.watch.last_polled_at, chain.watch.pushed_at), (None, Some(PUSHED)));
    }
}
