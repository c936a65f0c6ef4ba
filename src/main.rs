//! The command line: parse, dispatch, exit code.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use clap::Parser;

use cli::{Command, Flags};

fn main() -> ExitCode {
    cli::forbid_core_dumps();
    cli::write_private_files();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => return cli::unusable(&cli::in_one_line(&error)),
        Err(help) => return cli::out::ended(help.print()).err().unwrap_or(ExitCode::SUCCESS),
    };
    cli::log::start(flags.log_level, flags.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::failed(&format!("runtime: {error}")),
    };
    let ended = runtime.block_on(dispatch(flags));
    runtime.shutdown_background();
    ended
}

async fn dispatch(flags: Flags) -> ExitCode {
    match &flags.command {
        Some(_) if flags.config_check => cli::unusable("--config.check: goes with no subcommand"),
        Some(Command::Demo(demo)) => cli::demo::run(demo, flags.storage.as_deref()).await,
        Some(Command::Simulate(simulate)) => cli::simulate::run(simulate).await,
        Some(Command::Trace(trace)) => cli::trace::run(trace, &flags).await,
        Some(Command::Usersig { app }) => cli::usersig(app, &flags),
        Some(Command::Backup { file }) => cli::backup::run(file, &flags).await,
        None if flags.config_check => cli::check(&flags).await,
        None => cli::serve::run(flags).await,
    }
}
