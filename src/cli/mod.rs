//! The flags and the subcommands behind them.

pub mod backup;
pub mod demo;
mod flags;
pub mod log;
mod notify;
pub mod out;
mod progress;
pub mod serve;
pub mod simulate;
pub mod trace;
mod trace_table;

use std::process::ExitCode;

use secrecy::ExposeSecret;

use timpush_exporter::config::{self, App, Config};
use timpush_exporter::document::Faults;
use timpush_exporter::poller::clock::wall_seconds;

pub use flags::{Command, DemoFlags, Flags, SimulateFlags, TraceFlags};
pub use out::{failed, unusable};

/// A core file would hold keys and signatures. (The memory of a process is no secret from who may attach to it.)
pub fn forbid_core_dumps() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Whoever starts a process may always lower its limits.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

/// What the program writes is for its user alone, whatever the mode of the folder: a folder that was there before keeps
/// its own.
pub fn write_private_files() {
    use rustix::fs::Mode;
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(before | Mode::RWXG | Mode::RWXO);
}

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
    let storage = flags.storage();
    let checking = async move {
        let reading = move || {
            let web = web_file.map(|path| config::web::load(&path).0.map(|web| web.summary(&path)));
            both(config::check(&config_file), web)
        };
        let (mut config, web) = blocking(reading).await?;
        config.warnings.extend(config::storage_warning(&storage));
        let lists = config::Lists::read(&config).await.map_err(|faults| faults.to_string())?;
        let web = web.map(|summary| format!("\n{summary}"));
        Ok(config::summary(&config, &lists) + &web.unwrap_or_default())
    };
    match beside_progress("checking", flags, checking).await {
        Ok(summary) => out::print(summary).err().unwrap_or(ExitCode::SUCCESS),
        Err(ended) => ended,
    }
}

/// Loads the configuration, or says what is wrong with it.
async fn configuration(doing: &str, flags: &Flags) -> Result<Config, ExitCode> {
    let file = flags.config_file.clone();
    let loading = blocking(move || config::load(&file).map_err(|faults| faults.to_string()));
    beside_progress(doing, flags, loading).await
}

/// Does something with the configuration file, or says what is wrong with it. Long lists take their time, in which a
/// terminal is told so.
async fn beside_progress<T>(
    doing: &str,
    flags: &Flags,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, ExitCode> {
    let progress = progress::Progress::new(format!("{doing} {}", flags.config_file.display()));
    progress.beside(work).await.map_err(|faults| unusable(&faults))
}

/// Runs work on the threads for such that blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// What was read of the configuration and, where one is named, of `--web.config.file`; or the faults of both.
fn both<T>(
    config: Result<Config, Faults>,
    web: Option<Result<T, Faults>>,
) -> Result<(Config, Option<T>), String> {
    let web = web.transpose();
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
    let mut signer = app.signer();
    signer.read_now();
    match signer.current(wall_seconds()) {
        Ok(signed) => {
            let printed = out::print(format_args!("{}\n", signed.text.expose_secret()));
            printed.err().unwrap_or(ExitCode::SUCCESS)
        }
        Err(error) => failed(&format!("app {name}: {error}")),
    }
}

fn app_named<'a>(config: &'a Config, name: &str) -> Result<&'a App, String> {
    let names = || config.apps.iter().map(|app| app.name.as_ref()).collect::<Vec<_>>().join(", ");
    let found = config.apps.iter().find(|app| *app.name == *name);
    found.ok_or_else(|| format!("--app: {} has no app {name:?}; it has {}", config.file.display(), names()))
}
