//! All sources of one app's watch list: looked at when they are due, each keeping its last good list.
//!
//! A source that fails keeps what it gave before, and the time of its last success stands still. Reading and parsing
//! happen on the threads for blocking work; nothing is spawned that outlives a look.

mod dial;
mod files;
mod held;
mod http;
#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod peer;
mod report;
mod stamp;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod whole_tests;

pub use files::MAX_FILES;
pub use http::TIMEOUT;
pub use report::{MAX_MESSAGES, Report};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::{Entry, Sources};
use files::{FilePattern, Known};
use held::{Held, pairs_of};
use http::{HttpFeed, Looked};
use report::{Account, News};

/// Time between two looks at files; a look asks the file system for the times of each, and reads what changed.
pub const FILES_LOOK: Duration = Duration::from_secs(2);

/// A source cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Not a pattern of files.
    #[error("watch.files[{index}]: {} {reason}", pattern.display())]
    Pattern { index: usize, pattern: PathBuf, reason: String },
    /// No client for this address; `url` is shown without its query.
    #[error("watch.http[{index}]: {url}: {reason}")]
    Http { index: usize, url: String, reason: String },
}

/// What a look at the sources came to.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// [`Feed::lists`] differs from before.
    pub changed: bool,
    /// Of sources looked at, where there is something new to tell.
    pub reports: Vec<Report>,
}

/// All sources of one app.
pub struct Feed {
    fixed: Arc<Vec<Entry>>,
    /// Of the entries in the config file itself; taken when it is told.
    untold: Option<Account>,
    patterns: Vec<Pattern>,
    /// When files are due, Unix ms.
    files_at: i64,
    http: Vec<Address>,
}

struct Pattern {
    files: Arc<FilePattern>,
    known: Arc<Known>,
    account: Account,
}

struct Address {
    feed: HttpFeed,
    account: Account,
    /// When it is due, Unix ms.
    due_at: i64,
}

impl Feed {
    /// Builds the HTTP clients, for which it reads the files of `tls_config`; reads no list yet. All sources are due.
    ///
    /// # Errors
    /// The first source that cannot be used as it is configured.
    pub fn new(sources: &Sources, watch_labels: &Arc<[Box<str>]>) -> Result<Feed, FeedError> {
        let mut patterns = Vec::new();
        for (index, pattern) in sources.files.iter().enumerate() {
            let files = FilePattern::new(pattern, Arc::clone(watch_labels))
                .map_err(|reason| FeedError::Pattern { index, pattern: pattern.clone(), reason })?;
            patterns.push(Pattern {
                files: Arc::new(files),
                known: Arc::default(),
                account: Account::new(format!("files[{index}]")),
            });
        }
        let mut http = Vec::new();
        for (index, source) in sources.http.iter().enumerate() {
            let feed = HttpFeed::new(source, Arc::clone(watch_labels)).map_err(|reason| FeedError::Http {
                index,
                url: source.shown_url(),
                reason,
            })?;
            http.push(Address { feed, account: Account::new(format!("http[{index}]")), due_at: i64::MIN });
        }
        let untold = (!sources.entries.is_empty()).then(|| Account::new("static".to_owned()));
        Ok(Feed { fixed: Arc::new(sources.entries.clone()), untold, patterns, files_at: i64::MIN, http })
    }

    /// The names that reports use, in the order of [`Feed::lists`].
    pub fn source_names(&self) -> Vec<String> {
        let fixed = (!self.fixed.is_empty()).then(|| "static".to_owned());
        let files = (0..self.patterns.len()).map(|index| format!("files[{index}]"));
        let http = (0..self.http.len()).map(|index| format!("http[{index}]"));
        fixed.into_iter().chain(files).chain(http).collect()
    }

    /// Looks at every source that is due at `now_millis` (Unix ms), all addresses at once. Call it once at the start,
    /// then whenever [`Feed::next_at`] has come. It takes no longer than [`TIMEOUT`] and the reading of what changed.
    ///
    /// A call that is dropped before it ends changes nothing: the same sources are due again.
    pub async fn refresh(&mut self, now_millis: i64) -> Refreshed {
        let files = self.look_at_files(now_millis);
        let http = join_all(self.http.iter().map(|address| address.look(now_millis)));
        let (files, http) = join(files, http).await;
        let mut closing = Closing { now_millis, refreshed: Refreshed::default(), replaced: Vec::new() };
        if let Some(mut account) = self.untold.take() {
            closing.close(&mut account, News::of_a_change(), pairs_of(&self.fixed));
        }
        if let Some(files) = files {
            self.files_at = after(now_millis, FILES_LOOK);
            for (pattern, (known, news)) in self.patterns.iter_mut().zip(files) {
                pattern.known = Arc::new(known);
                let pairs = pattern.known.held().map(Held::pairs).sum();
                closing.close(&mut pattern.account, news, pairs);
            }
        }
        for (address, looked) in self.http.iter_mut().zip(http) {
            let Some(looked) = looked else { continue };
            address.due_at = after(now_millis, address.feed.refresh());
            let news = address.feed.take(looked);
            let pairs = address.feed.held().pairs();
            closing.close(&mut address.account, news, pairs);
        }
        let replaced = closing.replaced;
        if !replaced.is_empty() {
            blocking(move || drop(replaced)).await;
        }
        closing.refreshed
    }

    /// `None` if files are not due, or while the runtime shuts down.
    async fn look_at_files(&self, now_millis: i64) -> Option<Vec<(Known, News)>> {
        if self.patterns.is_empty() || !is_due(self.files_at, FILES_LOOK, now_millis) {
            return None;
        }
        let patterns: Vec<_> = self
            .patterns
            .iter()
            .map(|pattern| (Arc::clone(&pattern.files), Arc::clone(&pattern.known)))
            .collect();
        blocking(move || patterns.iter().map(|(files, known)| files.look(known)).collect()).await
    }

    /// When the next source is due (Unix ms; long ago if one was never looked at); `None` if no source ever changes.
    pub fn next_at(&self) -> Option<i64> {
        let files = (!self.patterns.is_empty()).then_some(self.files_at);
        let http = self.http.iter().map(|address| address.due_at).min();
        [files, http].into_iter().flatten().min()
    }

    /// The wall clock was set by so many milliseconds: what is due moves along.
    pub fn shift(&mut self, by_millis: i64) {
        self.files_at = self.files_at.saturating_add(by_millis);
        for address in &mut self.http {
            address.due_at = address.due_at.saturating_add(by_millis);
        }
    }

    /// The lists in force: static, files by the order of their patterns and then of their paths, http. Empty ones are
    /// left out.
    pub fn lists(&self) -> Vec<Arc<Vec<Entry>>> {
        let files = self.patterns.iter().flat_map(|pattern| pattern.known.held());
        let http = self.http.iter().map(|address| address.feed.held());
        let fixed = std::iter::once(&self.fixed);
        fixed.chain(files.chain(http).map(Held::list)).filter(|list| !list.is_empty()).cloned().collect()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("sources", &self.source_names()).finish_non_exhaustive()
    }
}

impl Address {
    async fn look(&self, now_millis: i64) -> Option<Looked> {
        if is_due(self.due_at, self.feed.refresh(), now_millis) { self.feed.look().await } else { None }
    }
}

/// Gathers what a refresh tells.
struct Closing {
    now_millis: i64,
    refreshed: Refreshed,
    replaced: Vec<Arc<Vec<Entry>>>,
}

impl Closing {
    fn close(&mut self, account: &mut Account, mut news: News, pairs: u64) {
        self.refreshed.changed |= news.changed;
        self.replaced.append(&mut news.replaced);
        let report = account.close(news, pairs, self.now_millis);
        self.refreshed.reports.extend(report);
    }
}

fn after(now_millis: i64, time: Duration) -> i64 {
    now_millis.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// A time further ahead than one interval was told by a clock that has been set back since.
fn is_due(at: i64, interval: Duration, now_millis: i64) -> bool {
    at <= now_millis || at > after(now_millis, interval)
}

/// Runs work that blocks on the threads for such work; `None` if the runtime shuts down before it began.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}
