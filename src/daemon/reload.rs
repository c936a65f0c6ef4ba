//! Reloads of the configuration, one at a time: who asks for them, and the one that is being read.

use tokio::sync::{mpsc, oneshot};

use crate::web;

use super::config_reader::ReadConfig;

/// Reloads that may wait.
pub(super) const RELOADS_CAP: usize = 16;

/// Asks for a reload and tells how it went: nothing, or the faults.
pub(super) type Reload = oneshot::Sender<Result<(), String>>;

/// Asks a running daemon to reload.
#[derive(Clone, Debug)]
pub struct Reloader(mpsc::Sender<Reload>);

impl Reloader {
    pub(super) fn new(reloads: mpsc::Sender<Reload>) -> Reloader {
        Reloader(reloads)
    }

    /// What `POST /-/reload` calls.
    pub(super) fn over_http(self) -> web::ReloadHandler {
        Box::new(move || {
            let reloader = self.clone();
            Box::pin(async move { reloader.reload().await })
        })
    }

    /// Reloads and waits for its end.
    ///
    /// # Errors
    /// All faults; the configuration before stays in force.
    pub async fn reload(&self) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let closed = || "the daemon is stopping".to_owned();
        self.0.send(done).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

/// Waits for the configuration that is being read, and gives who asked for it; for ever if none is.
pub(super) async fn next_read<F: Future<Output = ReadConfig> + Unpin>(
    reading: &mut Option<(Reload, F)>,
) -> (Reload, ReadConfig) {
    let read = match reading {
        Some((_, reading)) => reading.await,
        None => std::future::pending().await,
    };
    let (done, _) = reading.take().expect("it was just awaited");
    (done, read)
}
