//! The command line: parse, dispatch, exit code.

mod command;

use std::process::ExitCode;

use clap::Parser;

use command::{Command, Flags};

fn main() -> ExitCode {
    command::forbid_core_dumps();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => return command::unusable(&command::in_one_line(&error)),
        Err(help) => {
            // Nothing is left to be done where not even this can be printed.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    command::log::start(flags.log_level, flags.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return command::failed(&format!("runtime: {error}")),
    };
    let ended = runtime.block_on(dispatch(flags));
    runtime.shutdown_background();
    ended
}

async fn dispatch(flags: Flags) -> ExitCode {
    match &flags.command {
        Some(_) if flags.config_check => command::unusable("--config.check: goes with no subcommand"),
        Some(Command::Demo(demo)) => command::demo::run(demo, flags.storage.as_deref()).await,
        Some(Command::Simulate(simulate)) => command::simulate::run(simulate).await,
        Some(Command::Trace(trace)) => command::trace::run(trace, &flags).await,
        Some(Command::Usersig { app }) => command::usersig(app, &flags),
        None if flags.config_check => command::check(&flags).await,
        None => command::serve::run(flags).await,
    }
}
