//! One question through the same client, signer and budget; the delivery chain of each device as a table.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use timpush_exporter::api::client::{Client, Departure, Question, Upstream};
use timpush_exporter::budget::{Budget, Moment};
use timpush_exporter::config::{self, App};
use timpush_exporter::ledger::fold::delay_seconds;
use timpush_exporter::run::BUDGET_FOLDER;
use timpush_exporter::run::clock::wall_seconds;
use timpush_exporter::trace::{Device, Leaf, Route, Trace, read};

use super::{Flags, TraceFlags, app_named, failed, signer, unusable};

/// Asks and prints.
pub async fn run(trace: &TraceFlags, flags: &Flags) -> ExitCode {
    let config = match config::load(&flags.config_file) {
        Ok(config) => config,
        Err(faults) => return unusable(&faults.to_string()),
    };
    let app = match app_named(&config, &trace.app) {
        Ok(app) => app,
        Err(why) => return unusable(&why),
    };
    match ask(app, trace, flags).await {
        Ok(answer) if trace.json => println!("{:#}", in_json(&answer)),
        Ok(answer) => print!("{}", in_table(&answer)),
        Err(why) => return failed(&format!("app {}: {why}", app.name)),
    }
    ExitCode::SUCCESS
}

async fn ask(app: &App, trace: &TraceFlags, flags: &Flags) -> Result<Trace, String> {
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
    let signed = signer(app).current(wall_seconds()).map_err(|error| text(&error))?;
    let upstream = Upstream {
        endpoint: app.endpoint.clone(),
        sdk_app_id: app.sdk_app_id,
        admin: app.admin.clone(),
        timeout: app.request_timeout,
    };
    let (sent, sending) = oneshot::channel();
    tell_wait(app);
    budget.wait_and_take().await.map_err(|error| text(&error))?;
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

/// Says why nothing happens at a slow rate.
fn tell_wait(app: &App) {
    let interval = Duration::from_secs_f64(1.0 / app.requests_per_second);
    if interval > Duration::from_secs(1) {
        eprintln!(
            "The budget lets a question through every {} s; waiting for the next.",
            interval.as_secs_f64()
        );
    }
}

fn time(at: Option<i64>) -> Value {
    at.and_then(|at| jiff::Timestamp::from_second(at).ok()).map_or(Value::Null, |at| at.to_string().into())
}

fn in_json(trace: &Trace) -> Value {
    let stage = |device: &Device, leaf: &Leaf| {
        json!({
            "route": leaf.route.as_str(),
            "stage": leaf.stage.as_str(),
            "platform": device.platform_on(leaf.route).to_string(),
            "outcome": leaf.outcome.as_str(),
            "code": leaf.code,
            "reason": leaf.reason.map(|reason| reason.as_str()),
            "at": time(leaf.at),
            "delay_seconds": delay_seconds(device.pushed_at, leaf.at),
        })
    };
    let device = |device: &Device| {
        json!({
            "instance": device.instance,
            "route": device.route().as_str(),
            "platform": device.platform_on(device.route()).to_string(),
            "notifications": device.notifications.as_str(),
            "pushed_at": time(device.pushed_at),
            "stages": device.leaves.iter().map(|leaf| stage(device, leaf)).collect::<Vec<_>>(),
        })
    };
    json!({
        "devices": trace.devices.iter().map(device).collect::<Vec<_>>(),
        "drift": trace.drift.iter().map(|drift| drift.as_str()).collect::<Vec<_>>(),
    })
}

fn in_table(trace: &Trace) -> String {
    if trace.devices.is_empty() {
        return "The upstream knows no device for this task and user: the push has not come that far, the user is \
                not in its audience, or it is older than seven days.\n"
            .to_owned();
    }
    trace.devices.iter().map(device_table).collect::<Vec<_>>().join("\n")
}

fn device_table(device: &Device) -> String {
    let mut text = format!(
        "device {}  platform {}  notifications {}  pushed {}\n",
        if device.instance.is_empty() { "(no id)" } else { &device.instance },
        device.platform_on(device.route()),
        device.notifications.as_str(),
        time(device.pushed_at).as_str().unwrap_or("at an unknown time"),
    );
    text.push_str("  route    stage    outcome     code      reason           at                    delay\n");
    let shown = |route: &Route| *route == device.route() || device.leaves.iter().any(|l| l.route == *route);
    for route in Route::ALL.into_iter().filter(shown) {
        for stage in route.stages() {
            let leaf = device.leaves.iter().find(|leaf| leaf.route == route && leaf.stage == *stage);
            text.push_str(&stage_line(device, route, stage.as_str(), leaf));
        }
    }
    text
}

fn stage_line(device: &Device, route: Route, stage: &str, leaf: Option<&Leaf>) -> String {
    let Some(leaf) = leaf else {
        return format!("  {:<8} {stage:<8} unreported\n", route.as_str());
    };
    let delay = delay_seconds(device.pushed_at, leaf.at).map_or(String::new(), |s| format!("{s} s"));
    let at = time(leaf.at);
    let line = format!(
        "  {:<8} {stage:<8} {:<11} {:<9} {:<16} {:<21} {delay}",
        route.as_str(),
        leaf.outcome.as_str(),
        leaf.code,
        leaf.reason.map_or("", |reason| reason.as_str()),
        at.as_str().unwrap_or("-"),
    );
    format!("{}\n", line.trim_end())
}
