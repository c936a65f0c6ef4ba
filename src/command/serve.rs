//! Serves until a signal says stop; SIGHUP reloads.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

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
    let daemon = match Daemon::start(options, config, web).await {
        Ok(daemon) => daemon,
        Err(Failure::Config(fault)) => return unusable(&fault),
        Err(error) => return failed(&error.to_string()),
    };
    for address in daemon.addresses() {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    }
    let reloads = match reload_on_hangup(daemon.reloader()) {
        Ok(reloads) => reloads,
        Err(error) => return failed(&format!("signals: {error}")),
    };
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

fn reload_on_hangup(reloader: Reloader) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // How it went is in the log and the metrics.
            let _ = reloader.reload().await;
        }
    }))
}
