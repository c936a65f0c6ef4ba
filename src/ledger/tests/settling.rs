//! What settles a pair, by histories of its polls.

use super::super::fold::{DEVICES_CAP, Record, Standing, fold};
use super::super::settle::{Lags, Outlook, outlook};
use super::super::{AppTally, Ended, PairRow};
use super::{PUSHED, polled};
use crate::trace::{Device, Event, Leaf, Notifications, Outcome, Platform, Reason, Route, Stage, Trace};
use crate::watch::LabelSet;

use Outcome::{Failure as Failed, Success as Ok};
use Stage::{Channel, Click, Device as Receipt, Im, Offline};

/// A stage, its outcome, and when it happened: seconds after the push, or nothing.
type Result = (Stage, Outcome, Option<i64>);
/// What an answer shows: event, results.
type Element<'a> = (Event, &'a [Result]);

const ON: Event = Event::Online;
const OFF: Event = Event::Offline;

fn element(instance: &str, (event, results): Element<'_>) -> Device {
    let route = if event == ON { Route::Online } else { Route::Offline };
    let leaf = |(stage, outcome, at): &Result| Leaf {
        route,
        stage: *stage,
        outcome: *outcome,
        code: 0,
        reason: (*outcome == Failed).then_some(Reason::Unknown),
        at: at.map(|at| PUSHED + at),
    };
    Device {
        instance: instance.to_owned(),
        event,
        platform: if event == ON { Platform::Im } else { Platform::Vendor(1) },
        notifications: Notifications::On,
        pushed_at: Some(PUSHED),
        leaves: results.iter().map(leaf).collect(),
    }
}

fn answer(elements: &[Element<'_>]) -> Trace {
    Trace { devices: elements.iter().map(|of| element("1", *of)).collect(), ..Trace::default() }
}

/// Polls at that many seconds after the push, what they show, and the outlook after each: `Unconfirmed` as the second
/// from which a poll settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Open,
    Until(i64),
    Settled,
}
use After::{Open, Settled, Until};

type History<'a> = &'a [(i64, &'a [Element<'a>], After)];

fn play(name: &str, history: History<'_>) {
    let mut record = Record::default();
    for (second, elements, expected) in history {
        let (trace, at) = (answer(elements), PUSHED + second);
        fold(&mut record, &trace, at);
        let after = match outlook(&record, &trace, at, &Lags::default()) {
            Outlook::Open => Open,
            Outlook::Unconfirmed { poll_from } => Until(poll_from - PUSHED),
            Outlook::Settled => Settled,
        };
        assert_eq!(after, *expected, "{name}, {second} s after the push");
    }
}

const TAPPED: &[Result] = &[
    (Im, Ok, Some(1)),
    (Offline, Ok, Some(1)),
    (Channel, Ok, Some(2)),
    (Receipt, Ok, Some(3)),
    (Click, Ok, Some(5)),
];
const TAPPED_FIRST: &[Result] =
    &[(Im, Ok, Some(1)), (Offline, Ok, Some(1)), (Channel, Ok, Some(2)), (Click, Ok, Some(5))];
const SHOWN: &[Result] = &[(Im, Ok, Some(300)), (Channel, Ok, Some(300)), (Receipt, Ok, Some(301))];
const REFUSED: &[Result] = &[(Im, Ok, Some(300)), (Offline, Ok, Some(300)), (Channel, Failed, Some(326))];
const SENT: &[Result] = &[(Im, Ok, Some(1)), (Offline, Ok, Some(1)), (Channel, Ok, Some(2))];

#[test]
fn what_settles_a_pair() {
    let stories: &[(&str, History<'_>)] = &[
        ("nothing is shown", &[(60, &[], Open), (90_000, &[], Open)]),
        ("a tap may still come", &[(60, &[(OFF, SENT)], Open), (90_000, &[(OFF, SENT)], Open)]),
        ("an element without results", &[(60, &[(OFF, &[])], Open), (700, &[(OFF, &[])], Open)]),
        ("tapped at once", &[(5, &[(OFF, TAPPED)], Until(35)), (35, &[(OFF, TAPPED)], Settled)]),
        (
            "a poll before its time settles nothing and puts nothing off",
            &[
                (5, &[(OFF, TAPPED)], Until(35)),
                (34, &[(OFF, TAPPED)], Until(35)),
                (50, &[(OFF, TAPPED)], Settled),
            ],
        ),
        (
            "a large task: the other route fails when the push is five minutes old",
            &[
                (302, &[(ON, SHOWN)], Until(332)),
                (332, &[(ON, SHOWN), (OFF, REFUSED)], Until(362)),
                (362, &[(ON, SHOWN), (OFF, REFUSED)], Settled),
            ],
        ),
        (
            "the other route is on its way",
            &[(302, &[(ON, SHOWN)], Until(332)), (332, &[(ON, SHOWN), (OFF, SENT)], Open)],
        ),
        (
            "a receipt after the tap",
            &[
                (8, &[(OFF, TAPPED_FIRST)], Until(38)),
                (38, &[(OFF, TAPPED)], Until(68)),
                (68, &[(OFF, TAPPED)], Settled),
            ],
        ),
        (
            "the receipt never comes",
            &[(8, &[(OFF, TAPPED_FIRST)], Until(38)), (40, &[(OFF, TAPPED_FIRST)], Settled)],
        ),
        ("polled late: all happened long ago", &[(700, &[(OFF, TAPPED)], Settled)]),
        ("polled rather late", &[(590, &[(OFF, TAPPED)], Until(605)), (605, &[(OFF, TAPPED)], Settled)]),
        (
            "without times the polls count",
            &[
                (90_000, &[(OFF, &[(Click, Ok, None)])], Until(90_030)),
                (90_030, &[(OFF, &[(Click, Ok, None)])], Settled),
            ],
        ),
        (
            "another try succeeds",
            &[
                (330, &[(OFF, REFUSED)], Until(360)),
                (360, &[(OFF, &[(Channel, Ok, Some(350))])], Open),
                (400, &[(OFF, &[(Channel, Ok, Some(350)), (Click, Ok, Some(390))])], Until(430)),
            ],
        ),
        ("one of two devices waits", &[(700, &[(ON, SHOWN), (OFF, SENT)], Open)]),
        ("the answer that confirms may be empty", &[(5, &[(OFF, TAPPED)], Until(35)), (35, &[], Settled)]),
        (
            "the clock was a day ahead when the results were seen",
            &[
                (86_400, &[(OFF, &[(Click, Ok, None)])], Until(86_430)),
                (60, &[(OFF, &[(Click, Ok, None)])], Settled),
            ],
        ),
    ];
    for (name, history) in stories {
        play(name, history);
    }
}

/// `unreported` by stage, and devices overdue for a receipt a day later.
fn awaited(pair: &PairRow) -> (Vec<Stage>, u64) {
    let mut tally = AppTally::default();
    tally.enter(&LabelSet::from([]), pair);
    let sets = tally.sets.values().map(|set| set.stage(Receipt).overdue(PUSHED + 86_400));
    let device = &pair.record.devices[0];
    let standings = device.standings(Route::Offline, pair.awaited_at());
    let stages =
        standings.iter().filter(|(_, s)| matches!(s, Standing::Unreported(_))).map(|(stage, _)| *stage);
    let found: (Vec<Stage>, u64) = (stages.collect(), sets.sum());
    let gauges = tally
        .sets
        .values()
        .map(|set| Stage::ALL.map(|stage| set.stage(stage).unreported()).iter().sum::<u64>());
    assert_eq!(gauges.sum::<u64>(), found.0.len() as u64);
    tally.leave(&LabelSet::from([]), pair);
    assert!(
        tally.sets.values().all(|set| Stage::ALL.iter().all(|stage| set.stage(*stage).unreported() == 0))
    );
    found
}

#[test]
fn what_is_settled_leaves_the_gauges_of_what_is_awaited() {
    let mut record = Record::default();
    fold(&mut record, &answer(&[(OFF, TAPPED_FIRST)]), PUSHED + 8);
    assert_eq!(awaited(&polled(record.clone(), PUSHED + 8)), (vec![Receipt], 1), "it may still come");
    assert_eq!(awaited(&polled(record.clone(), PUSHED + 38)), (vec![], 0));
    // Also while another device of the pair is open, and where an earlier version settled it sooner.
    fold(&mut record, &answer(&[(ON, &[(Im, Ok, Some(1))])]), PUSHED + 38);
    assert_eq!(outlook(&record, &Trace::default(), PUSHED + 38, &Lags::default()), Outlook::Open);
    let settled = PairRow { ended: Some(Ended::Settled), ..polled(record, PUSHED + 8) };
    assert_eq!(awaited(&settled), (vec![], 0));
}

#[test]
fn a_pair_with_more_devices_than_are_kept_settles_too() {
    let mut record = Record::default();
    for at in 0..DEVICES_CAP {
        let open = Trace { devices: vec![element(&at.to_string(), (OFF, SENT))], ..Trace::default() };
        fold(&mut record, &open, PUSHED + 5);
        assert_eq!(outlook(&record, &open, PUSHED + 700, &Lags::default()), Outlook::Open);
    }
    let device = |name: &str, results| element(name, (OFF, results));
    let known = Trace { devices: vec![device("7", SENT), device("new", TAPPED)], ..Trace::default() };
    assert!(record.leaves_out(&known.devices[1]) && !record.leaves_out(&known.devices[0]));
    fold(&mut record, &known, PUSHED + 700);
    assert_eq!(record.devices.len(), DEVICES_CAP);
    assert_eq!(
        outlook(&record, &known, PUSHED + 700, &Lags::default()),
        Outlook::Open,
        "one that it shows waits"
    );
    assert_eq!(
        outlook(&record, &Trace::default(), PUSHED + 700, &Lags::default()),
        Outlook::Open,
        "nothing is shown"
    );
    let complete = Trace { devices: vec![device("7", TAPPED), device("new", TAPPED)], ..Trace::default() };
    fold(&mut record, &complete, PUSHED + 700);
    assert_eq!(outlook(&record, &complete, PUSHED + 700, &Lags::default()), Outlook::Settled);
}

/// What the app's polls have taught says how long a receipt after the tap, and the other route, are waited for.
#[test]
fn what_is_missing_is_waited_for_as_long_as_it_may_take() {
    let lags = Lags { answer: Some(700), receipt: vec![(Platform::Vendor(1), 180)] };
    let from = |elements: &[Element<'_>], second: i64, lags: &Lags| {
        let (trace, mut record) = (answer(elements), Record::default());
        fold(&mut record, &trace, PUSHED + second);
        match outlook(&record, &trace, PUSHED + second, lags) {
            Outlook::Unconfirmed { poll_from } => poll_from - PUSHED,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(from(&[(OFF, TAPPED_FIRST)], 8, &lags), 2 + 180, "from the vendor's answer");
    assert_eq!(from(&[(OFF, TAPPED_FIRST)], 8, &Lags::default()), 8 + 30, "nothing is known");
    assert_eq!(from(&[(OFF, TAPPED)], 8, &lags), 8 + 30, "the receipt is there");
    assert_eq!(
        from(&[(OFF, TAPPED_FIRST)], 170, &lags),
        170 + 30,
        "a result just seen is waited for all the same"
    );
    let long = Lags { receipt: vec![(Platform::Vendor(1), 5_000)], ..Lags::default() };
    assert_eq!(from(&[(OFF, TAPPED_FIRST)], 8, &long), 5 + 600, "nothing follows so old an event");
    assert_eq!(from(&[(ON, SHOWN)], 302, &lags), 700, "the other route, from the push");
    assert_eq!(from(&[(ON, SHOWN), (OFF, REFUSED)], 330, &lags), 700, "each element is waited for by itself");
    let other = Lags { receipt: vec![(Platform::Vendor(2), 180)], ..Lags::default() };
    assert_eq!(from(&[(OFF, TAPPED_FIRST)], 8, &other), 8 + 30, "another vendor's");
}
