//! The upstream's times: `YYYY-MM-DD HH:MM:SS` in a zone that the text does not name.

/// The first year a time may lie in. A server's zero time (year 1, or 1970) is no time.
const FIRST_YEAR: i64 = 2000;

/// Unix seconds of a time as the upstream writes it, in a zone `zone_offset_seconds` east of UTC.
///
/// Strict: exactly 19 characters, a date that exists, seconds below 60. `None` for anything else.
pub(super) fn unix_seconds(text: &str, zone_offset_seconds: i32) -> Option<i64> {
    let text: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| text[at] != mark) {
        return None;
    }
    let (year, month, day) = (digits(&text[0..4])?, digits(&text[5..7])?, digits(&text[8..10])?);
    let (hour, minute, second) = (digits(&text[11..13])?, digits(&text[14..16])?, digits(&text[17..19])?);
    let in_range = year >= FIRST_YEAR
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let of_day = hour * 3600 + minute * 60 + second;
    in_range.then(|| days_from_epoch(year, month, day) * 86_400 + of_day - i64::from(zone_offset_seconds))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, for years from 1 on. The year is taken to begin in March, so that
/// the leap day is its last.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_FROM_MARCH_OF_YEAR_0_TO_EPOCH: i64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - DAYS_FROM_MARCH_OF_YEAR_0_TO_EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    const EAST_EIGHT: i32 = 8 * 3600;

    #[test]
    fn times_are_read_in_the_zone_told() {
        assert_eq!(unix_seconds("2025-03-13 16:16:27", EAST_EIGHT), Some(1_741_853_787));
        assert_eq!(unix_seconds("2025-03-13 08:16:27", 0), Some(1_741_853_787));
        assert_eq!(unix_seconds("2025-03-12 21:46:27", -(10 * 3600 + 1800)), Some(1_741_853_787));
        assert_eq!(unix_seconds("2024-02-29 23:59:59", 0), Some(1_709_251_199));
    }

    #[test]
    fn every_day_agrees_with_another_calendar() {
        let mut date = jiff::civil::date(2000, 1, 1);
        let mut expected = 946_684_800;
        while date.year() < 2101 {
            assert_eq!(unix_seconds(&format!("{date} 00:00:00"), 0), Some(expected), "{date}");
            date = date.tomorrow().unwrap();
            expected += 86_400;
        }
    }

    #[test]
    fn what_is_no_such_time_is_none() {
        for text in [
            "",
            "2025-03-13",
            "2025-03-13T16:16:27",
            "2025-03-13 16:16:27Z",
            "2025-03-13 16:16:27.000",
            "2025-3-13 16:16:27",
            "2025-13-01 00:00:00",
            "2025-00-01 00:00:00",
            "2025-02-29 00:00:00",
            "2025-04-31 00:00:00",
            "2025-03-00 00:00:00",
            "2025-03-13 24:00:00",
            "2025-03-13 23:60:00",
            "2025-03-13 23:59:60",
            "+025-03-13 16:16:27",
            "2025-03-13 16:16:2é",
            "0001-01-01 00:00:00",
            "1970-01-01 08:00:00",
            "0000-00-00 00:00:00",
        ] {
            assert_eq!(unix_seconds(text, EAST_EIGHT), None, "{text:?}");
        }
    }
}
