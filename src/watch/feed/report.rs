//! What a look at a source brings, and what of it is told.

use std::sync::Arc;

use super::super::Entry;

/// How many lines one report holds for the log; a last line counts the others.
pub const MAX_MESSAGES: usize = 50;

/// What a source came to, told when it is new or differs from what was told before.
///
/// The time of the last success moves with every look that succeeds, so that a source that works is told of at each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `static`, `files[0]` or `http[0]` by the order in the config file: never a path or URL.
    pub source: String,
    /// Pairs of task and user in its lists in force, those written twice counted twice.
    pub entries: u64,
    /// When it was last looked at without any trouble, Unix seconds.
    pub last_success_at: Option<i64>,
    /// Pairs refused since the report before: those of a new content beyond as many as its last one had.
    pub refused: u64,
    /// New lines for the log, at most [`MAX_MESSAGES`] and one that counts the others. They name paths, and URLs
    /// without their query; they hold no secret.
    pub messages: Vec<String>,
    /// What is wrong now: the first trouble, and how many more there are. `None` if the look succeeded.
    pub error: Option<String>,
}

/// Everything that one look at one source brings.
#[derive(Debug, Default)]
pub(super) struct News {
    /// A list differs from the one before.
    pub(super) changed: bool,
    pub(super) refused: u64,
    /// Lists no longer in force; dropping a long one takes a while, which is not for the threads that poll.
    pub(super) replaced: Vec<Arc<Vec<Entry>>>,
    messages: Vec<String>,
    untold: u64,
    first_trouble: Option<String>,
    troubles: u64,
}

impl News {
    /// A list is there that was not.
    pub(super) fn of_a_change() -> News {
        News { changed: true, ..News::default() }
    }

    /// A line for the log.
    pub(super) fn tell(&mut self, message: String) {
        if self.messages.len() < MAX_MESSAGES {
            self.messages.push(message);
        } else {
            self.untold += 1;
        }
    }

    /// Something that is wrong now; it makes the look no success. The log is told by [`News::tell`] where it is new.
    pub(super) fn trouble(&mut self, text: String) {
        self.troubles += 1;
        self.first_trouble.get_or_insert(text);
    }

    fn into_messages(mut self) -> Vec<String> {
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
pub(super) struct Account {
    source: String,
    last_success_at: Option<i64>,
    has_succeeded: bool,
    told: Option<(u64, Option<i64>, Option<String>)>,
}

impl Account {
    pub(super) fn new(source: String) -> Account {
        Account { source, last_success_at: None, has_succeeded: false, told: None }
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
    pub(super) fn close(&mut self, news: News, entries: u64, now_millis: i64) -> Option<Report> {
        let error = news.error();
        if error.is_none() {
            self.last_success_at = Some(now_millis.div_euclid(1000));
            self.has_succeeded = true;
        }
        let figures = (entries, self.last_success_at, error.clone());
        let same = self.told.as_ref() == Some(&figures);
        if same && news.refused == 0 && news.messages.is_empty() {
            return None;
        }
        self.told = Some(figures);
        Some(Report {
            source: self.source.clone(),
            entries,
            last_success_at: self.last_success_at,
            refused: news.refused,
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
        let mut news = News::default();
        for number in 0..MAX_MESSAGES + 7 {
            news.tell(number.to_string());
        }
        let report = Account::new("files[0]".to_owned()).close(news, 0, 1_999).unwrap();
        assert_eq!(report.messages.len(), MAX_MESSAGES + 1);
        assert_eq!(report.messages.last().unwrap(), "and 7 more messages");
        assert_eq!((report.last_success_at, report.error), (Some(1), None));
    }

    #[test]
    fn the_same_is_told_once_and_trouble_stops_the_time_of_success() {
        let mut account = Account::new("files[0]".to_owned());
        assert!(account.close(News::default(), 3, 1_000).is_some());
        assert!(account.close(News::default(), 3, 1_900).is_none(), "the same second");
        assert!(account.close(News::default(), 3, 2_000).is_some());
        let bad = || {
            let mut news = News::default();
            for text in ["a", "b", "c"] {
                news.trouble(text.to_owned());
            }
            news
        };
        let report = account.close(bad(), 3, 3_000).unwrap();
        assert_eq!(report.error.as_deref(), Some("a (and 2 more troubles)"));
        assert_eq!(report.last_success_at, Some(2));
        assert!(account.close(bad(), 3, 4_000).is_none());
    }
}
