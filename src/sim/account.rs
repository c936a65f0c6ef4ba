//! The account: which distinct results were handed out, kept as one small mask a device.
use std::collections::{BTreeMap, HashMap};

use super::{
    report::{FailureSum, ResultSum, Sums},
    rng::{blend, number_of},
    words::{Note, Route, Stage, platform_label},
};

/// App, route, stage, platform.
type Place = (u64, Route, Stage, Option<i64>);

/// Sums of results, without a memory of whom they came from.
#[derive(Debug, Default)]
pub(super) struct Tally {
    devices: u64,
    /// By place and whether it is a failure.
    results: BTreeMap<(Place, bool), u64>,
    /// By place and code.
    failures: BTreeMap<(Place, i64), u64>,
}

impl Tally {
    pub(super) fn add_device(&mut self) {
        self.devices += 1;
    }

    pub(super) fn add(&mut self, sdk_app_id: u64, note: &Note) {
        let place = (sdk_app_id, note.route, note.stage, note.platform);
        *self.results.entry((place, note.failure.is_some())).or_default() += 1;
        if let Some(code) = note.failure {
            *self.failures.entry((place, code)).or_default() += 1;
        }
    }

    pub(super) fn sums(&self) -> Sums {
        let results = self.results.iter().map(|(((app, route, stage, platform), failed), count)| ResultSum {
            sdk_app_id: *app,
            route: route.label().to_owned(),
            stage: stage.label().to_owned(),
            platform: platform_label(*platform).into_owned(),
            outcome: if *failed { "failure" } else { "success" }.to_owned(),
            count: *count,
        });
        let failures =
            self.failures.iter().map(|(((app, route, stage, platform), code), count)| FailureSum {
                sdk_app_id: *app,
                route: route.label().to_owned(),
                stage: stage.label().to_owned(),
                platform: platform_label(*platform).into_owned(),
                code: *code,
                count: *count,
            });
        Sums { devices: self.devices, results: results.collect(), failures: failures.collect() }
    }
}

/// The account of what was handed out.
#[derive(Debug, Default)]
pub(super) struct ResultAccount {
    /// A number for (app, task, user, InstanceId, EventType), and a bit for each (route, stage, outcome).
    devices: HashMap<u64, u32>,
    tally: Tally,
}

impl ResultAccount {
    /// Enters what one answer showed of a pair (see `population::pair_number`); what is in the account already changes nothing.
    pub(super) fn enter(&mut self, sdk_app_id: u64, pair: u64, notes: &[Note]) {
        for note in notes {
            let device = blend(&[sdk_app_id, pair, number_of(&note.instance_id), u64::from(note.event_type)]);
            let mask = self.devices.entry(device).or_insert_with(|| {
                self.tally.add_device();
                0
            });
            let bit = 1
                << ((note.route as u32 * Stage::COUNT as u32 + note.stage as u32) * 2
                    + u32::from(note.failure.is_some()));
            if *mask & bit == 0 {
                *mask |= bit;
                self.tally.add(sdk_app_id, note);
            }
        }
    }

    pub(super) fn sums(&self) -> Sums {
        self.tally.sums()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(stage: Stage, failure: Option<i64>) -> Note {
        Note {
            instance_id: "7".into(),
            event_type: 1,
            route: Route::Offline,
            stage,
            platform: Some(9),
            failure,
        }
    }

    #[test]
    fn a_result_counts_once_and_outcomes_apart() {
        let mut account = ResultAccount::default();
        let notes = [note(Stage::Im, None), note(Stage::Channel, Some(410)), note(Stage::Im, None)];
        account.enter(5, 1, &notes);
        account.enter(5, 1, &notes);
        assert_eq!(
            (account.sums().devices, account.sums().total("success"), account.sums().total("failure")),
            (1, 1, 1)
        );
        assert_eq!(account.sums().failures[0].platform, "platform_9");
        assert_eq!(account.sums().failures[0].code, 410);
        account.enter(5, 2, &notes);
        account.enter(6, 1, &notes[..1]);
        account.enter(5, 1, &[note(Stage::Im, Some(3))]);
        assert_eq!(
            (account.sums().devices, account.sums().total("success"), account.sums().total("failure")),
            (3, 3, 3)
        );
    }
}
