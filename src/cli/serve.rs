//! Serves until a signal says stop; SIGHUP reloads.

use std::convert::Infallible;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use timpush_exporter::config;
use timpush_exporter::daemon::{Daemon, Failure, Options, Reloader, WebFile};

use super::{Flags, both, failed, notify, stop_signal, unusable};

/// Runs the daemon.
pub async fn run(flags: Flags) -> ExitCode {
    let web = flags.web_config_file.as_deref().map(WebFile::open);
    let (config, web) = match both(config::load(&flags.config_file), web) {
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
    let reloads = reload_on_hangup(hangup, daemon.reloader());
    tokio::select! {
        ended = daemon.observed_by(notify::observer()).run(stopped()) => end(ended),
        never = reloads => match never {},
    }
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

async fn reload_on_hangup(mut hangup: Signal, reloader: Reloader) -> Infallible {
    while hangup.recv().await.is_some() {
        // How it went is in the log and the metrics.
        let _ = reloader.reload().await;
    }
    std::future::pending().await // No signal comes any more.
}
