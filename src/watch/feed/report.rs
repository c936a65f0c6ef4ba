//! What a look at a source brings, and what of it is told.

use std::sync::Arc;

use super::super::{Entry, Parsed};

/// How many lines one report holds for the log; a last line counts the others.
pub const MAX_MESSAGES: usize = 50;

/// What a source came to, told when it is new or differs from what was told before.
///
/// The time of the last success moves with every look that succeeds, so that a source that works is told of at each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `static`, `files[0]` or `http[0]` by the order in the config file: never a path or URL.
    pub source: String,
    pub figures: Figures,
    /// When it was last looked at without any trouble, Unix seconds.
    pub last_success_at: Option<i64>,
    /// Pairs refused since the report before: those of a new content beyond as many as its last one had.
    pub newly_refused: u64,
    /// New lines for the log, at most [`MAX_MESSAGES`] and two that count the others: refused entries, and whatever else.
    /// They name paths, and URLs
    /// without their query; they hold no secret.
    pub messages: Vec<String>,
    /// What is wrong now: the first trouble, and how many more there are. `None` if the look succeeded.
    pub error: Option<String>,
}

/// What a source holds as of its latest read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Pairs of task and user in its lists in force, those written twice counted twice.
    pub entries: u64,
    /// Pairs of its latest lists that were refused, whether the lists came into force or not.
    pub refused: u64,
    /// Places in its latest lists that were taken with a warning.
    pub warnings: u64,
    /// Lists that it consists of: the files that match its pattern; 1 for any other source.
    pub lists: u64,
    /// Files that match its pattern and are no lists by their names.
    pub skipped_files: u64,
}

/// Everything that one look at one source brings.
#[derive(Debug, Default)]
pub(super) struct SourceNews {
    /// A list differs from the one before.
    pub(super) changed: bool,
    pub(super) newly_refused: u64,
    /// Lists no longer in force; dropping a long one takes a while, which is not for the threads that poll.
    pub(super) replaced: Vec<Arc<Vec<Entry>>>,
    messages: Vec<String>,
    untold: u64,
    untold_refused: u64,
    first_trouble: Option<String>,
    troubles: u64,
}

impl SourceNews {
    /// A list is there that was not.
    pub(super) fn of_a_change() -> SourceNews {
        SourceNews { changed: true, ..SourceNews::default() }
    }

    /// A line for the log.
    pub(super) fn tell(&mut self, message: String) {
        if self.messages.len() < MAX_MESSAGES {
            self.messages.push(message);
        } else {
            self.untold += 1;
        }
    }

    /// The refused entries of a list: as many as there is room for, the others are counted.
    pub(super) fn tell_refused(&mut self, shown: &str, parsed: &Parsed) {
        let room = MAX_MESSAGES - self.messages.len();
        let told = parsed.refused.iter().take(room).map(|line| format!("{shown}: {line}"));
        let before = self.messages.len();
        self.messages.extend(told);
        self.untold_refused += parsed.refused_entries - (self.messages.len() - before) as u64;
    }

    /// Something that is wrong now; it makes the look no success. The log is told by [`SourceNews::tell`] where it is new.
    pub(super) fn trouble(&mut self, text: String) {
        self.troubles += 1;
        self.first_trouble.get_or_insert(text);
    }

    fn into_messages(mut self) -> Vec<String> {
        if self.untold_refused > 0 {
            self.messages.push(format!("and {} more entries are refused", self.untold_refused));
        }
        if self.untold > 0 {
            self.messages.push(format!("and {} more messages", self.untold));
        }
        self.messages
    }

    /// The first trouble, and how many more there are.
    pub(super) fn error(&self) -> Option<String> {
        let first = self.first_trouble.as_ref()?;
        Some(match self.troubles {
            1 => first.clone(),
            troubles => format!("{first} (and {} more troubles)", troubles - 1),
        })
    }
}

/// What is known and was told of one source.
#[derive(Debug)]
pub(super) struct SourceAccount {
    source: String,
    last_success_at: Option<i64>,
    has_succeeded: bool,
    told: Option<(Figures, Option<i64>, Option<String>)>,
}

impl SourceAccount {
    pub(super) fn new(source: String) -> SourceAccount {
        SourceAccount { source, last_success_at: None, has_succeeded: false, told: None }
    }

    /// Goes on where another account ended, with the time of its last success.
    pub(super) fn go_on(&mut self, last_success_at: Option<i64>) {
        self.last_success_at = last_success_at;
    }

    pub(super) fn last_success_at(&self) -> Option<i64> {
        self.last_success_at
    }

    /// Whether a look of its own succeeded.
    pub(super) fn has_succeeded(&self) -> bool {
        self.has_succeeded
    }

    /// Whether a look was told of.
    pub(super) fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// Takes over what a look at `now` (Unix ms) brought; a report if there is anything to tell.
    pub(super) fn close(&mut self, news: SourceNews, figures: Figures, now_millis: i64) -> Option<Report> {
        let error = news.error();
        if error.is_none() {
            self.last_success_at = Some(now_millis.div_euclid(1000));
            self.has_succeeded = true;
        }
        let state = (figures, self.last_success_at, error.clone());
        let same = self.told.as_ref() == Some(&state);
        if same && news.newly_refused == 0 && news.messages.is_empty() {
            return None;
        }
        self.told = Some(state);
        Some(Report {
            source: self.source.clone(),
            figures,
            last_success_at: self.last_success_at,
            newly_refused: news.newly_refused,
            messages: news.into_messages(),
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_beyond_the_cap_are_counted() {
        let mut news = SourceNews::default();
        for number in 0..MAX_MESSAGES + 7 {
            news.tell(number.to_string());
        }
        let report =
            SourceAccount::new("files[0]".to_owned()).close(news, Figures::default(), 1_999).unwrap();
        assert_eq!(report.messages.len(), MAX_MESSAGES + 1);
        assert_eq!(report.messages.last().unwrap(), "and 7 more messages");
        assert_eq!((report.last_success_at, report.error), (Some(1), None));
    }

    #[test]
    fn refused_entries_beyond_the_cap_are_counted_as_such() {
        let mut news = SourceNews::default();
        let parsed = |refused: usize, refused_entries: u64| Parsed {
            refused: (1..=refused).map(|line| format!("line {line}: is empty")).collect(),
            refused_entries,
            ..Parsed::default()
        };
        news.tell_refused("a.csv", &parsed(MAX_MESSAGES - 5, 45));
        news.tell_refused("b.csv", &parsed(100, 1_000_000));
        news.tell("c.csv: is gone".to_owned());
        let messages = news.into_messages();
        assert_eq!(messages[0], "a.csv: line 1: is empty");
        assert_eq!(
            messages[MAX_MESSAGES - 1..],
            ["b.csv: line 5: is empty", "and 999995 more entries are refused", "and 1 more messages"]
        );
    }

    #[test]
    fn the_same_is_told_once_and_trouble_stops_the_time_of_success() {
        let mut account = SourceAccount::new("files[0]".to_owned());
        let three = Figures { entries: 3, ..Figures::default() };
        assert!(account.close(SourceNews::default(), three, 1_000).is_some());
        assert!(account.close(SourceNews::default(), three, 1_900).is_none(), "the same second");
        assert!(account.close(SourceNews::default(), three, 2_000).is_some());
        let bad = || {
            let mut news = SourceNews::default();
            for text in ["a", "b", "c"] {
                news.trouble(text.to_owned());
            }
            news
        };
        let report = account.close(bad(), three, 3_000).unwrap();
        assert_eq!(report.error.as_deref(), Some("a (and 2 more troubles)"));
        assert_eq!(report.last_success_at, Some(2));
        assert!(account.close(bad(), three, 4_000).is_none());
    }
}
