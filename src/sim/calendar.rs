//! The upstream's time strings: whole seconds, no zone.

/// Microseconds in a second.
pub(super) const MICROS: i64 = 1_000_000;

/// `YYYY-MM-DD HH:MM:SS` of a moment in the zone `offset_seconds` east of UTC; the fraction is cut off.
pub(super) fn stamp(unix_micros: i64, offset_seconds: i32) -> String {
    let seconds = unix_micros.div_euclid(MICROS) + i64::from(offset_seconds);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// The Gregorian date of a day counted from 1970-01-01; years are counted from March so that the leap day is last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_known_moments() {
        let east8 = 8 * 3_600;
        // The manual's sample range limit: midnight in UTC+8.
        assert_eq!(stamp(1_741_104_000 * MICROS, east8), "2025-03-05 00:00:00");
        assert_eq!(stamp(1_741_104_000 * MICROS, 0), "2025-03-04 16:00:00");
        assert_eq!(stamp(951_782_400 * MICROS + 999_999, 0), "2000-02-29 00:00:00");
        assert_eq!(stamp(-1, 0), "1969-12-31 23:59:59");
        assert_eq!(stamp(1_798_761_599 * MICROS, -12_600), "2026-12-31 20:29:59");
    }
}
