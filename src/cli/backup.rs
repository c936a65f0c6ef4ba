//! `backup`: a verified copy of the ledger, also while the daemon runs.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use timpush_exporter::ledger::{Backup, BackupError};

use super::progress::{Progress, megabytes};
use super::{Flags, blocking, failed, out, stop_signal};

/// Copies, verifies, and names the copy.
pub async fn run(file: &Path, flags: &Flags) -> ExitCode {
    let began = Instant::now();
    let progress = Progress::new(format!("copying the ledger to {}", file.display()));
    // Dropped before its end, the backup takes its file with it.
    let work = async {
        let text = |error: BackupError| error.to_string();
        let backup = Backup::begin(&flags.storage(), file).map_err(text)?;
        let (copying, copy) = (backup.copying(), backup.copying());
        let measured = backup.copying();
        progress.measure(move || measured.progress());
        blocking(move || copy.copy().map_err(text)).await?;
        progress.now(format!("verifying {}", file.display()));
        blocking(move || copying.verify().map_err(text)).await?;
        blocking(move || backup.finish().map_err(text)).await
    };
    let done = tokio::select! {
        // Signals are caught before there is a file.
        biased;
        stopped = stop_signal() => {
            let why = stopped.err().map_or_else(|| "stopped".to_owned(), |error| error.to_string());
            Err(format!("{}: {why}; no backup was made", file.display()))
        }
        done = progress.beside(work) => done,
    };
    match done {
        Ok(bytes) => {
            let (size, took) = (megabytes(bytes), began.elapsed().as_secs_f64());
            let told = format_args!("{}: {size} copied and verified in {took:.1} s\n", file.display());
            out::print(told).err().unwrap_or(ExitCode::SUCCESS)
        }
        Err(why) => failed(&why),
    }
}
