//! Standard output and standard error: a reader that has gone is a quiet end, never a panic.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Prints, without colours where they have no place: no terminal, or NO_COLOR.
///
/// # Errors
/// How the program ends: quietly where nobody reads any more.
pub fn print(text: impl Display) -> Result<(), ExitCode> {
    let mut out = anstream::stdout().lock();
    ended(write!(out, "{text}").and_then(|()| out.flush()))
}

/// What comes of an attempt to print.
///
/// # Errors
/// As [`print`].
pub fn ended(printed: std::io::Result<()>) -> Result<(), ExitCode> {
    printed.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => failed(&format!("standard output: {error}")),
    })
}

/// Something failed while running: exit status 1.
pub fn failed(why: &str) -> ExitCode {
    say(format_args!("timpush_exporter: {why}"));
    ExitCode::FAILURE
}

/// Flags or configuration cannot be used: exit status 2, one line for each fault.
pub fn unusable(faults: &str) -> ExitCode {
    say(faults.trim_end());
    ExitCode::from(UNUSABLE)
}

/// Exit status for unusable flags or configuration.
const UNUSABLE: u8 = 2;

/// Says a line to standard error.
fn say(line: impl Display) {
    // There is nowhere left to complain.
    let _ = writeln!(std::io::stderr(), "{line}");
}
