//! Keeps the web configuration in force as its files are: a change is taken once it has held for a second.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::web::{ReadFiles, WebConfig, load};
use crate::document::Faults;
use crate::metrics::ExporterMetrics;
use crate::sys::{Hung, run_blocking};
use crate::web::AppState;

use crate::poller::clock::wall_seconds;
use crate::view::ReloadFailure;

/// How often the files are looked at. A change is in force after two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A look that takes longer is told as a failure.
const DEADLINE: Duration = Duration::from_secs(10);

/// The file of `--web.config.file`, followed.
#[derive(Debug)]
pub struct WebFile {
    path: PathBuf,
    /// What the files held when they were last taken, or found faulty; `None` to take them anew.
    told: Option<ReadFiles>,
    /// A change that was seen once. It is not taken before it is seen again: a file may be in the middle of being
    /// written, and half a file may ask for no password at all.
    pending: Option<(Result<WebConfig, Faults>, ReadFiles)>,
}

impl WebFile {
    /// Reads the file at the start. Blocks.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn open(path: &Path) -> Result<(WebFile, WebConfig), Faults> {
        let (config, told) = load(path);
        Ok((WebFile { path: path.to_owned(), told: Some(told), pending: None }, config?))
    }

    /// Looks at the files: what came of a change, once it has held from one look to the next. Blocks.
    fn look(&mut self) -> Option<Result<WebConfig, Faults>> {
        match self.pending.take() {
            Some((result, seen)) if seen.is_current() => {
                let seen = Some(seen);
                let is_news = seen != self.told;
                self.told = seen;
                return is_news.then_some(result);
            }
            None if self.told.as_ref().is_some_and(ReadFiles::is_current) => return None,
            _ => self.pending = Some(load(&self.path)),
        }
        None
    }

    /// Takes the files anew, even if they are as they were.
    fn forget(&mut self) {
        self.told = None;
    }
}

/// Puts a web configuration in force.
pub(super) fn publish(config: WebConfig, app_state: &AppState, exporter: &ExporterMetrics) {
    for warning in &config.warnings {
        tracing::warn!("web configuration: {warning}");
    }
    exporter.web_config_worked(config.security.tls.as_ref().map(|tls| tls.expires_at()));
    app_state.publish_security(config.security);
}

/// Follows the file until the end.
pub(super) async fn follow(
    file: WebFile,
    app_state: Arc<AppState>,
    exporter: ExporterMetrics,
    cancel: CancellationToken,
) {
    tokio::select! {
        () = cancel.cancelled() => {}
        never = follow_on(file, &app_state, &exporter) => match never {},
    }
}

/// A reader that dies takes this task along.
async fn follow_on(mut file: WebFile, app_state: &AppState, exporter: &ExporterMetrics) -> Infallible {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let looking = run_blocking(move || {
            let news = file.look();
            (file, news)
        });
        tokio::pin!(looking);
        let looked = tokio::time::timeout(DEADLINE, &mut looking).await;
        let has_hung = looked.is_err();
        let news;
        (file, news) = match looked {
            Ok(looked) => looked,
            Err(_) => {
                refused(&Hung(DEADLINE).to_string(), app_state, exporter);
                // No second thread joins one that hangs.
                looking.await
            }
        };
        match news {
            // It is told to be good again once it was taken anew.
            None if has_hung => file.forget(),
            None => {}
            Some(Ok(config)) => {
                publish(config, app_state, exporter);
                tracing::info!("web configuration reloaded");
            }
            Some(Err(faults)) => refused(&faults.to_string(), app_state, exporter),
        }
    }
}

fn refused(faults: &str, app_state: &AppState, exporter: &ExporterMetrics) {
    exporter.web_config_failed();
    app_state.publish_web_config_failure(ReloadFailure::new(wall_seconds(), faults));
    for fault in faults.lines() {
        tracing::error!(fault, "web configuration not reloaded; the one before stays in force");
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

        file.forget();
        assert!(file.look().is_none());
        assert!(file.look().unwrap().is_ok(), "taken anew");
        assert!(file.look().is_none());
    }
}
