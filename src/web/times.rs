//! Times, spans, shares and counts as people read them.

use jiff::Timestamp;
use maud::{Markup, html};

/// A time in UTC to the second, as `2026-11-24 03:14:00`; the number itself where no calendar has it.
pub(super) fn date_time(at: i64) -> String {
    let stamp = Timestamp::from_second(at);
    stamp.map_or_else(|_| at.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// The time itself; how long ago shows over it.
pub(super) fn moment(at: i64, now: i64) -> Markup {
    time(at, &date_time(at), &distance(at, now))
}

/// How long ago, or in how long; the time itself shows over it.
pub(super) fn ago(at: i64, now: i64) -> Markup {
    time(at, &distance(at, now), &format!("{} UTC", date_time(at)))
}

fn time(at: i64, text: &str, title: &str) -> Markup {
    html! {
        @match Timestamp::from_second(at) {
            Ok(stamp) => time datetime=(stamp) title=(title) { (text) },
            Err(_) => span title=(title) { (text) },
        }
    }
}

/// `5m ago` or `in 5m`.
pub(super) fn distance(at: i64, now: i64) -> String {
    if at <= now {
        format!("{} ago", span(now.saturating_sub(at)))
    } else {
        format!("in {}", span(at.saturating_sub(now)))
    }
}

/// Seconds in the two largest units that are not 0, as `1d 2h`; below 0 with a minus.
pub(super) fn span(seconds: i64) -> String {
    if seconds < 0 {
        return format!("−{}", span(seconds.saturating_neg()));
    }
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let largest = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown = parts[largest..].iter().take(2).filter(|(n, _)| *n > 0);
    let text: Vec<String> = shown.map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text.join(" ") }
}

/// A span from a time that may have a fraction; a started second counts.
pub(super) fn whole_span(seconds: f64) -> String {
    span(seconds.ceil() as i64)
}

/// A rate with as many digits as tell it.
pub(super) fn rate(per_second: f64) -> String {
    let text = format!("{per_second:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with commas between thousands.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 pair`, `2 pairs`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A share in percent with a digit behind the point below ten; some is never told as none, nor as all.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match share {
        _ if part == 0 => "0 %".to_owned(),
        _ if part >= whole => "100 %".to_owned(),
        share if share < 0.1 => "<0.1 %".to_owned(),
        share if share < 9.95 => format!("{share:.1} %"),
        share => format!("{:.0} %", share.min(99.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_rates_are_short() {
        let spans = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m 59s"),
            (86_400, "1d"),
            (90_061, "1d 1h"),
            (-5, "−5s"),
        ];
        for (seconds, wanted) in spans {
            assert_eq!(span(seconds), wanted);
        }
        assert!(!span(i64::MIN).is_empty());
        assert_eq!(whole_span(59.2), "1m");
        assert_eq!([rate(1.0), rate(0.5), rate(10.0), rate(0.0)], ["1", "0.5", "10", "0"]);
    }

    #[test]
    fn counts_and_shares_are_read_at_a_glance() {
        let counts =
            [(0, "0"), (999, "999"), (1000, "1,000"), (600_000, "600,000"), (1_234_567, "1,234,567")];
        for (n, wanted) in counts {
            assert_eq!(count(n), wanted);
        }
        assert_eq!([counted(1, "pair"), counted(0, "pair")], ["1 pair", "0 pairs"]);
        let shares = [
            (0, 0, "0 %"),
            (0, 9, "0 %"),
            (1, 100_000, "<0.1 %"),
            (5, 31, "16 %"),
            (1, 30, "3.3 %"),
            (999, 1000, "99 %"),
            (7, 7, "100 %"),
        ];
        for (part, whole, wanted) in shares {
            assert_eq!(percent(part, whole), wanted, "{part} of {whole}");
        }
    }

    #[test]
    fn times_say_what_they_are() {
        let html = ago(1_795_000_000, 1_795_000_065).into_string();
        assert_eq!(
            html,
            r#"<time datetime="2026-11-18T11:06:40Z" title="2026-11-18 11:06:40 UTC">1m 5s ago</time>"#
        );
        assert!(moment(1_795_000_000, 1_794_999_995).into_string().contains(r#"title="in 5s">2026-11-18"#));
        assert!(moment(i64::MAX, 0).into_string().starts_with("<span"));
    }
}
