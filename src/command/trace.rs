//! One question through the same client, signer and budget, and what came of it.

use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::oneshot;

use timpush_exporter::api::client::{Client, Departure, Question};
use timpush_exporter::budget::{Budget, Moment};
use timpush_exporter::config::App;
use timpush_exporter::run::BUDGET_FOLDER;
use timpush_exporter::run::clock::wall_seconds;
use timpush_exporter::trace::{Trace, read};
use timpush_exporter::tree::format_duration;

use super::progress::Progress;
use super::trace_table::{in_json, in_table};
use super::{Flags, TraceFlags, app_named, configuration, failed, unusable};

/// Asks and prints.
pub async fn run(trace: &TraceFlags, flags: &Flags) -> ExitCode {
    let config = match configuration("reading", flags).await {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    let app = match app_named(&config, &trace.app) {
        Ok(app) => app,
        Err(why) => return unusable(&why),
    };
    let progress = Progress::new("signing");
    match progress.beside(ask(app, trace, (flags, &progress))).await {
        Ok(answer) if trace.json => println!("{:#}", in_json(&answer)),
        // Takes the colours out where they have no place: no terminal, or NO_COLOR.
        Ok(answer) => anstream::print!("{}", in_table(&answer)),
        Err(why) => return failed(&format!("app {}: {why}", app.name)),
    }
    ExitCode::SUCCESS
}

async fn ask(app: &App, trace: &TraceFlags, (flags, progress): (&Flags, &Progress)) -> Result<Trace, String> {
    let folder = flags.storage().join(BUDGET_FOLDER);
    let text = |error: &dyn std::error::Error| error.to_string();
    let mut budget =
        Budget::open(&folder, &app.name, app.requests_per_second).map_err(|error| text(&error))?;
    let pause = budget.kept_pause().map_err(|error| text(&error))?;
    if let Some(pause) = pause.filter(|pause| pause.resume_at > wall_seconds()) {
        let until = jiff::Timestamp::from_second(pause.resume_at).unwrap_or_default();
        return Err(format!(
            "polling is paused until {until}, since the upstream refuses it; ask again then"
        ));
    }
    let client = Client::new().map_err(|error| text(&error))?;
    let signed = app.signer().current(wall_seconds()).map_err(|error| text(&error))?;
    let upstream = app.upstream();
    let (sent, sending) = oneshot::channel();
    progress.now(waiting(app));
    budget.wait_and_take().await.map_err(|error| text(&error))?;
    progress.now(format!("asking {}", app.endpoint));
    let question = Question { task: &trace.task, user: &trace.user };
    let departure = Departure { not_before: Moment::now(), sent };
    let asking = client.ask(&upstream, question, &signed.text, departure);
    // The slot is given back as soon as the request has left: a daemon beside us need not wait for the answer.
    let leaving = async { budget.sent(sending.await.unwrap_or_else(|_| Moment::now())) };
    let (answer, left) = tokio::join!(asking, leaving);
    left.map_err(|error| text(&error))?;
    let answer = answer.map_err(|failed| text(&failed))?;
    Ok(read::read(&answer, app.zone_offset_seconds, wall_seconds()))
}

fn waiting(app: &App) -> String {
    let interval = Duration::from_secs_f64(1.0 / app.requests_per_second);
    format!(
        "waiting for the budget of {}, which lets a question through every {}",
        app.name,
        format_duration(interval)
    )
}
