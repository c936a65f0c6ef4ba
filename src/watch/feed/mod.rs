//! All sources of one app's watch list: looked at when they are due, each keeping its last good list.
//!
//! A source that fails keeps what it gave before, and the time of its last success stands still. A file that is being
//! written is read once it has been the same for [`SETTLE`]. Reading and parsing
//! happen on the threads for blocking work; nothing is spawned that outlives a look. Addresses are asked beside the
//! others, each by a future that the caller drives, so that one that is slow holds up nobody.

mod dial;
mod files;
mod held;
mod http;
#[cfg(test)]
mod http_tests;
mod kept;
mod list_file;
mod pattern;
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
#[cfg(test)]
mod writing_tests;

pub use files::MAX_FILES;
pub use http::TIMEOUT;
pub use kept::Kept;
pub use list_file::SETTLE;
pub use report::{Figures, MAX_MESSAGES, Report};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Entry, Sources};
use crate::sys::{Blocking, run_blocking};
use files::{FilePattern, KnownFiles};
use held::{Held, pairs_of};
use http::{HttpFeed, Looked};
use kept::Given;
use pattern::Pattern;
use report::{SourceAccount, SourceNews};

/// Time between two looks at files; a look asks the file system for the times of each, and reads what changed.
pub const FILES_LOOK: Duration = Duration::from_secs(2);

/// A look at the files of one pattern that takes longer is given up, and a trouble of the source.
pub const FILES_DEADLINE: Duration = Duration::from_secs(20);

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

impl Refreshed {
    /// Both, one after the other.
    #[must_use]
    pub fn and(mut self, mut later: Refreshed) -> Refreshed {
        self.changed |= later.changed;
        self.reports.append(&mut later.reports);
        self
    }
}

/// What asking one address came to.
pub struct Answered {
    index: usize,
    /// Unix ms.
    asked_at: i64,
    looked: Looked,
}

/// All sources of one app.
pub struct Feed {
    fixed: Arc<Vec<Entry>>,
    /// About these.
    fixed_warnings: u64,
    /// Of the entries in the config file itself; taken when it is told.
    untold: Option<SourceAccount>,
    patterns: Vec<Pattern>,
    /// When files are due, Unix ms.
    files_at: i64,
    http: Vec<Address>,
    /// What addresses gave to another feed: those that are gone until all of these here were asked, the others until they
    /// succeed.
    before: Vec<Given>,
}

struct Address {
    feed: HttpFeed,
    account: SourceAccount,
    /// When it is due, Unix ms.
    due_at: i64,
    /// Whether its answer is on its way.
    is_asked: bool,
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
                account: SourceAccount::new(format!("files[{index}]")),
                reader: Blocking::new(FILES_DEADLINE),
            });
        }
        let mut http = Vec::new();
        for (index, source) in sources.http.iter().enumerate() {
            let feed = HttpFeed::new(source, Arc::clone(watch_labels)).map_err(|reason| FeedError::Http {
                index,
                url: source.shown_url(),
                reason,
            })?;
            let account = SourceAccount::new(format!("http[{index}]"));
            http.push(Address { feed, account, due_at: i64::MIN, is_asked: false });
        }
        let untold = (!sources.entries.is_empty()).then(|| SourceAccount::new("static".to_owned()));
        let fixed = Arc::new(sources.entries.clone());
        let fixed_warnings = sources.warnings;
        Ok(Feed { fixed, fixed_warnings, untold, patterns, files_at: i64::MIN, http, before: Vec::new() })
    }

    /// The names that reports use, in the order of [`Feed::lists`].
    pub fn source_names(&self) -> Vec<String> {
        let fixed = (!self.fixed.is_empty()).then(|| "static".to_owned());
        let files = (0..self.patterns.len()).map(|index| format!("files[{index}]"));
        let http = (0..self.http.len()).map(|index| format!("http[{index}]"));
        fixed.into_iter().chain(files).chain(http).collect()
    }

    /// Looks at the files if they are due at `now_millis` (Unix ms). Call it once at the start, then whenever
    /// [`Feed::next_at`] has come. It takes as long as the reading of what changed.
    ///
    /// A call that is dropped before it ends changes nothing: the files are due again.
    pub async fn refresh(&mut self, now_millis: i64) -> Refreshed {
        let files = self.look_at_files(now_millis).await;
        let mut closing = Closing::default();
        if let Some(mut account) = self.untold.take() {
            let (entries, warnings) = (pairs_of(&self.fixed), self.fixed_warnings);
            let figures = Figures { entries, warnings, lists: 1, ..Figures::default() };
            closing.close(&mut account, SourceNews::of_a_change(), (figures, now_millis));
        }
        if let Some(files) = files {
            let is_pending = files.iter().any(|(known, _)| known.is_pending());
            self.files_at = after(now_millis, if is_pending { SETTLE } else { FILES_LOOK });
            for (pattern, (known, news)) in self.patterns.iter_mut().zip(files) {
                pattern.known = Arc::new(known);
                closing.close(&mut pattern.account, news, (pattern.known.figures(), now_millis));
            }
        }
        closing.end().await
    }

    /// Asks each address that is due at `now_millis` (Unix ms) and is not being asked. Nothing happens before these
    /// futures are driven; what each comes to, after [`TIMEOUT`] and the reading at the latest, is for [`Feed::take`],
    /// and until then that address is not asked again.
    pub fn ask(&mut self, now_millis: i64) -> Vec<impl Future<Output = Answered> + Send + use<>> {
        let due = |(_, address): &(usize, &mut Address)| {
            !address.is_asked && is_due(address.due_at, address.feed.refresh(), now_millis)
        };
        let ask = |(index, address): (usize, &mut Address)| {
            address.is_asked = true;
            address.due_at = after(now_millis, address.feed.refresh());
            let feed = address.feed.clone();
            async move { Answered { index, asked_at: now_millis, looked: feed.look().await } }
        };
        self.http.iter_mut().enumerate().filter(due).map(ask).collect()
    }

    /// Takes over what addresses answered to [`Feed::ask`].
    pub async fn take(&mut self, answers: Vec<Answered>) -> Refreshed {
        let mut closing = Closing::default();
        for Answered { index, asked_at, looked } in answers {
            let address = &mut self.http[index];
            address.is_asked = false;
            let news = address.feed.take(looked);
            let before = self.before.iter().find(|given| given.is_of(&address.feed));
            let before = before.filter(|_| news.error().is_some() && !address.account.has_succeeded());
            let held = address.feed.held();
            let entries = before.map_or_else(|| held.pairs(), |given| pairs_of(&given.list));
            let (refused, warnings) = (held.refused(), held.warnings());
            let figures = Figures { entries, refused, warnings, lists: 1, skipped_files: 0 };
            closing.close(&mut address.account, news, (figures, asked_at));
        }
        if self.has_asked_all() {
            let http = &self.http;
            let stays =
                |given: &Given| http.iter().any(|a| given.is_of(&a.feed) && !a.account.has_succeeded());
            let (stay, go): (Vec<_>, Vec<_>) = self.before.drain(..).partition(stays);
            self.before = stay;
            closing.refreshed.changed |= !go.is_empty();
            closing.replaced.extend(go.into_iter().map(|given| given.list));
        }
        closing.end().await
    }

    /// Goes on where another feed ended, which had [`Feed::kept`] that. Files keep their lists. Each address gives what it
    /// gave there until it succeeds here, and what others gave stays until all were asked.
    pub fn go_on(&mut self, before: &Kept) {
        for pattern in &mut self.patterns {
            pattern.go_on(&before.patterns);
        }
        for address in &mut self.http {
            if let Some(given) = before.given.iter().find(|given| given.is_of(&address.feed)) {
                address.account.go_on(given.last_success_at);
            }
        }
        if !self.http.is_empty() {
            self.before.clone_from(&before.given);
        }
    }

    /// True once every address has answered or failed.
    pub fn has_asked_all(&self) -> bool {
        self.http.iter().all(|address| address.account.is_told())
    }

    /// `None` if files are not due. The patterns are looked at side by side: one that hangs holds up no other for longer
    /// than [`FILES_DEADLINE`], and only once.
    async fn look_at_files(&self, now_millis: i64) -> Option<Vec<(KnownFiles, SourceNews)>> {
        if self.patterns.is_empty() || !is_due(self.files_at, FILES_LOOK, now_millis) {
            return None;
        }
        Some(join_all(self.patterns.iter().map(Pattern::look)).await)
    }

    /// When the next source is due (Unix ms; long ago if one was never looked at); `None` if none will be before an
    /// answer comes.
    pub fn next_at(&self) -> Option<i64> {
        let files = (!self.patterns.is_empty()).then_some(self.files_at);
        let http = self.http.iter().filter(|address| !address.is_asked).map(|address| address.due_at).min();
        [files, http].into_iter().flatten().min()
    }

    /// The wall clock was set by so many milliseconds: what is due moves along.
    pub fn shift(&mut self, by_millis: i64) {
        self.files_at = self.files_at.saturating_add(by_millis);
        for address in &mut self.http {
            address.due_at = address.due_at.saturating_add(by_millis);
        }
    }

    /// The lists in force: static, files by the order of their patterns and then of their paths, http. Empty ones are left
    /// out.
    pub fn lists(&self) -> Vec<Arc<Vec<Entry>>> {
        let files = self.patterns.iter().flat_map(|pattern| pattern.known.held()).map(Held::list).cloned();
        let lists = std::iter::once(self.fixed.clone()).chain(files);
        let lists = lists.chain(self.given().into_iter().map(|given| given.list));
        lists.filter(|list| !list.is_empty()).collect()
    }

    /// What the feed that follows after a reload goes on with.
    pub fn kept(&self) -> Kept {
        Kept { given: self.given(), patterns: self.patterns.iter().map(Pattern::keep).collect() }
    }

    fn given(&self) -> Vec<Given> {
        let in_force = |address: &Address| {
            let before = self.before.iter().find(|given| given.is_of(&address.feed));
            let list = before.filter(|_| !address.account.has_succeeded()).map(|given| &given.list);
            let list = list.unwrap_or(address.feed.held().list()).clone();
            let last_success_at = address.account.last_success_at();
            Given { source: Arc::clone(address.feed.source()), list, last_success_at }
        };
        let gone = |given: &&Given| !self.http.iter().any(|address| given.is_of(&address.feed));
        let gone = self.before.iter().filter(gone).cloned();
        self.http.iter().map(in_force).chain(gone).collect()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("sources", &self.source_names()).finish_non_exhaustive()
    }
}

/// Gathers what a refresh tells.
#[derive(Default)]
struct Closing {
    refreshed: Refreshed,
    replaced: Vec<Arc<Vec<Entry>>>,
}

impl Closing {
    /// Of a source that holds that since a look at that time (Unix ms).
    fn close(&mut self, account: &mut SourceAccount, mut news: SourceNews, (figures, at): (Figures, i64)) {
        self.refreshed.changed |= news.changed;
        self.replaced.append(&mut news.replaced);
        self.refreshed.reports.extend(account.close(news, figures, at));
    }

    async fn end(self) -> Refreshed {
        let Closing { refreshed, replaced } = self;
        if !replaced.is_empty() {
            run_blocking(move || drop(replaced)).await;
        }
        refreshed
    }
}

fn after(now_millis: i64, time: Duration) -> i64 {
    now_millis.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// A time further ahead than one interval was told by a clock that has been set back since.
fn is_due(at: i64, interval: Duration, now_millis: i64) -> bool {
    at <= now_millis || at > after(now_millis, interval)
}
