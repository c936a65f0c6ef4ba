//! Reads a configuration with all that it names, off the runtime and with a deadline.

use std::path::Path;
use std::time::Duration;

use crate::config::{self, Config};
use crate::sys::Blocking;

use crate::poller::first_look::FirstLooks;

/// After so long a reload is given up.
const DEADLINE: Duration = Duration::from_secs(20);

/// A configuration and the sources of its apps, or all faults.
pub(super) type ReadConfig = Result<(Config, FirstLooks), String>;

/// Reads configurations one at a time.
#[derive(Clone, Debug)]
pub(super) struct ConfigReader(Blocking);

impl Default for ConfigReader {
    fn default() -> ConfigReader {
        ConfigReader(Blocking::new(DEADLINE))
    }
}

impl ConfigReader {
    /// What the file says, and the sources of its apps, not looked at yet.
    ///
    /// # Errors
    /// All faults, or that it took too long.
    pub async fn read(&self, path: &Path) -> ReadConfig {
        let file = path.to_owned();
        let reading = move || {
            let config = config::load(&file).map_err(|faults| faults.to_string())?;
            let looks = FirstLooks::of(&config.apps)?;
            Ok((config, looks))
        };
        let read = self.0.run(reading).await;
        read.unwrap_or_else(|hung| Err(format!("{} and the files it names: {hung}", path.display())))
    }
}
