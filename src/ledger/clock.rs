//! The ledger's own clock: it runs with the machine, and nobody can set it.
//!
//! The wall clock may be wrong at a start and right an hour later. So whatever ends or is deleted for good by its age is as
//! old as this clock says. It goes on where it stood when the store was closed, and counts the time since if the machine
//! has not been started anew; time in which the machine was off is not counted. By this clock nothing is ever older than
//! it is.

/// How much of it a crash of the machine may lose, milliseconds.
const KEEP_EVERY: i64 = 60_000;

/// The clock of one open store. All its times are in milliseconds but for those that it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// What it showed at `since_boot`.
    elapsed: i64,
    since_boot: i64,
    boot: String,
    /// What it showed when it was kept last.
    kept: Option<i64>,
}

impl Clock {
    /// Goes on where the clock stood that `kept` tells of, at `since_boot` of the boot of that name.
    pub(super) fn resume(kept: Option<&[u8]>, boot: String, since_boot: i64) -> Clock {
        let (then, then_since_boot, then_boot) = kept.and_then(read).unwrap_or((0, 0, ""));
        let away = if then_boot == boot { (since_boot - then_since_boot).max(0) } else { 0 };
        Clock { elapsed: then.saturating_add(away), since_boot, boot, kept: None }
    }

    /// Seconds that it shows at `since_boot`.
    pub(super) fn elapsed(&self, since_boot: i64) -> i64 {
        self.millis(since_boot) / 1_000
    }

    fn millis(&self, since_boot: i64) -> i64 {
        self.elapsed.saturating_add((since_boot - self.since_boot).max(0))
    }

    /// What is to be kept of it for [`Clock::resume`], if that is due.
    pub(super) fn take_due(&mut self, since_boot: i64) -> Option<String> {
        let now = self.millis(since_boot);
        let is_due = self.kept.is_none_or(|kept| now - kept >= KEEP_EVERY);
        self.kept = if is_due { Some(now) } else { self.kept };
        is_due.then(|| format!("{now} {since_boot} {}", self.boot))
    }
}

fn read(kept: &[u8]) -> Option<(i64, i64, &str)> {
    let mut words = std::str::from_utf8(kept).ok()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn resume(kept: Option<&str>, boot: &str, since_boot: i64) -> Clock {
        Clock::resume(kept.map(str::as_bytes), boot.to_owned(), since_boot)
    }

    #[test]
    fn it_goes_on_over_restarts_and_leaves_out_what_no_clock_has_seen() {
        let mut clock = resume(None, "a", 5_000);
        assert_eq!((clock.elapsed(5_000), clock.elapsed(65_000)), (0, 60));
        let kept = clock.take_due(65_000).unwrap();
        assert_eq!(clock.elapsed(75_000), 70);
        // Another process of the same boot, a day later.
        let mut clock = resume(Some(&kept), "a", DAY + 65_000);
        assert_eq!(clock.elapsed(DAY + 65_000), 86_400 + 60);
        let kept = clock.take_due(DAY + 65_000).unwrap();
        // After another start of the machine, whenever that was.
        let clock = resume(Some(&kept), "b", 10_000);
        assert_eq!(clock.elapsed(10_000), 86_400 + 60);
        assert_eq!(clock.elapsed(11_000), 86_400 + 61);
    }

    #[test]
    fn it_never_goes_back() {
        let clock = resume(Some("90000 50000 a"), "a", 20_000);
        assert_eq!((clock.elapsed(20_000), clock.elapsed(10_000)), (90, 90));
        for rubbish in ["", "x", "5", "5 5", "5 x a", "\u{fffd}"] {
            assert_eq!(resume(Some(rubbish), "a", 20_000).elapsed(20_000), 0, "{rubbish:?}");
        }
    }

    #[test]
    fn it_is_kept_once_a_minute_and_at_first() {
        let mut clock = resume(None, "a", 1_000);
        assert_eq!(clock.take_due(1_500).as_deref(), Some("500 1500 a"));
        assert_eq!(clock.take_due(61_499), None);
        assert_eq!(clock.take_due(61_500).as_deref(), Some("60500 61500 a"));
        assert_eq!(clock.take_due(61_500), None);
    }
}
