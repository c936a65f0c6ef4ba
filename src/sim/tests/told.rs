//! The population without a wire: names, times, fates and shapes.
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::sim::{
    OutageKind, OutageOrder, PopulationOptions,
    answer::{Moment, element_of},
    calendar::MICROS,
    delivery::{Delivery, Outage},
    population::{Blank, Population},
    vendor::VENDORS,
    words::{Route, Stage},
};

const START: i64 = 1_800_000_000 * MICROS;

fn shape(tasks: u32, users_per_task: u32) -> PopulationOptions {
    PopulationOptions { tasks, users_per_task, push_span: Duration::from_secs(1_000), past_share: 0.4 }
}

fn population(options: &PopulationOptions) -> Population<'_> {
    Population { start_micros: START, ..Population::new(7, 1_400_000_001, options) }
}

fn all(population: &Population, outages: &[Outage]) -> Vec<Delivery> {
    let pairs = (0..population.options.tasks)
        .flat_map(|task| (0..population.options.users_per_task).map(move |user| (task, user)));
    pairs.flat_map(|(task, user)| population.deliveries(task, user, outages)).collect()
}

fn at(now_micros: i64) -> Moment {
    Moment { now_micros, zone_offset_seconds: 8 * 3_600 }
}

const END: i64 = i64::MAX;

#[test]
fn names_lead_back_to_their_owners_and_differ_between_apps() {
    let options = shape(40, 120);
    let population = population(&options);
    let tasks: BTreeSet<String> = (0..40).map(|task| population.task_id(task)).collect();
    assert_eq!(tasks.len(), 40);
    assert!((0..40).all(|task| population.task_index(&population.task_id(task)) == Some(task)));
    assert!((0..120).all(|user| population.user_index(&population.user_id(user)) == Some(user)));
    assert!(population.task_id(4).starts_with("batch_"));
    assert_eq!(population.user_id(49), "用户_000049");
    for stranger in ["", "_", "x_000001", "user_000120", "user_1", "user_000049"] {
        assert_eq!(population.user_index(stranger), None, "{stranger}");
    }
    let forged = population.task_id(3).replace('_', "__");
    assert_eq!(
        (population.task_index(&forged), population.task_index("_000001"), population.task_index("")),
        (None, None, None)
    );
    let other = Population::new(7, 1_400_000_002, &options);
    assert_eq!(population.task_index(&other.task_id(3)), None);
    assert_ne!(population.devices(5)[0].instance_id, other.devices(5)[0].instance_id);
}

#[test]
fn pushes_are_spread_over_the_span_on_both_sides_of_the_start() {
    let options = shape(10, 1);
    let population = population(&options);
    let offsets: Vec<i64> = (0..10).map(|task| population.pushed_at(task) - START / MICROS).collect();
    assert_eq!(offsets, [-1_000, -750, -500, -250, 0, 166, 333, 500, 666, 833]);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let options = shape(3, 40);
    let told = |seed, app| {
        let population = Population { start_micros: START, ..Population::new(seed, app, &options) };
        let elements = all(&population, &[])
            .iter()
            .map(|delivery| element_of(delivery, at(END)).unwrap().json)
            .collect::<Vec<_>>();
        serde_json::to_string(&elements).unwrap()
    };
    assert_eq!(told(1, 2), told(1, 2));
    assert_ne!(told(1, 2), told(2, 2));
    assert_ne!(told(1, 2), told(1, 3));
}

#[test]
fn fates_have_the_shares_of_the_world_that_was_measured() {
    let options = shape(40, 400);
    let population = population(&options);
    let all = all(&population, &[]);
    let count = |keep: &dyn Fn(&&Delivery) -> bool| all.iter().filter(keep).count() as f64;
    let result = |delivery: &Delivery, stage| delivery.seen(stage, END).map(|event| event.failure.is_none());

    let devices: f64 = (0..400).map(|user| population.devices(user).len() as f64).sum::<f64>() * 40.0;
    let online = count(&|delivery| delivery.route == Route::Online);
    assert!((online / devices - 0.25).abs() < 0.02, "online {}", online / devices);
    assert!(all.len() as f64 > devices, "some devices get both");

    for vendor in &VENDORS {
        let of =
            |delivery: &&Delivery| delivery.route == Route::Offline && delivery.platform() == vendor.platform;
        let sent = count(&|delivery| of(delivery) && result(delivery, Stage::Channel).is_some());
        let refused = count(&|delivery| of(delivery) && result(delivery, Stage::Channel) == Some(false));
        assert!(sent > 300.0, "platform {}: {sent}", vendor.platform);
        let share = refused / sent;
        assert!((0.03..0.35).contains(&share), "platform {}: refused {share}", vendor.platform);
        let reached = count(&|delivery| of(delivery) && result(delivery, Stage::Device).is_some());
        let silent = 1.0 - reached / (sent - refused);
        let wanted = if vendor.platform == 4 { 1.0..1.01 } else { 0.06..0.18 };
        assert!(wanted.contains(&silent), "platform {}: silent {silent}", vendor.platform);
    }
    let taps = count(&|delivery| result(delivery, Stage::Click).is_some());
    assert!((0.02..0.05).contains(&(taps / all.len() as f64)), "taps {taps}");
    let early = count(&|delivery| result(delivery, Stage::Offline) == Some(false));
    assert!(
        (0.02..0.035).contains(&(early / (all.len() as f64 - online))),
        "no certificate or token: {early}"
    );
}

#[test]
fn a_failure_ends_the_chain_and_time_runs_forward() {
    let options = shape(10, 300);
    let mut codes: BTreeMap<(u8, Stage), BTreeSet<i64>> = BTreeMap::new();
    for delivery in all(&population(&options), &[]) {
        let mut last = delivery.dispatched_micros;
        assert!(last >= delivery.pushed_at * MICROS);
        let mut failed = false;
        for stage in delivery.route.stages() {
            if let Some(event) = delivery.seen(*stage, END) {
                assert!(!failed, "{delivery:?}");
                assert!(event.at_micros >= last, "{delivery:?}");
                (last, failed) = (event.at_micros, event.failure.is_some());
                if let Some(failure) = event.failure {
                    codes.entry((delivery.platform(), *stage)).or_default().insert(failure.code);
                }
            }
        }
        let clicked = delivery.seen(Stage::Click, END).is_some();
        assert!(!clicked || delivery.device.notifications_on && delivery.route == Route::Offline);
    }
    assert!(codes[&(1, Stage::Channel)].is_superset(&BTreeSet::from([400, 410])));
    assert!(codes[&(3, Stage::Device)].len() > 3 && codes[&(3, Stage::Channel)].contains(&80_300_007));
    assert_eq!(codes[&(1, Stage::Offline)], BTreeSet::from([-1, -2]));
    assert!(codes.keys().all(|(platform, stage)| *stage != Stage::Device || [3, 8].contains(platform)));
}

#[test]
fn nothing_is_shown_before_its_time() {
    let options = shape(4, 60);
    for delivery in all(&population(&options), &[]) {
        assert!(element_of(&delivery, at(delivery.dispatched_micros - 1)).is_none());
        let mut shown = element_of(&delivery, at(delivery.dispatched_micros)).unwrap().notes.len();
        for stage in delivery.route.stages() {
            let Some(event) = delivery.seen(*stage, END) else {
                continue;
            };
            let before = element_of(&delivery, at(event.at_micros - 1)).unwrap();
            assert!(before.notes.iter().all(|note| note.stage != *stage));
            let after = element_of(&delivery, at(event.at_micros)).unwrap();
            assert!(after.notes.iter().any(|note| note.stage == *stage));
            assert!(after.notes.len() > shown);
            shown = after.notes.len();
        }
    }
}

#[test]
fn what_is_not_reported_takes_three_shapes() {
    let options = shape(2, 60);
    let mut seen = BTreeSet::new();
    for delivery in all(&population(&options), &[]).iter().filter(|delivery| delivery.route == Route::Offline)
    {
        let json = element_of(delivery, at(delivery.dispatched_micros)).unwrap().json;
        let (im, offline) = (json.get("IMCommitStat"), json.get("OfflinePushStat"));
        match delivery.device.blank {
            Blank::LeafMissing => {
                assert_eq!((im, offline), (Some(&serde_json::json!({})), Some(&serde_json::json!({}))))
            }
            Blank::ObjectMissing => assert_eq!((im, offline, json.get("OnlinePushStat")), (None, None, None)),
            Blank::Zero => {
                let zero =
                    serde_json::json!({"PushStatus": 0, "ErrorCode": 0, "ErrorInfo": "", "EventTime": ""});
                assert_eq!(im.unwrap()["IMStat"], zero);
                assert!(
                    ["OfflineStat", "ChannelStat", "DeviceStat", "ClickStat"]
                        .iter()
                        .all(|leaf| offline.unwrap()[leaf] == zero)
                );
                assert_eq!(json["OnlinePushStat"]["DeviceStat"], zero);
            }
        }
        seen.insert(format!("{:?}", delivery.device.blank));
        let spelled = [json.contains_key("LastActiveTerminal"), json.contains_key("last_active_terminal")];
        assert!(spelled[0] != spelled[1]);
        seen.insert(format!("spelled as the table {}", spelled[0]));
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

/// Every delivery before and after an outage of Huawei, and the time of that outage.
fn struck(population: &Population, kind: OutageKind) -> (Vec<(Delivery, Delivery)>, std::ops::Range<i64>) {
    let during = population.pushed_at(1) * MICROS..(population.pushed_at(4) + 60) * MICROS;
    let order = OutageOrder { platform: 3, kind, sdk_app_id: Some(population.sdk_app_id) };
    let outage = Outage { order, from_micros: during.start, until_micros: during.end };
    let plain = all(population, &[]);
    let elsewhere = Outage { order: OutageOrder { sdk_app_id: Some(1), ..order }, ..outage };
    assert_eq!(format!("{plain:?}"), format!("{:?}", all(population, &[elsewhere])));
    (plain.into_iter().zip(all(population, &[outage])).collect(), during)
}

#[test]
fn a_failing_vendor_refuses_what_it_is_sent_meanwhile() {
    let options = shape(10, 150);
    let (deliveries, during) = struck(&population(&options), OutageKind::Fail);
    let mut refused = 0;
    for (before, after) in deliveries {
        let sent = before.seen(Stage::Channel, END).filter(|event| during.contains(&event.at_micros));
        match sent.filter(|_| before.platform() == 3) {
            Some(sent) => {
                let event = after.seen(Stage::Channel, END).unwrap();
                assert_eq!((event.failure.unwrap().code, event.at_micros), (81_000_001, sent.at_micros));
                assert_eq!((after.seen(Stage::Device, END), after.seen(Stage::Click, END)), (None, None));
                refused += 1;
            }
            None => assert_eq!(format!("{before:?}"), format!("{after:?}")),
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn a_silent_vendor_takes_all_and_loses_what_should_be_heard_meanwhile() {
    let options = shape(10, 150);
    let (deliveries, during) = struck(&population(&options), OutageKind::Silent);
    let mut lost = 0;
    for (before, after) in deliveries {
        let meanwhile = |stage| {
            before
                .seen(stage, END)
                .is_some_and(|event| before.platform() == 3 && during.contains(&event.at_micros))
        };
        assert_eq!(after.seen(Stage::Channel, END), before.seen(Stage::Channel, END));
        if meanwhile(Stage::Device) {
            assert_eq!((after.seen(Stage::Device, END), after.seen(Stage::Click, END)), (None, None));
            lost += 1;
        } else if !meanwhile(Stage::Click) {
            assert_eq!(format!("{before:?}"), format!("{after:?}"));
        }
    }
    assert!(lost > 10, "{lost}");
}

#[test]
fn a_few_tasks_are_wholly_broken_at_one_vendor() {
    let options = shape(100, 60);
    let mut sent: BTreeMap<(i64, u8), (u32, BTreeSet<i64>)> = BTreeMap::new();
    for delivery in
        all(&population(&options), &[]).iter().filter(|delivery| [1, 3].contains(&delivery.platform()))
    {
        if let Some(event) = delivery.seen(Stage::Channel, END) {
            let (count, codes) = sent.entry((delivery.pushed_at, delivery.platform())).or_default();
            *count += 1;
            codes.insert(event.failure.map_or(0, |failure| failure.code));
        }
    }
    let credential = |platform| BTreeSet::from([if platform == 1 { 403 } else { 80_200_001 }]);
    let broken = sent.iter().filter(|((_, platform), (_, codes))| *codes == credential(*platform)).count();
    assert_eq!(sent.len(), 200);
    assert!(sent.values().all(|(count, _)| *count > 3));
    assert!((2..14).contains(&broken), "{broken} of 200");
}
