//! Sets of watch labels on disk: their sums where they have retired, and whether they have.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::ValueRef;

use crate::watch::LabelSet;

use super::seal;
use super::store::{Store, StoreError};
use super::sums::{Of, RETURNED, labels_text, load_sets};
use super::tally::{AppTally, SetKey, SetTally};

impl Store {
    /// The sums of a set of labels that has retired, or has never had any; `None` where they are damaged: then they stay as
    /// they are, and the set stays away.
    pub(super) fn retired(
        &mut self,
        app: i64,
        labels: &LabelSet,
    ) -> Result<Option<BTreeMap<SetKey, Arc<SetTally>>>, StoreError> {
        let text = labels_text(labels);
        let of = Of::One(app, &text);
        let mut apps = BTreeMap::from([(app, Default::default())]);
        let read = load_sets(&self.db, of, &mut apps);
        let sets = apps.remove(&app).map_or_else(BTreeMap::new, |(_, tally): (String, AppTally)| tally.sets);
        match read.and_then(|()| seal::verify_sets(&self.db, of, app, &sets)) {
            Ok(()) => Ok(Some(sets)),
            Err(StoreError::Sqlite(error)) => Err(error.into()),
            Err(error) => {
                if self.damaged_labels.insert((app, text)) {
                    tracing::error!(%error, "ledger: sums that had retired are damaged; results count under other labels");
                }
                Ok(None)
            }
        }
    }

    /// Writes when a set of labels came back last.
    pub(super) fn set_returned(&self, app: i64, now: i64) -> Result<(), StoreError> {
        let (name, value) = (format!("{RETURNED}{app}"), now.to_string());
        let row = [ValueRef::Text(name.as_bytes()), ValueRef::Blob(value.as_bytes())];
        Ok(seal::put_row(&self.db, "meta", &row)?)
    }

    /// Writes when a pair was last watched with a set of labels, and whether the set has retired.
    pub(super) fn set_label_set(
        &self,
        app: i64,
        labels: &LabelSet,
        (watched_at, is_retired): (i64, bool),
    ) -> Result<(), StoreError> {
        let text = labels_text(labels);
        let values = [
            ValueRef::Integer(app),
            ValueRef::Text(text.as_bytes()),
            ValueRef::Integer(watched_at),
            ValueRef::Integer(is_retired.into()),
        ];
        Ok(seal::put_row(&self.db, "label_set", &values)?)
    }
}
