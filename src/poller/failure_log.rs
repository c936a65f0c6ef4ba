//! Which failed requests the log names, and which it sums up: a dead endpoint is one fact, not one a second; pure.

use std::collections::BTreeMap;

use crate::api::code::Kind;

/// The first sum comes so long after a failure was named; each later one after twice as long.
const FIRST_SUM_MILLIS: i64 = 60_000;
const LONGEST_SUM_MILLIS: i64 = 3_600_000;
/// A failure that was not seen for so long is named again.
const FORGOTTEN_MILLIS: i64 = 2 * LONGEST_SUM_MILLIS;
/// How many failures, by kind and code, are known apart; further ones of a kind are one.
const MAX_KNOWN: usize = 64;
/// So many requests in a row that failed are told of when one is answered again.
const TOLD_IN_A_ROW: u64 = 10;

/// What the log says of a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// This failure, whole.
    Named,
    /// So many failures of this kind and code since the line before.
    Sum {
        failures: u64,
    },
    Nothing,
}

/// The failures of one app's requests, as the log has them.
#[derive(Debug, Default)]
pub(super) struct FailureLog {
    known: BTreeMap<(Kind, Option<i64>), Known>,
    in_a_row: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    seen_at: i64,
    sum_at: i64,
    pause: i64,
    untold: u64,
}

impl FailureLog {
    /// A request failed at `now`, in milliseconds.
    pub(super) fn failed(&mut self, kind: Kind, code: Option<i64>, now: i64) -> Line {
        self.in_a_row += 1;
        self.known.retain(|_, known| now - known.seen_at < FORGOTTEN_MILLIS);
        let is_full = self.known.len() >= MAX_KNOWN && !self.known.contains_key(&(kind, code));
        let key = (kind, code.filter(|_| !is_full));
        let Some(known) = self.known.get_mut(&key) else {
            let known =
                Known { seen_at: now, sum_at: now + FIRST_SUM_MILLIS, pause: FIRST_SUM_MILLIS, untold: 0 };
            self.known.insert(key, known);
            return Line::Named;
        };
        known.seen_at = now;
        known.untold += 1;
        if now < known.sum_at {
            return Line::Nothing;
        }
        known.pause = (known.pause * 2).min(LONGEST_SUM_MILLIS);
        known.sum_at = now + known.pause;
        Line::Sum { failures: std::mem::take(&mut known.untold) }
    }

    /// A request was answered; how many had failed in a row, if that is worth a line. All failures are named anew then.
    pub(super) fn answered(&mut self) -> Option<u64> {
        let failed = std::mem::take(&mut self.in_a_row);
        let is_told = failed >= TOLD_IN_A_ROW;
        if is_told {
            self.known.clear();
        }
        is_told.then_some(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_with_a_dead_endpoint_is_a_handful_of_lines() {
        let mut log = FailureLog::default();
        let mut lines = Vec::new();
        for second in 0..3_600 {
            match log.failed(Kind::Connect, None, second * 1_000) {
                Line::Nothing => {}
                line => lines.push((second, line)),
            }
        }
        let expected = [
            (0, Line::Named),
            (60, Line::Sum { failures: 60 }),
            (180, Line::Sum { failures: 120 }),
            (420, Line::Sum { failures: 240 }),
            (900, Line::Sum { failures: 480 }),
            (1_860, Line::Sum { failures: 960 }),
        ];
        assert_eq!(lines, expected);
        assert_eq!((log.answered(), log.answered()), (Some(3_600), None));
        assert_eq!(
            log.failed(Kind::Connect, None, 3_700_000),
            Line::Named,
            "after an answer it is news again"
        );
    }

    #[test]
    fn failures_are_told_apart_by_kind_and_code_as_far_as_there_is_room() {
        let mut log = FailureLog::default();
        assert_eq!(log.failed(Kind::Http, Some(502), 0), Line::Named);
        assert_eq!(log.failed(Kind::Http, Some(503), 0), Line::Named);
        assert_eq!(log.failed(Kind::Http, Some(502), 1_000), Line::Nothing);
        assert_eq!(log.answered(), None, "a few failures are everyday");
        assert_eq!(log.failed(Kind::Http, Some(502), 2_000), Line::Nothing, "so they are not named again");
        for code in 0..1_000 {
            log.failed(Kind::Unknown, Some(code), 3_000);
        }
        assert!(log.known.len() <= MAX_KNOWN + 1, "{} are known", log.known.len());
        assert_eq!(log.failed(Kind::Http, Some(502), FORGOTTEN_MILLIS + 3_000), Line::Named);
        assert_eq!(log.known.len(), 1, "what was not seen for long is forgotten");
    }
}
