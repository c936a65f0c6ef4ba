//! The flags and the subcommands behind them.

pub mod demo;
mod flags;
pub mod log;
mod notify;
pub mod serve;
pub mod simulate;
pub mod trace;

use std::path::Path;
use std::process::ExitCode;

use secrecy::ExposeSecret;

use timpush_exporter::config::{self, App, Config};
use timpush_exporter::run::clock::wall_seconds;
use timpush_exporter::tree::Faults;
use timpush_exporter::usersig::{Identity, Signer};

pub use flags::{Command, DemoFlags, Flags, SimulateFlags, TraceFlags};

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
pub fn check(flags: &Flags) -> ExitCode {
    match load(flags, |path| config::web::load(path).0) {
        Ok((config, web)) => {
            print!("{}", config::summary(&config));
            if let (Some(web), Some(path)) = (web, &flags.web_config_file) {
                print!("\n{}", web.summary(path));
            }
            ExitCode::SUCCESS
        }
        Err(faults) => unusable(&faults),
    }
}

/// The configuration, and by `web` that of `--web.config.file` where one is named; or the faults of both.
fn load<T>(
    flags: &Flags,
    web: impl FnOnce(&Path) -> Result<T, Faults>,
) -> Result<(Config, Option<T>), String> {
    let config = config::load(&flags.config_file);
    let web = flags.web_config_file.as_deref().map(web).transpose();
    match (config, web) {
        (Ok(config), Ok(web)) => Ok((config, web)),
        (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => Err(faults.to_string()),
        (Err(one), Err(other)) => Err(format!("{one}\n{other}")),
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
