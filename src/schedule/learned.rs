//! What the daemon's own looks have taught: how long each stage of each vendor takes to report, and how it ends.

use super::cells::{Cells, End, ScaleFree};
use super::chain::{reports, when, worth};
use super::grid::{Curve, Rates};
use super::told::{Device, Millis, Report, Route};

/// Platforms that are told apart; what comes later shares the pool.
pub const PLATFORMS_CAP: usize = 32;
/// What a device may wait for: on the offline route the channel's answer, the receipt, a tap; on the online route the
/// first two; and a pair without devices waits for one. What comes before the channel belongs to its wait.
pub const STANDS: usize = 6;
/// A pair whose answers have shown no device yet.
pub const NOBODY: Class = Class((STANDS - 1) as u16);

/// The stage that ends the first wait.
const CHANNEL: usize = 2;

/// How fast the shapes are forgotten.
const SHAPE_HALF_LIFE_SECONDS: f64 = 48.0 * 3600.0;
/// How fast the present level of failures is forgotten.
const LEVEL_HALF_LIFE_SECONDS: f64 = 1200.0;
/// Expected failures that hold the level at 1.
const LEVEL_INERTIA: f64 = 3.0;
/// Devices as which the prior counts in the pool, and the pool in a platform.
const POOL_PRIOR_DEVICES: f64 = 3.0;
const PLATFORM_PRIOR_DEVICES: f64 = 30.0;
/// Expected failures that hold a platform at the level of the pool: some never report receipt.
const PLATFORM_INERTIA: f64 = 1.0;
/// A curve is drawn anew when this share of what it was drawn from came after.
const REFIT_SHARE: f64 = 1.0 / 32.0;
/// What share of the reports a lag covers, of those that come within the horizon, and how many must have been seen.
const LAG_SHARE: f64 = 0.99;
const EARLY_SHARE: f64 = 0.9;
const LAG_HORIZON_SECONDS: f64 = 600.0;
const LAG_EVENTS: f64 = 100.0;
/// How far the upstream's clock may be off.
const SKEW_SECONDS: f64 = 5.0;

/// What nobody has seen yet: scale-free.
const PRIOR: ScaleFree = ScaleFree { failures: 0.02, successes: 0.2, worth: 0.01 };
const FIRST_PRIOR: ScaleFree = ScaleFree { failures: 0.02, successes: 0.2, worth: 0.01 };
/// A report of a tap is a tap: that one fails is hardly to be expected.
const TAP: usize = 2;
const TAP_PRIOR: ScaleFree = ScaleFree { failures: 0.0002, ..PRIOR };

/// A platform, and where a device stands there: which distribution speaks of its next report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(pub u16);

/// One distribution.
#[derive(Clone, Debug)]
pub struct Wait {
    pub cells: Cells,
    pub curve: Curve,
    /// Failures seen and expected lately.
    pub seen: f64,
    pub expected: f64,
    /// Waits watched altogether, and when the curve was drawn.
    pub watched: f64,
    drawn_at: f64,
    pub forgot_at: Millis,
    pub level_at: Millis,
}

/// All that was learned for one app.
#[derive(Clone, Debug)]
pub struct Learned {
    /// By index of the platform, from 1 on; 0 is the pool.
    pub platforms: Vec<i64>,
    /// By class.
    pub waits: Vec<Wait>,
    /// What the first look at a pair brings, by the age of its push.
    pub first: Wait,
    /// Whose turn it is to be drawn anew.
    turn: usize,
}

impl Default for Learned {
    fn default() -> Learned {
        let mut learned = Learned {
            platforms: vec![0],
            waits: Vec::new(),
            first: Wait::new(Curve::additive(&FIRST_PRIOR.rates())),
            turn: 0,
        };
        learned.waits.resize(STANDS, Wait::new(Curve::exclusive(&PRIOR.rates())));
        learned.waits[TAP] = Wait::new(Curve::exclusive(&TAP_PRIOR.rates()));
        learned
    }
}

impl Wait {
    fn new(curve: Curve) -> Wait {
        Wait {
            cells: Cells::default(),
            curve,
            seen: 0.0,
            expected: 0.0,
            watched: 0.0,
            drawn_at: 0.0,
            forgot_at: 0,
            level_at: 0,
        }
    }

    /// How many times as many failures as the curve says there are at present.
    pub fn level(&self) -> f64 {
        (self.seen + LEVEL_INERTIA) / (self.expected + LEVEL_INERTIA)
    }

    /// Adds to the level.
    fn tell_level(&mut self, seen: f64, expected: f64, now: Millis) {
        let passed = (now - self.level_at).max(0) as f64 / 1000.0;
        let kept = (-passed / LEVEL_HALF_LIFE_SECONDS * std::f64::consts::LN_2).exp();
        self.level_at = now;
        self.seen = self.seen * kept + seen;
        self.expected = self.expected * kept + expected;
    }

    fn forget(&mut self, now: Millis) {
        if self.forgot_at != 0 {
            let passed = (now - self.forgot_at).max(0) as f64 / 1000.0;
            self.cells.forget((-passed / SHAPE_HALF_LIFE_SECONDS * std::f64::consts::LN_2).exp());
        }
        self.forgot_at = now;
    }

    fn is_stale(&self) -> bool {
        self.watched - self.drawn_at > self.drawn_at * REFIT_SHARE || self.watched - self.drawn_at > 500.0
    }
}

/// A wait as it was watched between two looks.
#[derive(Clone, Copy, Debug)]
struct Watched {
    class: Class,
    /// Ages in seconds since the wait began: at the look before (0 if none), and at its end or now.
    from: f64,
    to: f64,
    /// How it ended, and whether `to` is when.
    end: Option<(End, bool)>,
}

impl Learned {
    /// The class of a device that waits, and since when; `None` if nothing more can come of it.
    pub fn standing(&mut self, device: &Device, pushed_at: Millis) -> Option<(Class, Millis)> {
        let mut since = pushed_at;
        let mut stand = 0;
        for (stage, report) in reports(device) {
            if report.failed {
                return None;
            }
            if stage >= CHANNEL {
                since = since.max(when(&report));
            }
            stand = stage + 1;
        }
        let class = self.class(device, stand)?;
        Some((class, since))
    }

    fn class(&mut self, device: &Device, stand: usize) -> Option<Class> {
        let place = match (device.route, stand) {
            (Route::Offline, ..=CHANNEL) => 0,
            (Route::Offline, 3) => 1,
            (Route::Offline, 4) => 2,
            (Route::Online, ..=CHANNEL) => 3,
            (Route::Online, 3) => 4,
            _ => return None,
        };
        let platform = match device.route {
            Route::Online => 0,
            Route::Offline => self.platform(device.platform),
        };
        u16::try_from(platform * STANDS + place).ok().map(Class)
    }

    /// The index of a platform, new if it was never seen.
    pub fn platform(&mut self, number: i64) -> usize {
        if let Some(at) = self.platforms[1..].iter().position(|p| *p == number) {
            return at + 1;
        }
        if self.platforms.len() > PLATFORMS_CAP {
            return 0;
        }
        self.platforms.push(number);
        let pool: Vec<Wait> = self.waits[..STANDS].iter().map(|w| Wait::new(w.curve.clone())).collect();
        self.waits.extend(pool);
        self.platforms.len() - 1
    }

    /// True if nothing follows the report that devices of that class wait for, or nothing but a tap.
    pub fn closes(class: Class) -> bool {
        matches!(usize::from(class.0) % STANDS, 1 | TAP | 4)
    }

    /// The distribution of a class.
    pub fn wait(&self, class: Class) -> &Wait {
        &self.waits[usize::from(class.0)]
    }

    /// Seconds from the push to the vendor's answer by which almost all answers have come; `None` while few were seen.
    pub fn answer_lag(&self) -> Option<f64> {
        self.lag(0, LAG_SHARE)
    }

    /// The same for nine of ten of them.
    pub fn early_lag(&self) -> Option<f64> {
        self.lag(0, EARLY_SHARE)
    }

    /// The same from the vendor's answer to the receipt, by the upstream's numbers of the platforms of which enough was seen.
    pub fn receipt_lags(&self) -> Vec<(i64, f64)> {
        let lag =
            |(at, number): (usize, &i64)| self.lag(at * STANDS + 1, LAG_SHARE).map(|lag| (*number, lag));
        self.platforms.iter().enumerate().skip(1).filter_map(lag).collect()
    }

    fn lag(&self, wait: usize, share: f64) -> Option<f64> {
        let wait = &self.waits[wait];
        (wait.cells.events() >= LAG_EVENTS).then(|| wait.curve.come_by(share, LAG_HORIZON_SECONDS))
    }

    /// Learns from all a device has shown between the look at `looked_at` (`None`: this is the first) and `now`.
    /// Says of each wait that was watched: the failures seen, and how many were expected.
    pub fn learn(&mut self, device: &Device, span: Span, mut say: impl FnMut(Class, (f64, f64))) {
        let mut stand = 0;
        let mut since = span.pushed_at;
        let mut stands = true;
        for (stage, report) in reports(device).filter(|(stage, report)| *stage >= CHANNEL || report.failed) {
            if report.fresh
                && stands
                && let Some(class) = self.class(device, stand)
            {
                let (watched, at) = span.watched(class, since, &report, worth(stage));
                let expected = self.tell(watched, span.now);
                say(class, (f64::from(u8::from(report.failed)), expected));
                since = since.max(at);
            } else if !report.fresh {
                since = since.max(when(&report));
            }
            stand = stage + 1;
            stands = stands && !report.failed;
        }
        if stands && let Some(class) = self.class(device, stand) {
            let expected = self.tell(span.silent(class, since), span.now);
            say(class, (0.0, expected));
        }
    }

    /// A pair without devices was looked at; `shown` are those that appeared just now.
    pub fn learn_nobody(&mut self, shown: &[Device], span: Span) {
        let failed = shown.iter().any(|d| reports(d).any(|(_, r)| r.failed));
        let worth = shown.iter().flat_map(reports).map(|(stage, _)| worth(stage)).sum();
        let end = if failed { End::Failure } else { End::Success(worth) };
        let mut watched = span.silent(NOBODY, span.pushed_at);
        watched.end = (!shown.is_empty()).then_some((end, false));
        self.tell(watched, span.now);
    }

    /// The first look at a pair: what it brought by the age of the push. Gives the failures seen and expected.
    pub fn learn_first(&mut self, devices: &[Device], span: Span) -> (f64, f64) {
        let age = span.age(span.now, span.pushed_at);
        let (expected, _) = self.first.curve.upto(age);
        self.first.cells.wait(0.0, age);
        self.first.watched += 1.0;
        let mut seen = 0.0;
        for (stage, report) in devices.iter().flat_map(reports) {
            let end = if report.failed { End::Failure } else { End::Success(worth(stage)) };
            seen += f64::from(u8::from(report.failed));
            match report.at.map(|at| (at - span.pushed_at) as f64 / 1000.0) {
                Some(at) if at >= -SKEW_SECONDS && at <= age + SKEW_SECONDS => {
                    self.first.cells.end(at.clamp(0.0, age), end);
                }
                _ => {
                    // Its time is not known: as the curve expects. Exposure is told already.
                    let mut lone = Cells::default();
                    lone.end_between((0.0, age), end, &self.first.curve);
                    self.first.cells.add_ends(&lone);
                }
            }
        }
        (seen, expected)
    }

    fn tell(&mut self, watched: Watched, now: Millis) -> f64 {
        let Watched { class, from, to, end } = watched;
        let own = usize::from(class.0);
        let pool = own % STANDS;
        let seen = f64::from(u8::from(matches!(end, Some((End::Failure, _)))));
        let mut expected = 0.0;
        for at in [own, pool].iter().take(if own == pool { 1 } else { 2 }) {
            let wait = &mut self.waits[*at];
            let due = wait.curve.hazard(from, to);
            match end {
                None => wait.cells.wait(from, to),
                Some((end, true)) => {
                    wait.cells.wait(from, to);
                    wait.cells.end(to, end);
                }
                Some((end, false)) => wait.cells.end_between((from, to), end, &wait.curve),
            }
            wait.watched += 1.0;
            if *at == own {
                expected = due;
            }
            wait.tell_level(seen, due, now);
        }
        expected
    }

    /// Draws one curve anew if it is its turn and much was learned since: a little work at every look.
    pub fn refit(&mut self, now: Millis) {
        if self.first.is_stale() {
            self.first.forget(now);
            let rates = self.first.cells.rates(&FIRST_PRIOR.rates(), POOL_PRIOR_DEVICES);
            self.first.curve = Curve::additive(&rates);
            self.first.drawn_at = self.first.watched;
            return;
        }
        for _ in 0..self.waits.len() {
            self.turn = (self.turn + 1) % self.waits.len();
            if self.waits[self.turn].is_stale() {
                return self.draw(self.turn, now);
            }
        }
    }

    /// Draws every curve anew.
    pub fn refit_all(&mut self) {
        for at in 0..self.waits.len() {
            let now = self.waits[at].forgot_at;
            self.draw(at, now);
        }
        let rates = self.first.cells.rates(&FIRST_PRIOR.rates(), POOL_PRIOR_DEVICES);
        self.first.curve = Curve::additive(&rates);
    }

    fn draw(&mut self, at: usize, now: Millis) {
        let pool = self.pool_rates(at % STANDS);
        let wait = &mut self.waits[at];
        wait.forget(now);
        let rates = if at < STANDS {
            pool
        } else {
            let level = wait.cells.level(&pool, PLATFORM_INERTIA);
            let prior = pool.map(|rates| Rates { failure: rates.failure * level, ..rates });
            wait.cells.rates(&prior, PLATFORM_PRIOR_DEVICES)
        };
        wait.curve = Curve::exclusive(&rates);
        wait.drawn_at = wait.watched;
    }

    fn pool_rates(&self, stand: usize) -> [Rates; super::grid::CELLS] {
        let prior = if stand == TAP { TAP_PRIOR } else { PRIOR };
        self.waits[stand].cells.rates(&prior.rates(), POOL_PRIOR_DEVICES)
    }
}

/// Two looks at one pair.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub pushed_at: Millis,
    /// The look before; `None` if this is the first.
    pub looked_at: Option<Millis>,
    pub now: Millis,
}

impl Span {
    fn age(&self, at: Millis, since: Millis) -> f64 {
        (at - since).max(0) as f64 / 1000.0
    }

    /// The wait from `since` that this report ended, and when.
    fn watched(&self, class: Class, since: Millis, report: &Report, worth: f64) -> (Watched, Millis) {
        let begin = self.looked_at.unwrap_or(since).max(since);
        let skew = (SKEW_SECONDS * 1000.0) as Millis;
        let known = report.at.filter(|at| *at >= begin - skew && *at <= self.now + skew);
        let end = if report.failed { End::Failure } else { End::Success(worth) };
        let to = known.unwrap_or(self.now).clamp(begin.min(self.now), self.now);
        let watched = Watched {
            class,
            from: self.age(begin, since),
            to: self.age(to, since),
            end: Some((end, known.is_some())),
        };
        (watched, to)
    }

    /// A wait that goes on.
    fn silent(&self, class: Class, since: Millis) -> Watched {
        let begin = self.looked_at.unwrap_or(since).max(since);
        Watched { class, from: self.age(begin, since), to: self.age(self.now, since), end: None }
    }
}
