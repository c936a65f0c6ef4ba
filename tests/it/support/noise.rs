//! How punctual the machine is while something is measured: what no program can keep must not be blamed on ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a measurement is begun anew when the machine was not punctual.
const ATTEMPTS: usize = 2;
/// The nap that the watching thread asks for, again and again.
const NAP: Duration = Duration::from_millis(1);
/// A nap that takes so much longer is a stall.
const STALL: Duration = Duration::from_millis(1);

/// A machine that stalls more often is too busy to measure on.
const MOST_STALLS_PER_SECOND: f64 = 1.0;
/// So many stalls excuse one early request on such a machine.
const STALLS_PER_EXCUSE: u64 = 4;

/// A promise that was not kept.
#[derive(Debug, PartialEq)]
pub struct Breach {
    /// Requests that came early.
    pub early: u64,
    /// What was measured.
    pub words: String,
}

/// What the machine did while something was measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noise {
    stalls: u64,
    longest: Duration,
    watched: Duration,
}

impl Noise {
    fn is_too_great(&self) -> bool {
        self.stalls as f64 > MOST_STALLS_PER_SECOND * self.watched.as_secs_f64()
    }

    /// Whether so many early requests can be the machine's fault: it stalled all the time, and far more often.
    pub fn excuses(&self, early: u64) -> bool {
        early == 0 || (self.is_too_great() && early <= self.stalls / STALLS_PER_EXCUSE)
    }
}

/// Watches from its start to its end.
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Noise>,
}

impl Watch {
    pub fn start() -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (mut noise, first) = (Noise::default(), Instant::now());
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(NAP);
                let late = began.elapsed().saturating_sub(NAP);
                noise.stalls += u64::from(late > STALL);
                noise.longest = noise.longest.max(late);
            }
            noise.watched = first.elapsed();
            noise
        });
        Watch { over, thread }
    }

    pub fn end(self) -> Noise {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Measures, and once more where the machine was too busy. A breach on a machine that woke everybody in time is a
/// failure; on one that did not, early requests must still be far fewer than the times it was late.
pub fn fairly(mut measure: impl FnMut() -> Result<(), Breach>) {
    for attempt in 1..=ATTEMPTS {
        let watch = Watch::start();
        let measured = measure();
        let noise = watch.end();
        let Err(breach) = measured else { return };
        println!("{breach:?} with {noise:?}");
        assert!(noise.is_too_great(), "{breach:?} on a machine that was in time: {noise:?}");
        let excused = noise.excuses(breach.early);
        assert!(attempt < ATTEMPTS || excused, "{breach:?} is more than {noise:?} excuses");
    }
    println!("NOT MEASURED: the machine was too busy");
}
