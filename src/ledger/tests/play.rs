//! Random operations, done to the ledger and to the reference alike.

use std::path::Path;
use std::sync::Arc;

use super::super::settle::Outlook;
use super::super::{Draw, Ended, Enrol, Leave, Ledger, Opened, Sighting};
use super::PUSHED;
use super::reference::{Reference, shown};
use crate::trace::{Device, Event, Leaf, Notifications, Outcome, Platform, Reason, Route, Stage, Trace};
use crate::watch::LabelSet;

pub const APPS: usize = 2;
pub const USERS: usize = 4;
const WEEK: i64 = 7 * 86_400;

/// One thing that is done to the ledger.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Watched from now on; under other labels if it is watched already.
    Enrol {
        app: usize,
        user: usize,
        labels: usize,
    },
    /// Answers, the later polls of which see the more.
    Record {
        app: usize,
        user: usize,
        seed: u64,
        after: i64,
    },
    /// The same answer once more, as after a crash.
    Again,
    /// The pair enters the sample, or is closed.
    Draw {
        app: usize,
        user: usize,
        after: i64,
    },
    Leave {
        app: usize,
        user: usize,
        expired: bool,
    },
    Dismiss {
        app: usize,
    },
    Learn {
        app: usize,
    },
    Restart,
}

/// The ledger, the reference beside it, and what was done last.
pub struct Play {
    folder: std::path::PathBuf,
    opened: Option<Opened>,
    pub reference: Reference,
    rows: std::collections::BTreeMap<(usize, usize), i64>,
    now: i64,
    last: Option<((usize, usize), Trace)>,
}

pub fn open(folder: &Path) -> Opened {
    Ledger::open(folder, PUSHED, |_| {}).expect("a temporary folder can be written")
}

pub fn close(opened: Opened) {
    drop(opened.ledger);
    opened.keeper.join().unwrap();
}

pub fn app(number: usize) -> Arc<str> {
    format!("app{number}").into()
}

fn labels(number: usize) -> LabelSet {
    match number {
        0 => LabelSet::from([]),
        n => [("campaign".into(), format!("spring \"{n}\" \u{202e}🎉").into())].into_iter().collect(),
    }
}

/// An answer about a few devices, any leaves of which are reported.
pub fn trace(seed: u64) -> Trace {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut devices = Vec::new();
    for number in 0..dice.usize(0..3) {
        let online = dice.u32(..4) == 0;
        let platform = *dice.choice(&[0, 1, 3, 77]).unwrap();
        let mut leaves = Vec::new();
        for route in Route::ALL {
            // The other route's leaves are rare, and only `event`'s route holds `IMStat`.
            let is_own = (route == Route::Online) == online;
            let stages = route.stages().iter().filter(|stage| is_own || **stage != Stage::Im);
            for stage in stages {
                if dice.u32(..if is_own { 2 } else { 8 }) == 0 {
                    leaves.push(leaf(&mut dice, route, *stage));
                }
            }
        }
        devices.push(Device {
            instance: format!("device{number}"),
            event: if online { Event::Online } else { Event::Offline },
            platform: if online { Platform::Im } else { Platform::Vendor(platform) },
            notifications: *dice.choice(&Notifications::ALL).unwrap(),
            pushed_at: (dice.u32(..4) > 0).then_some(PUSHED),
            leaves,
        });
    }
    Trace { devices, ..Trace::default() }
}

fn leaf(dice: &mut fastrand::Rng, route: Route, stage: Stage) -> Leaf {
    let failed = dice.u32(..4) == 0;
    let code = if failed { dice.i64(-3..4) } else { 0 };
    Leaf {
        route,
        stage,
        outcome: if failed { Outcome::Failure } else { Outcome::Success },
        code,
        reason: failed.then(|| Reason::ALL[code.unsigned_abs() as usize]),
        at: (dice.u32(..5) > 0).then(|| PUSHED + dice.i64(-8..5_000)),
    }
}

impl Play {
    /// Begins with the ledger in `folder`.
    pub fn begin(folder: &Path) -> Play {
        Play {
            folder: folder.to_owned(),
            opened: Some(open(folder)),
            reference: Reference::default(),
            rows: std::collections::BTreeMap::new(),
            now: PUSHED,
            last: None,
        }
    }

    pub fn opened(&self) -> &Opened {
        self.opened.as_ref().expect("it is open")
    }

    pub fn ledger(&self) -> &Ledger {
        &self.opened().ledger
    }

    pub fn end(mut self) -> Reference {
        close(self.opened.take().expect("it is open"));
        self.reference
    }

    /// Opens the folder anew, as it is now: its process died.
    pub fn reopen_after_crash(reference: Reference, folder: &Path) -> Play {
        let mut play = Play::begin(folder);
        play.reference = reference;
        play.reference.restart();
        play
    }

    fn is_watched(&self, key: (usize, usize)) -> bool {
        self.reference.pairs.get(&key).is_some_and(|pair| pair.watched.is_some())
    }

    /// Does it to both, where it has a meaning.
    pub async fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Enrol { app: of, user, labels: number } => {
                let key = (of, user);
                if self.is_watched(key) {
                    self.leave(key, None).await;
                }
                self.enrol(key, &labels(number)).await;
            }
            Deed::Record { app: of, user, seed, after } if self.is_watched((of, user)) => {
                self.now += after;
                self.record((of, user), trace(seed)).await;
            }
            Deed::Again => {
                if let Some((key, trace)) = self.last.clone().filter(|(key, _)| self.is_watched(*key)) {
                    self.record(key, trace).await;
                }
            }
            Deed::Draw { app: of, user, after } if self.is_watched((of, user)) => {
                self.now += after;
                let key = (of, user);
                let labels = self.reference.pairs[&key].watched.clone().unwrap();
                let draw = Draw { row: self.rows[&key], labels };
                let closed = self.ledger().draw(&app(of), vec![draw], self.now).await.unwrap();
                assert_eq!(closed, [self.reference.draw(key, self.now)]);
            }
            Deed::Leave { app: of, user, expired } if self.is_watched((of, user)) => {
                let reason = if expired { Ended::Expired } else { Ended::Removed };
                let is_settled = self.reference.pairs[&(of, user)].ended == Some(Ended::Settled);
                self.leave((of, user), (!is_settled).then_some(reason)).await;
            }
            Deed::Dismiss { app: of } => {
                let live = |((app, _), pair): &(&(usize, usize), &super::reference::Pair)| {
                    *app == of && pair.watched.is_some() && pair.ended.is_none()
                };
                let removed = self.reference.pairs.iter().filter(live).count() as u64;
                self.reference.dismiss(of, removed);
                self.ledger().dismiss(&app(of), removed).await.unwrap();
            }
            Deed::Learn { app: of } => self.ledger().learn(&app(of), vec![7; 40]).await.unwrap(),
            Deed::Restart => {
                close(self.opened.take().expect("it is open"));
                self.reference.restart();
                self.opened = Some(open(&self.folder));
                assert_eq!(self.opened.as_ref().and_then(|opened| opened.quarantined.clone()), None);
            }
            Deed::Record { .. } | Deed::Draw { .. } | Deed::Leave { .. } => {}
        }
    }

    async fn enrol(&mut self, key: (usize, usize), labels: &LabelSet) {
        let enrol = Enrol {
            task: format!("task{}", key.1 % 2),
            user: format!("user{}", key.1),
            labels: labels.clone(),
            pushed_at: None,
            watch_for: if self.reference.is_expired(key) { 0 } else { WEEK },
        };
        let known = self.ledger().enrol(&app(key.0), vec![enrol], self.now).await.unwrap();
        let known = known[0].clone().unwrap();
        self.reference.enrol(key, labels, self.now);
        assert_eq!(known.ended, self.reference.pairs[&key].ended);
        let before = self.rows.insert(key, known.row);
        assert!(before.is_none_or(|row| row == known.row), "a pair keeps its row");
    }

    async fn leave(&mut self, key: (usize, usize), reason: Option<Ended>) {
        let labels = self.reference.pairs[&key].watched.clone().unwrap();
        self.reference.leave(key, reason);
        let leave = Leave { row: self.rows[&key], labels, reason };
        self.ledger().leave(&app(key.0), vec![leave]).await.unwrap();
    }

    async fn record(&mut self, key: (usize, usize), trace: Trace) {
        self.last = Some((key, trace.clone()));
        let labels = self.reference.pairs[&key].watched.clone().unwrap();
        let (news, settled) = self.reference.record(key, &trace, self.now);
        let sighting =
            Sighting { row: self.rows[&key], labels, polled_at: self.now, trace, lags: Arc::default() };
        let verdict = self.ledger().record(&app(key.0), sighting).await.unwrap();
        assert_eq!(verdict.outlook == Outlook::Settled, settled);
        let told = verdict.news.iter().map(|item| {
            let device = &verdict.record.devices[item.device];
            (device.instance.clone(), device.event, item.route, item.stage, item.outcome)
        });
        assert_eq!(told.collect::<super::reference::Leafs>(), news);
        assert_eq!(verdict.news.len(), news.len());
    }

    /// Both show the same, now and later.
    pub fn assert_same(&self) {
        for later in [0, 10, 3_600, 9_000] {
            let minute = (PUSHED + later) / 60 * 60;
            assert_eq!(
                shown(&self.ledger().snapshot(), minute),
                self.reference.figures(minute),
                "{later} s later"
            );
        }
    }
}
