//! The first look at each app's sources, begun before the ledger is open: reading lists and checking a store take a core each.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use crate::config::App;
use crate::watch::feed::{Feed, FeedError, Kept, Refreshed};

use super::round::Round;

/// The sources of one app on their way to its feeder.
pub struct Sources {
    /// Their names, in their order.
    pub names: Vec<String>,
    look: Look,
}

enum Look {
    /// Not looked at yet.
    Due(Box<Round>),
    /// Being looked at; given up if nobody waits for it any more.
    Begun(AbortOnDropHandle<(Round, Refreshed)>),
}

impl Sources {
    /// # Errors
    /// See [`Feed::new`].
    pub fn new(app: &App) -> Result<Sources, FeedError> {
        let feed = Feed::new(&app.watch, &app.watch_labels)?;
        Ok(Sources { names: feed.source_names(), look: Look::Due(Box::new(Round::new(feed))) })
    }

    fn begin(mut self) -> Sources {
        if let Look::Due(round) = self.look {
            self.look = Look::Begun(AbortOnDropHandle::new(tokio::spawn(look(*round))));
        }
        self
    }

    /// The sources and what the first look at them came to, with the answers that are there by now. Where the look has not
    /// begun, the sources go on where those `before` a reload ended.
    pub async fn looked_at(self, before: &Kept) -> (Round, Refreshed) {
        match self.look {
            Look::Due(mut round) => {
                round.feed.go_on(before);
                look(*round).await
            }
            Look::Begun(begun) => match begun.await {
                Ok((mut round, refreshed)) => {
                    let refreshed = refreshed.and(round.take().await);
                    (round, refreshed)
                }
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => std::future::pending().await, // The runtime ends, and whoever waits ends with it.
                },
            },
        }
    }
}

async fn look(mut round: Round) -> (Round, Refreshed) {
    let refreshed = round.look().await;
    (round, refreshed)
}

/// The sources of apps, by app.
#[derive(Default)]
pub struct FirstLooks(BTreeMap<Arc<str>, Sources>);

impl FirstLooks {
    /// The sources of all apps. Reads the files that HTTP sources name: blocks.
    ///
    /// # Errors
    /// The sources that cannot be used as they are configured, a line each.
    pub fn of(apps: &[App]) -> Result<FirstLooks, String> {
        let mut looks = FirstLooks::default();
        let mut faults = Vec::new();
        for app in apps {
            match Sources::new(app) {
                Ok(sources) => drop(looks.0.insert(app.name.clone(), sources)),
                Err(error) => faults.push(format!("app {}: {error}", app.name)),
            }
        }
        if faults.is_empty() { Ok(looks) } else { Err(faults.join("\n")) }
    }

    /// Begins to look at all of them.
    pub fn begin(self) -> FirstLooks {
        FirstLooks(self.0.into_iter().map(|(name, sources)| (name, sources.begin())).collect())
    }

    /// The sources of `app`, looked at or not.
    ///
    /// # Errors
    /// See [`Feed::new`].
    pub fn take(&mut self, app: &App) -> Result<Sources, FeedError> {
        self.0.remove(&app.name).map_or_else(|| Sources::new(app), Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn apps(folder: &Path, sources: &str) -> Vec<App> {
        let text = format!(
            "apps:\n- name: shop\n  sdk_app_id: 1400000001\n  region: singapore\n  secret_key_file: key\n  watch: {sources}\n"
        );
        std::fs::write(folder.join("key"), "a key of sixteen").unwrap();
        crate::config::parse(&text, &folder.join("config.yaml")).unwrap().apps
    }

    /// What is read is what stood there when the look began: nobody had asked for it yet.
    #[tokio::test]
    async fn a_look_goes_on_while_nobody_waits_for_it_and_is_handed_over_with_what_it_found() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.csv");
        std::fs::write(&list, "task,user\nt,a\nt,b\n").unwrap();
        let apps = apps(folder.path(), "{files: [list.csv]}");
        let mut looks = FirstLooks::of(&apps).unwrap().begin();
        let Some(Sources { look: Look::Begun(begun), .. }) = looks.0.get("shop") else {
            panic!("a look has begun");
        };
        while !begun.is_finished() {
            tokio::task::yield_now().await;
        }
        std::fs::remove_file(&list).unwrap();
        let sources = looks.take(&apps[0]).unwrap();
        assert_eq!(sources.names, ["files[0]"]);
        let (round, refreshed) = sources.looked_at(&Kept::default()).await;
        assert!(refreshed.changed);
        assert_eq!(round.feed.lists()[0][0].users, ["a", "b"]);
        // Taken once; the next one who asks looks anew.
        let (round, _) = looks.take(&apps[0]).unwrap().looked_at(&Kept::default()).await;
        assert!(round.feed.lists().is_empty());
    }

    #[tokio::test]
    async fn sources_that_cannot_be_used_are_told_by_whoever_takes_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("none.pem"), "no certificate").unwrap();
        let source = "{http: [{url: 'https://lists.invalid/', tls_config: {ca_file: none.pem}}]}";
        let apps = apps(folder.path(), source);
        let fault = FirstLooks::of(&apps).err().unwrap();
        assert!(fault.starts_with("app shop: watch.http[0]: ") && fault.contains("none.pem"), "{fault}");
    }
}
