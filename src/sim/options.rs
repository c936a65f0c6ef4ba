//! What a simulator is started with.
use std::{io, net::SocketAddr, time::Duration};

use secrecy::SecretString;

/// An app that the simulator plays the upstream for.
#[derive(Clone, Debug)]
pub struct Account {
    pub sdk_app_id: u64,
    /// The one `identifier` that may ask; a valid signature of any other is answered with 90009.
    pub admin: String,
    /// The text that signatures are checked with; any UTF-8.
    pub key: SecretString,
}

impl Account {
    pub fn new(sdk_app_id: u64, admin: &str, key: &str) -> Account {
        Account { sdk_app_id, admin: admin.to_owned(), key: key.into() }
    }
}

/// What a question for a pair outside the population gets. The manual does not know what the upstream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPairs {
    /// Code 90049, "invalid TaskId / no push record".
    Refuse,
    /// Code 0 with an empty `InstanceTrace`.
    Empty,
}

/// How large the population of each app is and when its pushes go out. All have the same shape, and each its own people.
#[derive(Clone, Debug)]
pub struct PopulationOptions {
    /// Pushes sent, at most [`PopulationOptions::MAX_TASKS`].
    pub tasks: u32,
    /// Recipients of every task, the same people each time, at most [`PopulationOptions::MAX_USERS`].
    pub users_per_task: u32,
    /// Real time (not divided by `speed`) over which the pushes of the tasks still to come are spread evenly,
    /// the first at the start of the simulator; those that lie in the past are spread as long backwards.
    pub push_span: Duration,
    /// Share of the tasks, 0 to 1, whose push lies before the start of the simulator.
    pub past_share: f64,
}

impl PopulationOptions {
    /// A task's number has six hexadecimal digits in its name.
    pub const MAX_TASKS: u32 = 1 << 24;
    /// A user's number has six digits in its name.
    pub const MAX_USERS: u32 = 1_000_000;
}

/// Everything that shapes a simulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes a free one, see `Simulator::address`.
    pub listen: SocketAddr,
    /// The same seed, apps and population give the same people, and the same fate of every push.
    pub seed: u64,
    /// Delays of the population (never those of the rate or the lock-out) are divided by this; 60 makes an hour a minute.
    pub speed: f64,
    /// Each app's whole budget; a request that arrives earlier than the inverse after the one before is answered with 60007.
    pub requests_per_second: f64,
    /// The zone of the time strings, seconds east of UTC.
    pub zone_offset_seconds: i32,
    pub apps: Vec<Account>,
    pub population: PopulationOptions,
    pub unknown_pairs: UnknownPairs,
    /// Failed verifications within this real time that lock an app out (70050).
    pub lockout_failures: u32,
    /// The time in which failures are counted, and how long the lock-out lasts after the last of them.
    pub lockout_window: Duration,
}

impl Default for Options {
    /// A free port of 127.0.0.1, no app, one request a second, +08:00, a population of 20 tasks for 50 users within ten minutes.
    fn default() -> Options {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            speed: 1.0,
            requests_per_second: 1.0,
            zone_offset_seconds: 8 * 3_600,
            apps: Vec::new(),
            population: PopulationOptions {
                tasks: 20,
                users_per_task: 50,
                push_span: Duration::from_secs(600),
                past_share: 0.25,
            },
            unknown_pairs: UnknownPairs::Refuse,
            lockout_failures: 5,
            lockout_window: Duration::from_secs(60),
        }
    }
}

impl Options {
    /// The smallest gap between two requests of one app that is not early.
    pub(super) fn smallest_gap(&self) -> Duration {
        Duration::from_secs_f64(self.requests_per_second.recip())
    }

    /// The first fault, named by its field.
    pub(super) fn check(&self) -> io::Result<()> {
        let positive = |number: f64| number.is_finite() && number > 0.0;
        let population = &self.population;
        let mut ids: Vec<u64> = self.apps.iter().map(|app| app.sdk_app_id).collect();
        ids.sort_unstable();
        let rules = [
            (positive(self.speed), "speed: must be a number above 0"),
            (
                positive(self.requests_per_second)
                    && Duration::try_from_secs_f64(self.requests_per_second.recip()).is_ok(),
                "requests_per_second: must be a number above 0",
            ),
            (self.zone_offset_seconds.abs() < 86_400, "zone_offset_seconds: must be less than a day"),
            (ids.windows(2).all(|two| two[0] != two[1]), "apps: sdk_app_id must be unique"),
            (population.tasks <= PopulationOptions::MAX_TASKS, "population.tasks: must be at most 16777216"),
            (
                population.users_per_task <= PopulationOptions::MAX_USERS,
                "population.users_per_task: must be at most 1000000",
            ),
            ((0.0..=1.0).contains(&population.past_share), "population.past_share: must be from 0 to 1"),
            (self.lockout_failures > 0, "lockout_failures: must be at least 1"),
        ];
        match rules.iter().find(|(kept, _)| !kept) {
            None => Ok(()),
            Some((_, fault)) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("simulator options: {fault}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_in_what_options_print() {
        let account = Account::new(1, "administrator", "the secret text");
        let options = Options { apps: vec![account], ..Default::default() };
        let printed = format!("{options:?}");
        assert!(printed.contains("administrator") && !printed.contains("secret text"), "{printed}");
    }

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let refused = |options: Options, field: &str| {
            let error = options.check().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(field), "{error}");
        };
        refused(Options { speed: 0.0, ..Options::default() }, "speed");
        refused(Options { speed: f64::NAN, ..Options::default() }, "speed");
        refused(Options { requests_per_second: 1e-300, ..Options::default() }, "requests_per_second");
        refused(Options { zone_offset_seconds: 86_400, ..Options::default() }, "zone_offset_seconds");
        refused(
            Options {
                apps: vec![Account::new(1, "a", "k"), Account::new(1, "b", "k")],
                ..Options::default()
            },
            "sdk_app_id",
        );
        refused(Options { lockout_failures: 0, ..Options::default() }, "lockout_failures");
        let population = PopulationOptions { past_share: 1.1, ..Options::default().population };
        refused(Options { population, ..Options::default() }, "past_share");
    }
}
