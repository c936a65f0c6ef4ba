//! The flags and the subcommands behind them.

pub mod demo;
mod flags;
pub mod log;
mod notify;
mod progress;
pub mod serve;
pub mod simulate;
pub mod trace;
mod trace_table;

use std::process::ExitCode;

use secrecy::ExposeSecret;

use timpush_exporter::config::{self, App, Config};
use timpush_exporter::run::clock::wall_seconds;
use timpush_exporter::usersig::{Identity, Signer};

pub use flags::{Command, DemoFlags, Flags, SimulateFlags, TraceFlags};

/// A core file would hold keys and signatures. (The memory of a process is no secret from who may attach to it.)
pub fn forbid_core_dumps() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Whoever starts a process may always lower its limits.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

/// Something failed while running: exit status 1.
pub fn failed(why: &str) -> ExitCode {
    eprintln!("timpush_exporter: {why}");
    ExitCode::FAILURE
}

/// Flags or configuration cannot be used: exit status 2, one line for each fault.
pub fn unusable(faults: &str) -> ExitCode {
    eprintln!("{}", faults.trim_end());
    ExitCode::from(UNUSABLE)
}

/// Exit status for unusable flags or configuration.
pub const UNUSABLE: u8 = 2;

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// The signals cannot be caught.
pub async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// `--config.check`: every fault, or a summary with the capacity of each app.
pub async fn check(flags: &Flags) -> ExitCode {
    match with_config("checking", flags, |config| config::summary(&config)).await {
        Ok(summary) => {
            print!("{summary}");
            ExitCode::SUCCESS
        }
        Err(ended) => ended,
    }
}

/// Loads the configuration and makes something of it, or says what is wrong with it. Long lists take their time, in
/// which a terminal is told so.
async fn with_config<T: Send + 'static>(
    doing: &str,
    flags: &Flags,
    make: impl FnOnce(Config) -> T + Send + 'static,
) -> Result<T, ExitCode> {
    let file = flags.config_file.clone();
    let progress = progress::Progress::new(format!("{doing} {}", file.display()));
    let loading = tokio::task::spawn_blocking(move || config::load(&file).map(make));
    match progress.beside(loading).await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(faults)) => Err(unusable(&faults.to_string())),
        Err(error) => Err(failed(&format!("configuration: {error}"))),
    }
}

/// `usersig`: a fresh signature for use with curl.
pub fn usersig(name: &str, flags: &Flags) -> ExitCode {
    let config = match config::load(&flags.config_file) {
        Ok(config) => config,
        Err(faults) => return unusable(&faults.to_string()),
    };
    let app = match app_named(&config, name) {
        Ok(app) => app,
        Err(why) => return unusable(&why),
    };
    match signer(app).current(wall_seconds()) {
        Ok(signed) => {
            println!("{}", signed.text.expose_secret());
            ExitCode::SUCCESS
        }
        Err(error) => failed(&format!("app {name}: {error}")),
    }
}

fn signer(app: &App) -> Signer {
    Signer::new(Identity { sdk_app_id: app.sdk_app_id, admin: app.admin.clone() }, app.credential.clone())
}

fn app_named<'a>(config: &'a Config, name: &str) -> Result<&'a App, String> {
    let names = || config.apps.iter().map(|app| app.name.as_ref()).collect::<Vec<_>>().join(", ");
    let found = config.apps.iter().find(|app| *app.name == *name);
    found.ok_or_else(|| format!("--app: {} has no app {name:?}; it has {}", config.file.display(), names()))
}
