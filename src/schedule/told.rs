//! What the schedule is told and what it tells: plain values of its own.

/// Names a pair; the numbers should be dense. The highest bit is not used.
pub type Slot = u32;

/// A moment in Unix milliseconds of the clock that the caller uses throughout.
pub type Millis = i64;

/// The way a push takes to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Offline,
    Online,
}

/// One result that a stage of a device has reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// A failure; a success otherwise.
    pub failed: bool,
    /// `EventTime`, where it could be read.
    pub at: Option<Millis>,
    /// The look that saw it first.
    pub seen_at: Millis,
    /// This very look brought it. Always false in a [`Seed`].
    pub fresh: bool,
}

/// Number of stages: im, offline, channel, device, click.
pub const STAGES: usize = 5;

/// All that is known of one device of a pair on one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// The upstream's number of the vendor; of no meaning on the online route.
    pub platform: i64,
    pub route: Route,
    /// By stage in the order im, offline, channel, device, click; the online route has no offline and no click.
    pub reports: [Option<Report>; STAGES],
}

/// What the schedule is told of a pair when it enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed<'a> {
    /// Names the task: pairs with the same number are looked at for the first time in random order.
    pub task: u32,
    /// Of the push, or of the enrolment where the push time is unknown; looks begin then.
    pub pushed_at: Millis,
    pub polled_at: Option<Millis>,
    /// Watching ends here.
    pub ends_at: Millis,
    /// Nothing more can come: it is only kept until it ends.
    pub settled: bool,
    /// Its place in the random order in which pairs enter the sample: the same at each start, and of no other meaning.
    pub order: u32,
    /// It is in the sample already, and closed.
    pub is_sampled: bool,
    pub is_closed: bool,
    /// What is known of its devices from earlier looks.
    pub devices: &'a [Device],
}

/// What became of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// An answer came and is kept.
    Answered {
        settled: bool,
        /// It is in the sample, and closed there.
        is_closed: bool,
        /// Where all its devices are complete, but the pair is not settled: the poll that may settle it comes no earlier.
        confirm_from: Option<Millis>,
        pushed_at: Option<Millis>,
        ends_at: Millis,
        /// All that is known of its devices now.
        devices: &'a [Device],
    },
    /// The API refuses this pair.
    Refused,
    /// Something else failed; the next look comes no earlier than this long after.
    Failed { at_least: Millis },
}

/// The state of a pair that is listed; the label `state` of `timpush_watched_pairs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Never answered yet.
    New,
    Active,
    Settled,
    /// The API refuses the pair, or its polls keep failing.
    Failing,
}

impl State {
    pub const ALL: [State; 4] = [State::New, State::Active, State::Settled, State::Failing];

    /// The value of the label `state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::New => "new",
            State::Active => "active",
            State::Settled => "settled",
            State::Failing => "failing",
        }
    }
}
