//! One question through the same client, signer and budget, and what came of it.

use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::oneshot;

use timpush_exporter::api::client::{Client, SendGate, TraceRequest};
use timpush_exporter::budget::{Budgets, Moment};
use timpush_exporter::config::App;
use timpush_exporter::daemon::BUDGET_FOLDER;
use timpush_exporter::document::format_duration;
use timpush_exporter::poller::clock::wall_seconds;
use timpush_exporter::trace::{Trace, read, visible};

use super::progress::Progress;
use super::trace_table::{in_json, in_table};
use super::{Flags, TraceFlags, app_named, configuration, failed, out, unusable};

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
    let rate = config.budget_of(app).requests_per_second;
    let printed = match progress.beside(ask(app, (trace, rate), (flags, &progress))).await {
        Ok(answer) if trace.json => out::print(format_args!("{:#}\n", in_json(&answer))),
        Ok(answer) => out::print(in_table(&answer)),
        Err(why) => return failed(&format!("app {}: {why}", app.name)),
    };
    printed.err().unwrap_or(ExitCode::SUCCESS)
}

async fn ask(
    app: &App,
    (trace, rate): (&TraceFlags, f64),
    (flags, progress): (&Flags, &Progress),
) -> Result<Trace, String> {
    let budgets = Budgets::new(flags.storage().join(BUDGET_FOLDER));
    let text = |error: &dyn std::error::Error| error.to_string();
    let budget = budgets.open(&app.budget_key(), &app.name, rate).map_err(|error| text(&error))?;
    if let Some(pause) = budget.kept_pause().filter(|pause| pause.resume_at > wall_seconds()) {
        let until = jiff::Timestamp::from_second(pause.resume_at).unwrap_or_default();
        return Err(format!(
            "polling is paused until {until}, since the upstream refuses it; ask again then"
        ));
    }
    let client = Client::new().map_err(|error| text(&error))?;
    client.prepare(&app.endpoint).map_err(|error| text(&error))?;
    let mut signer = app.signer();
    signer.read_now();
    let signed = signer.current(wall_seconds()).map_err(|error| text(&error))?;
    let endpoint = app.api_endpoint();
    let (sent, sending) = oneshot::channel();
    progress.now(waiting(app, budget.interval()));
    let start = budget.wait_and_take().await.map_err(|error| text(&error))?;
    progress.now(format!("asking {}", app.endpoint));
    let request = TraceRequest { task: &trace.task, user: &trace.user };
    let gate = SendGate { not_before: start.not_before(), sent };
    let asking = client.ask(&endpoint, request, &signed.text, gate);
    // The slot is given back as soon as the request has left: a daemon beside us need not wait for the answer.
    let leaving = async { start.sent(sending.await.unwrap_or_else(|_| Moment::now())) };
    let (answer, left) = tokio::join!(asking, leaving);
    left.map_err(|error| text(&error))?;
    // Whoever asks named the user: the upstream's words tell them no id.
    let answer = answer.map_err(|failed| match &failed.upstream_text {
        Some(words) => format!("{failed} (the upstream says: {})", visible(words)),
        None => failed.to_string(),
    })?;
    Ok(read::read(&answer, app.zone_offset_seconds, wall_seconds()))
}

fn waiting(app: &App, interval: Duration) -> String {
    format!(
        "waiting for the budget of {}, which lets a question through every {}",
        app.name,
        format_duration(interval)
    )
}
