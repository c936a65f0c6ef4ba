//! How a poller is reached: lists, settings, queries, dismissal.
//!
//! Only lists and queries make their senders wait; a reload sends neither.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::budget::Share;
use crate::config::App;
use crate::sys::lock;

use super::in_force::NewList;
use super::list_scan::PollerQuery;

/// Lists that may wait for a poller.
const LISTS_CAP: usize = 8;
/// Queries that may wait for one poller; who has more waits.
const QUERIES_CAP: usize = 8;

/// What a poller hears from.
pub struct Inbox {
    pub lists: mpsc::Receiver<NewList>,
    pub queries: mpsc::Receiver<PollerQuery>,
    pub settings: SettingsSlot,
    /// The app left the configuration: its pairs are removed, and the poller ends.
    pub dismissed: CancellationToken,
}

/// The other end of an inbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub lists: mpsc::Sender<NewList>,
    pub queries: mpsc::Sender<PollerQuery>,
    pub settings: SettingsSlot,
    pub dismissed: CancellationToken,
}

/// Both ends.
pub fn inbox() -> (Outbox, Inbox) {
    let (lists, new_lists) = mpsc::channel(LISTS_CAP);
    let (queries, asked) = mpsc::channel(QUERIES_CAP);
    let (settings, dismissed) = (SettingsSlot::default(), CancellationToken::new());
    let inbox =
        Inbox { lists: new_lists, queries: asked, settings: settings.clone(), dismissed: dismissed.clone() };
    (Outbox { lists, queries, settings, dismissed }, inbox)
}

/// A changed configuration of an app.
#[derive(Debug)]
pub struct NewSettings {
    pub app: App,
    /// Where it belongs to another host or SDKAppID now.
    pub budget: Option<Share>,
}

/// Holds the latest settings until the poller takes them, so that whoever changes them never waits for it.
#[derive(Clone, Debug, Default)]
pub struct SettingsSlot(Arc<Slot>);

#[derive(Debug, Default)]
struct Slot {
    latest: Mutex<Option<NewSettings>>,
    put: Notify,
}

impl SettingsSlot {
    /// Replaces what is not taken yet; a budget that came with it stays, where no other one comes.
    pub fn put(&self, settings: NewSettings) {
        let mut latest = lock(&self.0.latest);
        let before = latest.take().and_then(|before| before.budget);
        *latest = Some(NewSettings { budget: settings.budget.or(before), ..settings });
        drop(latest);
        self.0.put.notify_one();
    }

    /// Waits for settings and takes them. It may be dropped and called again.
    pub async fn take(&self) -> NewSettings {
        loop {
            if let Some(settings) = lock(&self.0.latest).take() {
                return settings;
            }
            self.0.put.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures_util::FutureExt;

    use super::*;
    use crate::budget::Budgets;

    fn app(rate: u32) -> App {
        let text = format!(
            "apps: [{{name: shop, sdk_app_id: 7, region: seoul, secret_key_env: PATH, requests_per_second: {rate}}}]"
        );
        crate::config::parse(&text, Path::new("c.yaml")).unwrap().apps.remove(0)
    }

    #[tokio::test]
    async fn the_latest_settings_are_taken_once_and_with_the_budget_that_came_before() {
        let folder = tempfile::tempdir().unwrap();
        let share =
            |app: &App| Budgets::new(folder.path().into()).open(&app.budget_key(), &app.name, 1.0).unwrap();
        let slot = SettingsSlot::default();
        assert!(slot.take().now_or_never().is_none());
        slot.put(NewSettings { budget: Some(share(&app(1))), app: app(1) });
        slot.put(NewSettings { budget: None, app: app(2) });
        let taken = slot.take().await;
        assert!(taken.budget.is_some());
        assert_eq!(taken.app, app(2));
        assert!(slot.take().now_or_never().is_none());
        // Whoever waits already is woken.
        let waiting = {
            let slot = slot.clone();
            tokio::spawn(async move { slot.take().await.app })
        };
        slot.put(NewSettings { budget: None, app: app(3) });
        assert_eq!(waiting.await.unwrap(), app(3));
    }
}
