//! The upstream's error numbers, by what happened and what we do about each.

use std::time::Duration;

/// What happened; the value of the label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The signature was not accepted.
    Auth,
    /// The account may not ask: no administrator, or a caller address that is not allowed.
    Permission,
    /// SDKAppID, host or product do not belong together.
    Config,
    RateLimit,
    InvalidArgument,
    /// The service or the plan is not bought, or over its quota.
    NotEnabled,
    /// The task or the user is not known.
    NotFound,
    /// A fault of the upstream that passes.
    Server,
    /// The application or account was disabled.
    Blocked,
    Unknown,
    /// No answer in time.
    Timeout,
    /// No connection: name, address, TLS, or one that broke.
    Connect,
    /// An HTTP status other than 200.
    Http,
    /// A body that is no answer.
    Malformed,
}

impl Kind {
    pub const ALL: [Kind; 14] = [
        Kind::Auth,
        Kind::Permission,
        Kind::Config,
        Kind::RateLimit,
        Kind::InvalidArgument,
        Kind::NotEnabled,
        Kind::NotFound,
        Kind::Server,
        Kind::Blocked,
        Kind::Unknown,
        Kind::Timeout,
        Kind::Connect,
        Kind::Http,
        Kind::Malformed,
    ];

    /// The value of the label `kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Auth => "auth",
            Kind::Permission => "permission",
            Kind::Config => "config",
            Kind::RateLimit => "rate_limit",
            Kind::InvalidArgument => "invalid_argument",
            Kind::NotEnabled => "not_enabled",
            Kind::NotFound => "not_found",
            Kind::Server => "server",
            Kind::Blocked => "blocked",
            Kind::Unknown => "unknown",
            Kind::Timeout => "timeout",
            Kind::Connect => "connect",
            Kind::Http => "http",
            Kind::Malformed => "malformed",
        }
    }

    /// What it means, in our own words: the upstream's may name users.
    pub const fn meaning(self) -> &'static str {
        match self {
            Kind::Auth => "the upstream does not accept the signature",
            Kind::Permission => "this account may not use the API; it must be an administrator of the app",
            Kind::Config => "SDKAppID, host and product do not belong together",
            Kind::RateLimit => "the upstream's rate limit or quota is used up",
            Kind::InvalidArgument => "the upstream refuses the request as invalid",
            Kind::NotEnabled => "the service or plan is not bought, or its quota is used up",
            Kind::NotFound => "the upstream does not know the task or the user",
            Kind::Server => "the upstream has an internal error",
            Kind::Blocked => "the application or the account is disabled",
            Kind::Unknown => "the upstream refuses the request with an error code that is not documented",
            Kind::Timeout => "no answer in time",
            Kind::Connect => "no connection, or one that broke",
            Kind::Http => "an HTTP status other than 200",
            Kind::Malformed => "the answer could not be read",
        }
    }
}

/// What we do about a failure. Every way spends the same budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Back off and ask the same again.
    Retry,
    /// As [`Action::Retry`], but no earlier than this; questions about other pairs go on.
    RetryLate { at_least: Duration },
    /// Back off and ask the same again up to `tries` times more, then ask for this pair rarely.
    RetryThenGiveUp { tries: u32 },
    /// Make a fresh UserSig and ask again, once; if refused again, back off and ask up to `then_tries` times more;
    /// then as [`Action::Stop`].
    Resign { then_tries: u32 },
    /// Wait at least one interval, ask the same again, and ask more slowly from now on.
    SlowDown,
    /// Stop all questions of this app for this long, as the upstream asks, then probe with one. Never makes a new
    /// signature.
    Pause { at_least: Duration },
    /// Stop all requests of this app until somebody acts; probe slowly with one. Never makes a new signature. Only for what
    /// names something that all requests of the app share: signature, administrator, SDKAppID, plan, host, address.
    Stop,
    /// As [`Action::Stop`], but it may be about what this one request says: a second pair must meet the same first. Until
    /// then it is held against the pair.
    StopIfConfirmed,
    /// This pair is at fault: ask for it rarely or no more; others go on.
    GiveUpPair,
}

/// After 70050, the lock-out for failed verifications: the upstream asks for one minute.
pub const LOCKOUT_PAUSE: Duration = Duration::from_secs(60);
/// After 60028, the quota of 24 hours of trial editions.
pub const QUOTA_PAUSE: Duration = Duration::from_secs(3600);
/// Before a pair with a number that nobody documents is asked for again.
pub const UNKNOWN_WAIT: Duration = Duration::from_secs(60);
/// Further questions after 91000, which is documented both as a passing fault and as one of the request.
pub const AMBIGUOUS_TRIES: u32 = 3;
/// Further questions after 60004 and 60005 despite a fresh signature: newer documents call them transient.
pub const AFTER_RESIGN_TRIES: u32 = 3;

/// One exchange that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    /// The upstream's `ErrorCode`, or the HTTP status where `kind` is [`Kind::Http`]; the label `code`.
    pub code: Option<i64>,
    pub action: Action,
}

impl Failure {
    /// No answer in time.
    pub const TIMEOUT: Failure = Failure::without_code(Kind::Timeout);
    /// No connection, or one that broke.
    pub const CONNECT: Failure = Failure::without_code(Kind::Connect);
    /// Status 200 with a body that is no answer, such as the page of a proxy.
    pub const MALFORMED: Failure = Failure::without_code(Kind::Malformed);

    const fn without_code(kind: Kind) -> Failure {
        Failure { kind, code: None, action: Action::Retry }
    }
}

/// The failure that an `ErrorCode` of a refusal stands for. Also for 0 (`FAIL` without a number): unknown.
pub fn classify(code: i64) -> Failure {
    let (kind, action) = match TABLE.binary_search_by_key(&code, |row| row.0) {
        Ok(at) => (TABLE[at].1, TABLE[at].2),
        Err(_) => (Kind::Unknown, Action::RetryLate { at_least: UNKNOWN_WAIT }),
    };
    Failure { kind, code: Some(code), action }
}

/// The failure that an HTTP status other than 200 stands for (domain sheet, section 6.4).
///
/// 429 is a retry that also slows down: whoever sent it, it says that we ask too often. What is neither that, 408 nor
/// 5xx (a redirect, 403 of a proxy) needs somebody to act; a filter may have looked at one request alone.
pub fn classify_http(status: u16) -> Failure {
    let action = match status {
        429 => Action::SlowDown,
        408 | 500..=599 => Action::Retry,
        _ => CONFIRM,
    };
    Failure { kind: Kind::Http, code: Some(i64::from(status)), action }
}

const STOP: Action = Action::Stop;
const CONFIRM: Action = Action::StopIfConfirmed;
const RESIGN: Action = Action::Resign { then_tries: 0 };

/// Domain sheet, sections 6.1 to 6.3, by number. Codes of other commands are left out and so unknown.
///
/// What tells [`STOP`] from [`CONFIRM`] is whether one request alone can be meant. "This account" may be the user that is
/// asked for, and a number that is not expected here may mean anything: these need a second pair.
#[rustfmt::skip]
const TABLE: &[(i64, Kind, Action)] = &[
    (60002, Kind::InvalidArgument, CONFIRM),
    (60003, Kind::InvalidArgument, CONFIRM),
    (60004, Kind::Auth, Action::Resign { then_tries: AFTER_RESIGN_TRIES }),
    (60005, Kind::Auth, Action::Resign { then_tries: AFTER_RESIGN_TRIES }),
    (60006, Kind::Config, STOP),
    (60007, Kind::RateLimit, Action::SlowDown),
    (60008, Kind::Server, Action::Retry),
    (60009, Kind::InvalidArgument, CONFIRM),
    (60010, Kind::Permission, STOP),
    (60011, Kind::RateLimit, Action::SlowDown),
    (60012, Kind::InvalidArgument, STOP),
    (60013, Kind::Server, Action::Retry),
    (60014, Kind::Server, Action::Retry),
    (60015, Kind::InvalidArgument, CONFIRM),
    (60016, Kind::Blocked, STOP),
    (60017, Kind::Blocked, CONFIRM),
    (60018, Kind::RateLimit, Action::SlowDown),
    (60019, Kind::RateLimit, Action::SlowDown),
    (60020, Kind::NotEnabled, STOP),
    (60021, Kind::Permission, STOP),
    (60025, Kind::Auth, RESIGN),
    (60026, Kind::Config, STOP),
    (60027, Kind::Config, STOP),
    (60028, Kind::RateLimit, Action::Pause { at_least: QUOTA_PAUSE }),
    (70001, Kind::Auth, RESIGN),
    (70002, Kind::Auth, STOP),
    (70003, Kind::Auth, RESIGN),
    (70004, Kind::Auth, RESIGN),
    (70005, Kind::Auth, RESIGN),
    (70006, Kind::Auth, RESIGN),
    (70007, Kind::Auth, RESIGN),
    (70008, Kind::Auth, RESIGN),
    // The key of another application: a new signature with it can only lead to the lock-out.
    (70009, Kind::Auth, STOP),
    (70013, Kind::Auth, STOP),
    (70014, Kind::Auth, STOP),
    (70016, Kind::Config, STOP),
    (70020, Kind::Config, STOP),
    (70050, Kind::Auth, Action::Pause { at_least: LOCKOUT_PAUSE }),
    (70051, Kind::Blocked, CONFIRM),
    (70107, Kind::NotFound, Action::GiveUpPair),
    (70114, Kind::Blocked, CONFIRM),
    (70169, Kind::Server, Action::Retry),
    (70202, Kind::Server, Action::Retry),
    (70398, Kind::Unknown, CONFIRM),
    (70399, Kind::Unknown, CONFIRM),
    (70402, Kind::InvalidArgument, Action::GiveUpPair),
    (70403, Kind::Permission, STOP),
    (70404, Kind::Unknown, CONFIRM),
    (70500, Kind::Server, Action::Retry),
    (71000, Kind::Unknown, CONFIRM),
    (72000, Kind::NotEnabled, STOP),
    (72001, Kind::Unknown, CONFIRM),
    (72002, Kind::NotEnabled, STOP),
    (72010, Kind::Unknown, CONFIRM),
    (72011, Kind::Unknown, CONFIRM),
    (72012, Kind::Unknown, CONFIRM),
    (90001, Kind::InvalidArgument, CONFIRM),
    (90009, Kind::Permission, STOP),
    (90012, Kind::NotFound, Action::GiveUpPair),
    (90045, Kind::NotEnabled, STOP),
    (90048, Kind::NotFound, Action::GiveUpPair),
    (90049, Kind::NotFound, Action::GiveUpPair),
    (90100, Kind::InvalidArgument, Action::GiveUpPair),
    (90102, Kind::Server, Action::Retry),
    (90103, Kind::Auth, RESIGN),
    (90992, Kind::Server, Action::Retry),
    (90994, Kind::Server, Action::Retry),
    (90995, Kind::Server, Action::Retry),
    (91000, Kind::Server, Action::RetryThenGiveUp { tries: AMBIGUOUS_TRIES }),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the domain sheet, written once more in its own words: codes, class, action.
    const SHEET: &str = "
        60002 60003 60009 60015       | invalid_argument | stop if confirmed
        60012                         | invalid_argument | stop
        60004 60005                   | auth             | re-sign, then retry with back-off, then stop
        60006                         | config           | stop
        60007 60011 60018 60019       | rate_limit       | slow down
        60008 60013 60014             | server           | retry
        60010                         | permission       | stop
        60016                         | blocked          | stop
        60017                         | blocked          | stop if confirmed
        60020                         | not_enabled      | stop
        60021                         | permission       | stop
        60025                         | auth             | re-sign, then stop
        60026 60027                   | config           | stop
        60028                         | rate_limit       | stop, probe hourly
        70001 70003 70004 70005 70006 70007 70008 | auth | re-sign, then stop
        70002 70009 70013 70014       | auth             | stop
        70016 70020                   | config           | stop
        70050                         | auth             | pause 60 s
        70051 70114                   | blocked          | stop if confirmed
        70107                         | not_found        | pair
        70169 70202 70500             | server           | retry
        70402                         | invalid_argument | pair
        70403                         | permission       | stop
        70404 70398 70399 71000 72001 72010 72011 72012 | unknown | stop if confirmed
        72000 72002                   | not_enabled      | stop
        90001                         | invalid_argument | stop if confirmed
        90009                         | permission       | stop
        90012 90048 90049             | not_found        | pair
        90045                         | not_enabled      | stop
        90100                         | invalid_argument | pair
        90102 90992 90994 90995       | server           | retry
        90103                         | auth             | re-sign, then stop
        91000                         | server           | retry a few times, then pair
        0 1 -1 60001 80001 90104 90107 90005 90018 90020 90057 99999 | unknown | retry with long back-off
    ";

    fn in_words(action: Action) -> &'static str {
        match action {
            Action::Retry => "retry",
            Action::RetryLate { at_least } if at_least >= Duration::from_secs(60) => {
                "retry with long back-off"
            }
            Action::RetryLate { .. } => "retry with short back-off",
            Action::RetryThenGiveUp { tries: 2..=5 } => "retry a few times, then pair",
            Action::RetryThenGiveUp { .. } => "retry never or often, then pair",
            Action::Resign { then_tries: 0 } => "re-sign, then stop",
            Action::Resign { .. } => "re-sign, then retry with back-off, then stop",
            Action::SlowDown => "slow down",
            Action::Pause { at_least } => match at_least.as_secs() {
                60 => "pause 60 s",
                3600 => "stop, probe hourly",
                _ => "pause of a length that the sheet does not know",
            },
            Action::Stop => "stop",
            Action::StopIfConfirmed => "stop if confirmed",
            Action::GiveUpPair => "pair",
        }
    }

    #[test]
    fn every_code_of_the_sheet_is_classed_as_there() {
        let mut codes = 0;
        for line in SHEET.lines().filter(|line| !line.trim().is_empty()) {
            let [numbers, kind, action] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
                panic!("three columns: {line}")
            };
            for code in numbers.split_whitespace().map(|n| n.parse::<i64>().unwrap()) {
                let failure = classify(code);
                let told = (failure.kind.as_str(), in_words(failure.action), failure.code);
                assert_eq!(told, (kind, action, Some(code)), "{code}");
                codes += usize::from(TABLE.iter().any(|row| row.0 == code));
            }
        }
        assert_eq!(codes, TABLE.len(), "every row of the table is in the sheet");
    }

    #[test]
    fn the_table_is_sorted_and_has_no_code_twice() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn http_statuses_are_retried_or_stop() {
        for (status, action) in [
            (500, Action::Retry),
            (502, Action::Retry),
            (599, Action::Retry),
            (408, Action::Retry),
            (429, Action::SlowDown),
            (204, CONFIRM),
            (302, CONFIRM),
            (403, CONFIRM),
            (600, CONFIRM),
        ] {
            let expected = Failure { kind: Kind::Http, code: Some(i64::from(status)), action };
            assert_eq!(classify_http(status), expected);
        }
    }

    #[test]
    fn kinds_are_distinct_label_values() {
        let words: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        let expected = "auth permission config rate_limit invalid_argument not_enabled not_found server blocked \
                        unknown timeout connect http malformed";
        assert_eq!(words.join(" "), expected);
        for failure in [Failure::TIMEOUT, Failure::CONNECT, Failure::MALFORMED] {
            assert_eq!((failure.code, failure.action), (None, Action::Retry));
        }
    }
}
