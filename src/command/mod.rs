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

use std::path::Path;
use std::process::ExitCode;

use secrecy::ExposeSecret;

use timpush_exporter::config::{self, App, Config};
use timpush_exporter::run::clock::wall_seconds;
use timpush_exporter::tree::Faults;

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
const UNUSABLE: u8 = 2;

/// What is wrong with the flags, as one line like every other fault.
pub fn in_one_line(error: &clap::Error) -> String {
    let told = error.to_string();
    let words = told.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let words = words.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let line = words.collect::<Vec<_>>().join(" ");
    let line = line.trim_start_matches("error: ").replace(" tip: ", "; ");
    format!("{line}; see --help")
}

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
    let (config_file, web_file) = (flags.config_file.clone(), flags.web_config_file.clone());
    let checking = move || {
        let (config, web) = load(&config_file, web_file.as_deref(), |path| config::web::load(path).0)?;
        let web = web.zip(web_file).map(|(web, path)| format!("\n{}", web.summary(&path)));
        Ok(config::summary(&config) + &web.unwrap_or_default())
    };
    match beside_progress("checking", flags, checking).await {
        Ok(summary) => {
            print!("{summary}");
            ExitCode::SUCCESS
        }
        Err(ended) => ended,
    }
}

/// Loads the configuration, or says what is wrong with it.
async fn configuration(doing: &str, flags: &Flags) -> Result<Config, ExitCode> {
    let file = flags.config_file.clone();
    beside_progress(doing, flags, move || config::load(&file).map_err(|faults| faults.to_string())).await
}

/// Does something with the configuration file, or says what is wrong with it. Long lists take their time, in which a
/// terminal is told so.
async fn beside_progress<T: Send + 'static>(
    doing: &str,
    flags: &Flags,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, ExitCode> {
    let progress = progress::Progress::new(format!("{doing} {}", flags.config_file.display()));
    match progress.beside(tokio::task::spawn_blocking(work)).await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(faults)) => Err(unusable(&faults)),
        Err(error) => Err(failed(&format!("configuration: {error}"))),
    }
}

/// The configuration, and by `read_web` that of `--web.config.file` where one is named; or the faults of both.
fn load<T>(
    config_file: &Path,
    web_file: Option<&Path>,
    read_web: impl FnOnce(&Path) -> Result<T, Faults>,
) -> Result<(Config, Option<T>), String> {
    let config = config::load(config_file);
    let web = web_file.map(read_web).transpose();
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
    match app.signer().current(wall_seconds()) {
        Ok(signed) => {
            println!("{}", signed.text.expose_secret());
            ExitCode::SUCCESS
        }
        Err(error) => failed(&format!("app {name}: {error}")),
    }
}

fn app_named<'a>(config: &'a Config, name: &str) -> Result<&'a App, String> {
    let names = || config.apps.iter().map(|app| app.name.as_ref()).collect::<Vec<_>>().join(", ");
    let found = config.apps.iter().find(|app| *app.name == *name);
    found.ok_or_else(|| format!("--app: {} has no app {name:?}; it has {}", config.file.display(), names()))
}
