//! The push families as text, straight from a snapshot: they grow with apps, so nothing is built per series.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::names;
use super::sum::add_set;
use super::text::{
    app_label, close, close_with, close_with_number, escape, family, histogram, label, open, open_label,
};
use crate::ledger::{
    AppTally, Closed, CodeLabel, DELIVERY_BOUNDS_SECONDS, DETECTION_BOUNDS_SECONDS, Ended, PlatformLabel,
    STAGE_DELAY_BOUNDS_SECONDS, SetTally, Snapshot, StageTally,
};
use crate::trace::{Notifications, Outcome, Route, Stage};

/// Room made at first for the text of one set: some 40 series of 120 bytes. Only a guess to spare copies.
const SET_BYTES: usize = 5000;

/// What the labels before the value of `stage` end with.
const STAGE_LABEL: &str = ",stage=\"";

/// How one app's push metrics are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushView {
    pub app: Arc<str>,
    /// Label names configured now, in their order; valid label names, none of [`names::RESERVED_LABELS`]. Values
    /// kept under other names are left out, and sets that become equal by that are added up.
    pub watch_labels: Arc<[Box<str>]>,
}

/// The sets of all listed apps, their labels written once.
pub(super) struct Page<'a> {
    apps: Vec<(&'a str, Option<&'a AppTally>)>,
    sets: Vec<Shown<'a>>,
    now: i64,
}

/// One set with its labels as text: `head` up to the value of `stage`, `tail` from behind it.
struct Shown<'a> {
    app: &'a str,
    route: Route,
    head: String,
    tail: String,
    tally: Cow<'a, SetTally>,
}

impl<'a> Page<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, views: &'a [PushView], now: i64) -> Page<'a> {
        let mut page = Page { apps: Vec::with_capacity(views.len()), sets: Vec::new(), now };
        for view in views {
            let tally = snapshot.apps.get(&view.app).map(Arc::as_ref);
            page.apps.push((&view.app, tally));
            if let Some(tally) = tally {
                project(&mut page.sets, view, tally);
            }
        }
        page
    }

    /// Appends all push families that have samples. `folded` is how many API failures each app counted under the code
    /// `other`.
    pub(super) fn write(&self, out: &mut String, folded: &[(String, u64)]) {
        out.reserve(self.sets.len() * SET_BYTES);
        family(out, &names::STAGE_RESULTS, |out| self.results(out));
        family(out, &names::STAGE_FAILURES, |out| self.failures(out));
        family(out, &names::STAGE_DEVICES, |out| self.stage_devices(out));
        family(out, &names::STAGE_OVERDUE_DEVICES, |out| self.overdue(out));
        family(out, &names::STAGE_DELAY, |out| self.delays(out));
        family(out, &names::SAMPLE_RESULTS, |out| self.sample_results(out));
        family(out, &names::SAMPLE_CLOSED_DEVICES, |out| self.closed_devices(out));
        family(out, &names::SAMPLE_DELIVERY, |out| self.deliveries(out));
        family(out, &names::DETECTION_DELAY, |out| self.detection(out));
        family(out, &names::DEVICES, |out| self.devices(out));
        family(out, &names::PAIRS_ENDED, |out| self.ended(out));
        family(out, &names::SERIES_OVERFLOW, |out| self.overflow(out, folded));
        family(out, &names::LABEL_SETS_RETURNED, |out| self.returned(out));
    }

    fn stages(&self) -> impl Iterator<Item = (&Shown<'a>, Stage, &StageTally)> {
        self.sets.iter().flat_map(|set| {
            let stages = set.route.stages().iter();
            stages.map(move |stage| (set, *stage, set.tally.stage(*stage)))
        })
    }

    fn results(&self, out: &mut String) {
        for (set, stage, tally) in self.stages() {
            for outcome in Outcome::ALL {
                set.open(out, names::STAGE_RESULTS.name, stage);
                close_with(out, "outcome", outcome.as_str(), tally.result(outcome));
            }
        }
    }

    fn sample_results(&self, out: &mut String) {
        for (set, stage, _) in self.stages() {
            for outcome in Outcome::ALL {
                set.open(out, names::SAMPLE_RESULTS.name, stage);
                let results = &set.tally.sample.results[stage as usize];
                close_with(out, "outcome", outcome.as_str(), results[outcome as usize]);
            }
        }
    }

    fn closed_devices(&self, out: &mut String) {
        for set in &self.sets {
            for closed in Closed::ALL {
                open(out, names::SAMPLE_CLOSED_DEVICES.name);
                set.labels_without_stage(out);
                close_with(out, "result", closed.as_str(), set.tally.sample.closed[closed as usize]);
            }
        }
    }

    fn deliveries(&self, out: &mut String) {
        for set in &self.sets {
            let labels = |out: &mut String| set.labels_without_stage(out);
            let delivery = &set.tally.sample.delivery;
            histogram(out, names::SAMPLE_DELIVERY.name, DELIVERY_BOUNDS_SECONDS, labels, delivery);
        }
    }

    fn failures(&self, out: &mut String) {
        for (set, stage, tally) in self.stages() {
            for ((reason, code), n) in &tally.failures {
                set.open(out, names::STAGE_FAILURES.name, stage);
                label(out, "reason", reason.as_str());
                match code {
                    CodeLabel::Code(code) => close_with_number(out, "code", *code, *n),
                    CodeLabel::Other => close_with(out, "code", "other", *n),
                }
            }
        }
    }

    fn stage_devices(&self, out: &mut String) {
        for (set, stage, tally) in self.stages() {
            let known = Outcome::ALL.map(|outcome| (outcome.as_str(), tally.devices[outcome as usize]));
            for (state, n) in known.into_iter().chain([("unreported", tally.unreported())]) {
                set.open(out, names::STAGE_DEVICES.name, stage);
                close_with(out, "state", state, n);
            }
        }
    }

    fn overdue(&self, out: &mut String) {
        for (set, stage, tally) in self.stages() {
            set.open(out, names::STAGE_OVERDUE_DEVICES.name, stage);
            close(out, tally.overdue(self.now));
        }
    }

    fn delays(&self, out: &mut String) {
        for (set, stage, tally) in self.stages() {
            let labels = |out: &mut String| set.labels(out, stage);
            histogram(out, names::STAGE_DELAY.name, STAGE_DELAY_BOUNDS_SECONDS, labels, &tally.delay);
        }
    }

    fn detection(&self, out: &mut String) {
        for (app, tally) in &self.apps {
            let Some(tally) = tally else { continue };
            let labels = |out: &mut String| app_label(out, app);
            histogram(out, names::DETECTION_DELAY.name, DETECTION_BOUNDS_SECONDS, labels, &tally.detection);
        }
    }

    /// `timpush_devices` has no route, so the sets of both routes with the same other labels are one.
    fn devices(&self, out: &mut String) {
        let mut sums: BTreeMap<(&str, &str), [u64; 3]> = BTreeMap::new();
        for set in &self.sets {
            let sum = sums.entry((set.app, set.tail.as_str())).or_default();
            for notifications in Notifications::ALL {
                sum[notifications as usize] += set.tally.devices(notifications);
            }
        }
        for ((app, tail), sum) in sums {
            for notifications in Notifications::ALL {
                open(out, names::DEVICES.name);
                app_label(out, app);
                out.push_str(tail);
                close_with(out, "notifications", notifications.as_str(), sum[notifications as usize]);
            }
        }
    }

    fn ended(&self, out: &mut String) {
        for (app, tally) in &self.apps {
            for reason in Ended::ALL {
                open(out, names::PAIRS_ENDED.name);
                app_label(out, app);
                close_with(out, "reason", reason.as_str(), tally.map_or(0, |t| t.ended[reason as usize]));
            }
        }
    }

    fn returned(&self, out: &mut String) {
        for (app, tally) in &self.apps {
            let at = tally.map_or(0, |tally| tally.label_sets_returned_at);
            open(out, names::LABEL_SETS_RETURNED.name);
            app_label(out, app);
            close(out, u64::try_from(at).unwrap_or(0));
        }
    }

    fn overflow(&self, out: &mut String, folded: &[(String, u64)]) {
        let mut sums: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (app, tally) in &self.apps {
            for (metric, n) in tally.iter().flat_map(|t| &t.overflow) {
                *sums.entry((app, metric)).or_default() += n;
            }
        }
        for (app, failures) in folded {
            *sums.entry((app, names::API_FAILURES.name)).or_default() += failures;
        }
        for ((app, metric), n) in sums {
            open(out, names::SERIES_OVERFLOW.name);
            app_label(out, app);
            close_with(out, "metric", metric, n);
        }
    }
}

/// Adds the sets of one app under the label names configured now.
fn project<'a>(shown: &mut Vec<Shown<'a>>, view: &'a PushView, tally: &'a AppTally) {
    let mut sets: BTreeMap<(Route, PlatformLabel, Vec<&'a str>), Cow<'a, SetTally>> = BTreeMap::new();
    for (key, set) in &tally.sets {
        let value = |name: &str| {
            let found = key.labels.iter().find(|(n, _)| **n == *name);
            found.map_or("", |(_, value)| &**value)
        };
        let values = view.watch_labels.iter().map(|name| value(name)).collect();
        sets.entry((key.route, key.platform, values))
            .and_modify(|sum| add_set(sum.to_mut(), set))
            .or_insert(Cow::Borrowed(&**set));
    }
    for ((route, platform, values), tally) in sets {
        let mut head = String::new();
        app_label(&mut head, &view.app);
        label(&mut head, "route", route.as_str());
        head.push_str(STAGE_LABEL);
        let mut tail = String::new();
        match platform {
            PlatformLabel::Of(platform) => label(&mut tail, "platform", &platform.to_string()),
            PlatformLabel::Other => label(&mut tail, "platform", "other"),
        }
        for (name, value) in view.watch_labels.iter().zip(values) {
            open_label(&mut tail, name);
            escape(&mut tail, value);
            tail.push('"');
        }
        shown.push(Shown { app: &view.app, route, head, tail, tally });
    }
}

impl Shown<'_> {
    fn labels_without_stage(&self, out: &mut String) {
        out.push_str(self.head.strip_suffix(STAGE_LABEL).unwrap_or(&self.head));
        out.push_str(&self.tail);
    }

    fn labels(&self, out: &mut String, stage: Stage) {
        out.push_str(&self.head);
        out.push_str(stage.as_str());
        out.push('"');
        out.push_str(&self.tail);
    }

    fn open(&self, out: &mut String, name: &str, stage: Stage) {
        open(out, name);
        self.labels(out, stage);
    }
}
