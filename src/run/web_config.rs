//! Keeps the web configuration in force as its files are: a change is taken once it has held for a second.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::web::{Seen, WebConfig, load};
use crate::metrics::ExporterMetrics;
use crate::tree::Faults;
use crate::web::House;

/// How often the files are looked at. A change is in force after two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The file of `--web.config.file`, followed.
#[derive(Debug)]
pub struct WebFile {
    path: PathBuf,
    /// What the files held when they were last taken, or found faulty.
    told: Seen,
    /// A change that was seen once. It is not taken before it is seen again: a file may be in the middle of being
    /// written, and half a file may ask for no password at all.
    pending: Option<(Result<WebConfig, Faults>, Seen)>,
}

impl WebFile {
    /// Reads the file at the start. Blocks.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn open(path: &Path) -> Result<(WebFile, WebConfig), Faults> {
        let (config, told) = load(path);
        Ok((WebFile { path: path.to_owned(), told, pending: None }, config?))
    }

    /// Looks at the files: what came of a change, once it has held from one look to the next. Blocks.
    fn look(&mut self) -> Option<Result<WebConfig, Faults>> {
        match self.pending.take() {
            Some((result, seen)) if seen.is_current() => {
                let is_news = seen != self.told;
                self.told = seen;
                return is_news.then_some(result);
            }
            None if self.told.is_current() => return None,
            _ => self.pending = Some(load(&self.path)),
        }
        None
    }
}

/// Puts a web configuration in force.
pub(super) fn publish(config: WebConfig, house: &House, exporter: &ExporterMetrics) {
    for warning in &config.warnings {
        tracing::warn!("web configuration: {warning}");
    }
    exporter.web_config_worked(config.security.tls.as_ref().map(|tls| tls.expires_at()));
    house.publish_security(config.security);
}

/// Follows the file until the end.
pub(super) async fn follow(
    mut file: WebFile,
    house: Arc<House>,
    exporter: ExporterMetrics,
    cancel: CancellationToken,
) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let looked = tokio::task::spawn_blocking(move || {
            let news = file.look();
            (file, news)
        });
        let Ok((back, news)) = looked.await else {
            tracing::error!(
                "the web configuration is no longer followed: its reader died; restart to follow it"
            );
            exporter.web_config_failed();
            return;
        };
        file = back;
        match news {
            None => {}
            Some(Ok(config)) => {
                publish(config, &house, &exporter);
                tracing::info!("web configuration reloaded");
            }
            Some(Err(faults)) => {
                exporter.web_config_failed();
                for fault in faults.lines() {
                    tracing::error!(fault, "web configuration not reloaded; the one before stays in force");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_is_taken_when_it_holds_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yaml");
        let write = |text: &str| fs::write(&path, text).unwrap();
        write("rate_limit: {interval: 1s, burst: 1}");
        let (mut file, config) = WebFile::open(&path).unwrap();
        assert!(config.security.rate.is_some());
        assert!(file.look().is_none());

        write("{}");
        assert!(file.look().is_none(), "seen once");
        write("rate_limit: {interval: 2s, burst: 1}");
        assert!(file.look().is_none(), "another one, seen once");
        assert!(file.look().unwrap().unwrap().security.rate.is_some());
        assert!(file.look().is_none(), "told once");

        write("rate_limit: {interval: 2s");
        assert!(file.look().is_none());
        write("rate_limit: {interval: 2s, burst: 1}");
        assert!(file.look().is_none());
        assert!(file.look().is_none(), "back to what is in force");

        fs::remove_file(&path).unwrap();
        assert!(file.look().is_none());
        assert!(file.look().unwrap().unwrap_err().to_string().contains("cannot be read"));
        assert!(file.look().is_none(), "a fault is told once");
        write("rate_limit: {interval: 2s, burst: 1}");
        assert!(file.look().is_none());
        assert!(file.look().unwrap().is_ok(), "what was in force before the fault is told to be good again");
    }
}
