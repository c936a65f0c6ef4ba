//! What the list files of a checked config hold, read as the daemon reads them; no address is asked.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::{App, Config};
use crate::document::{Fault, Faults, Warnings, format_duration};
use crate::watch::feed::{FILES_LOOK, Feed, FeedError, Figures};
use crate::watch::{Entry, Sources};

/// How often the files of an app are read at most: one that is being written is read again when it may be done.
const MAX_READS: usize = 4;

/// The watch lists of all apps that can be known without asking anybody.
#[derive(Debug, Default)]
pub struct Lists {
    /// In the order of the apps.
    pub(super) apps: Vec<Listed>,
    /// What is odd about them, a line each.
    pub(super) warnings: Vec<String>,
}

/// The lists of one app.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Pairs of task and user in `watch.static` and in files, each counted once.
    pub pairs: usize,
    /// Files that hold lists.
    pub files: u64,
    /// Pairs whose push was longer ago than `watch_for`.
    too_old: usize,
}

impl Lists {
    /// Those of `watch.static` alone; reads no file.
    pub fn of_static(config: &Config) -> Lists {
        let listed = |app: &App| Listed { pairs: app.static_pairs(), ..Listed::default() };
        Lists { apps: config.apps.iter().map(listed).collect(), warnings: Vec::new() }
    }

    /// Reads the list files of all apps, one app after the other, and makes ready what the daemon would ask HTTP sources
    /// with.
    ///
    /// # Errors
    /// Sources that cannot be used as they are configured: the daemon would not start.
    pub async fn read(config: &Config) -> Result<Lists, Faults> {
        let mut lists = Lists::default();
        let mut warnings = Warnings::default();
        let mut faults = Faults { file: config.file.display().to_string(), ..Faults::default() };
        for (index, app) in config.apps.iter().enumerate() {
            let place = format!("apps[{index}]");
            match feed_of(app) {
                Ok(feed) => {
                    let read = read_files(feed).await;
                    read.warn(&place, &mut lists.warnings);
                    let listed = Listed::of(app, &read, jiff::Timestamp::now().as_second());
                    listed.warn(app, &place, &mut warnings);
                    lists.apps.push(listed);
                }
                Err(error) => faults.list.push(Fault { place, text: error.to_string() }),
            }
        }
        lists.warnings.extend(warnings.lines());
        if faults.list.is_empty() { Ok(lists) } else { Err(faults) }
    }
}

/// The static and file sources of an app. Those that need a client are made ready and not asked.
fn feed_of(app: &App) -> Result<Feed, FeedError> {
    Feed::new(&Sources { http: app.watch.http.clone(), ..Sources::default() }, &app.watch_labels)?;
    Feed::new(&Sources { http: Vec::new(), ..app.watch.clone() }, &app.watch_labels)
}

/// What the files of an app hold.
struct Read {
    lists: Vec<Arc<Vec<Entry>>>,
    /// The latest of each source.
    figures: BTreeMap<String, Figures>,
    /// With the source before each.
    messages: Vec<String>,
}

/// Reads the files of an app until none of them may be half of a write.
async fn read_files(mut feed: Feed) -> Read {
    let mut read = Read { lists: Vec::new(), figures: BTreeMap::new(), messages: Vec::new() };
    for _ in 0..MAX_READS {
        let now = jiff::Timestamp::now().as_millisecond();
        for report in feed.refresh(now).await.reports {
            let lines = report.messages.iter().map(|line| format!("{}: {line}", report.source));
            read.messages.extend(lines);
            read.figures.insert(report.source, report.figures);
        }
        let wait = feed.next_at().and_then(|at| u64::try_from(at - now).ok()).map(Duration::from_millis);
        match wait.filter(|wait| *wait < FILES_LOOK) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => break,
        }
    }
    read.lists = feed.lists();
    read
}

impl Read {
    fn warn(&self, place: &str, warnings: &mut Vec<String>) {
        warnings.extend(self.messages.iter().map(|line| format!("{place}.watch.{line}")));
        for (source, figures) in &self.figures {
            // That no file matches is told by the source itself.
            if figures.lists > 0 && figures.entries == 0 && figures.refused == 0 {
                warnings.push(format!("{place}.watch.{source}: lists no pair"));
            }
        }
    }
}

impl Listed {
    /// What is known of an app at `now` (Unix seconds).
    fn of(app: &App, read: &Read, now: i64) -> Listed {
        let watch_for = app.watch_for.as_secs();
        let files = read.figures.iter().filter(|(source, _)| source.starts_with("files"));
        let mut listed = Listed { files: files.map(|(_, figures)| figures.lists).sum(), ..Listed::default() };
        let mut seen = HashSet::new();
        for entry in read.lists.iter().flat_map(|list| list.iter()) {
            let too_old = entry.pushed_at.is_some_and(|at| at.saturating_add_unsigned(watch_for) <= now);
            let users = entry.users.iter().filter(|user| seen.insert((entry.task.as_str(), user.as_str())));
            let pairs = users.count();
            listed.pairs += pairs;
            listed.too_old += if too_old { pairs } else { 0 };
        }
        listed
    }

    fn warn(&self, app: &App, place: &str, warnings: &mut Warnings) {
        let Self { pairs, too_old, .. } = self;
        if *too_old > 0 {
            let watch_for = format_duration(app.watch_for);
            let text = format!(
                "{too_old} of {pairs} pairs were pushed longer ago than watch_for ({watch_for}); they are not polled"
            );
            warnings.note(text, || format!("{place}.watch"));
        }
        let taken = app.max_pairs;
        if *pairs > taken && app.static_pairs() <= taken {
            let text =
                format!("is {taken}, but static and files list {pairs} pairs: the rest will be refused");
            warnings.note(text, || format!("{place}.max_pairs"));
        }
    }
}
