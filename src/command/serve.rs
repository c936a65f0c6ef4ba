//! Serves until a signal says stop; SIGHUP reloads.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use timpush_exporter::run::{Daemon, Failure, Options, Reloader, WebFile};

use super::{Flags, failed, load, notify, stop_signal, unusable};

/// Runs the daemon.
pub async fn run(flags: Flags) -> ExitCode {
    let (config, web) = match load(&flags.config_file, flags.web_config_file.as_deref(), WebFile::open) {
        Ok(loaded) => loaded,
        Err(faults) => return unusable(&faults),
    };
    let options = Options {
        storage: flags.storage(),
        config_file: flags.config_file,
        listen: flags.listen,
        lifecycle: flags.lifecycle,
        watch_api: flags.watch_api,
    };
    // From now on, so that no SIGHUP ends a daemon that is still starting.
    let hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return failed(&format!("signals: {error}")),
    };
    let daemon = match Daemon::start(options, config, web).await {
        Ok(daemon) => daemon,
        Err(Failure::Config(fault)) => return unusable(&fault),
        Err(error) => return failed(&error.to_string()),
    };
    for address in daemon.addresses() {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    }
    let reloads = tokio::spawn(reload_on_hangup(hangup, daemon.reloader()));
    let ended = daemon.observed_by(notify::observer()).run(stopped()).await;
    reloads.abort();
    end(ended)
}

/// Done at the first signal to stop; the second one ends the process at once.
pub async fn stopped() {
    if let Err(error) = stop_signal().await {
        tracing::error!(%error, "signals cannot be caught");
        return;
    }
    tokio::spawn(async {
        if stop_signal().await.is_ok() {
            std::process::exit(1);
        }
    });
}

/// The exit status of a daemon that ended.
pub fn end(ended: Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

async fn reload_on_hangup(mut hangup: Signal, reloader: Reloader) {
    while hangup.recv().await.is_some() {
        // How it went is in the log and the metrics.
        let _ = reloader.reload().await;
    }
}
