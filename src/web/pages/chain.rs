//! One pair: what is known of it, and the way of the push to each of its devices as a timeline.

use maud::{Markup, html};

use super::super::times::{ago, counted, distance, moment, span};
use super::layout::{Frame, Room, page};
use super::links;
use super::watches::{labels, state};
use crate::schedule::State;
use crate::trace::{Notifications, Outcome, Stage, visible};
use crate::view::{Chain, DeviceChain, StageView, Watch};

/// The page for one visitor.
pub(super) fn page_of(chain: &Chain, now: i64) -> Markup {
    let watch = &chain.watch;
    let user = visible(&watch.user);
    let main = html! {
        nav.crumbs aria-label="Way back" { a href="/watches" { "Watch lists" } " › " (watch.app) }
        h1 { "Push to " bdi.id { (user) } }
        section #pair data-live aria-label="The pair" {
            (summary(chain, now))
            (outlook(chain, now))
        }
        section #devices data-live aria-labelledby="devices-title" {
            h2 #devices-title {
                @if chain.devices.is_empty() { "Devices" } @else { (counted(chain.devices.len() as u64, "device")) }
            }
            @if chain.devices.is_empty() { (no_device(watch)) }
            @if chain.is_full { p.notice { "At most 64 devices of a pair are kept. Results of further devices are not counted." } }
            @for (at, device) in chain.devices.iter().enumerate() { (timeline(device, at, now)) }
        }
        section aria-labelledby="elsewhere-title" {
            h2 #elsewhere-title { "Elsewhere" }
            ul.more {
                li { a href=(links::pair_in_api(watch)) { "As JSON" } }
                @if let Some(command) = command(watch) {
                    li { "Ask the upstream now, within the budget: " code { (command) } }
                }
            }
        }
    };
    let title = format!("Push to {user}");
    page(&Frame { title: &title, room: Room::Pair, is_live: true }, &main)
}

fn summary(chain: &Chain, now: i64) -> Markup {
    let watch = &chain.watch;
    html! {
        dl.facts {
            div.broad { dt { "Task" } dd { bdi.id { (visible(&watch.task)) } } }
            div { dt { "State" } dd { (state(watch.state)) } }
            div { dt { "Pushed" } dd { (moment_or(watch.pushed_at, now, "not known")) } }
            div { dt { "Listed since" } dd { (moment(chain.added_at, now)) } }
            div { dt { "Last polled" } dd { (moment_or(watch.last_polled_at, now, "never")) } }
            @if !watch.labels.is_empty() { div { dt { "Labels" } dd { (labels(&watch.labels)) } } }
        }
    }
}

fn moment_or(at: Option<i64>, now: i64, none: &str) -> Markup {
    html! { @match at { Some(at) => (moment(at, now)), None => (none) } }
}

/// What comes next for the pair, in one sentence.
fn outlook(chain: &Chain, now: i64) -> Markup {
    let watch = &chain.watch;
    let mut stages = chain.devices.iter().flat_map(|device| &device.stages);
    let is_awaited = chain.devices.is_empty() || stages.any(|stage| stage.awaited);
    html! {
        p.outlook {
            @match watch.state {
                State::New => "It has not been answered yet. ",
                State::Active if is_awaited => "More may come. ",
                State::Active => "No stage is awaited; another try or another device may still show. ",
                State::Settled => "Nothing more can come: each device failed or reached the last stage. ",
                State::Failing => "Polls of this pair keep failing: no such task, it is too old, or the API has trouble with it. ",
            }
            @match watch.next_poll_at {
                Some(at) if at <= now => { "It is due, and is asked as soon as its turn in the budget comes. " }
                Some(at) => { "It is asked next " (ago(at, now)) ". " }
                None => "It is asked no more. ",
            }
            @if chain.ends_at > now { "Watching ends " (ago(chain.ends_at, now)) "." }
            @else { "Watching ended " (ago(chain.ends_at, now)) "." }
        }
    }
}

fn no_device(watch: &Watch) -> Markup {
    html! {
        p.notice {
            @if watch.last_polled_at.is_none() { "Nothing is known before the first answer." }
            @else {
                "The upstream knows no device: the push has not come that far, the user is not in its audience, or it is "
                "older than seven days."
            }
        }
    }
}

fn timeline(device: &DeviceChain, at: usize, now: i64) -> Markup {
    let id = format!("device-{at}");
    let failed = device.stages.iter().find(|stage| stage.outcome == Some(Outcome::Failure));
    html! {
        article.device aria-labelledby=(id) {
            h3 id=(id) {
                (device.platform) span.plain {
                    " device "
                    @if device.instance.is_empty() { "without id" } @else { bdi.id { (visible(&device.instance)) } }
                    ", " (device.route.as_str()) " push"
                }
            }
            p.dim {
                "Pushed: " (moment_or(device.pushed_at, now, "not known")) ". "
                @match device.notifications {
                    Notifications::On => "Notifications are on.",
                    Notifications::Unknown => "Whether it shows notifications is not known.",
                    Notifications::Off => strong.look {
                        span.sign aria-hidden="true" { "!" }
                        "Notifications are off: this device shows none, whatever reaches it."
                    },
                }
            }
            ol.chain {
                @for stage in device.stages.iter() { (step(device, stage, (failed.map(|failed| failed.stage), now))) }
            }
        }
    }
}

fn step(device: &DeviceChain, stage: &StageView, (failed, now): (Option<Stage>, i64)) -> Markup {
    let is_overdue = stage.overdue_from.is_some_and(|at| at <= now);
    let (class, sign, word) = match stage.outcome {
        Some(Outcome::Success) => ("well", "✓", "success"),
        Some(Outcome::Failure) => ("broken", "✕", "failure"),
        None if is_overdue => ("look", "!", "overdue"),
        None if stage.awaited => ("waiting", "⋯", "awaited"),
        None => ("none", "·", "not reported"),
    };
    html! {
        li.(class) {
            span.sign aria-hidden="true" { (sign) }
            div.what { strong { (stage.stage.as_str()) } " " span.dim { (stage.stage.phrase(device.route)) } }
            div.outcome { (word) }
            div.when {
                @if let Some(at) = stage.at { (moment(at, now)) }
                @if let Some(delay) = stage.delay_seconds { " " span.delay { (after(delay)) } }
            }
            div.why { (why(device, stage, (failed, now))) }
        }
    }
}

/// A delay against the push, which the upstream's clock may put before it.
fn after(delay: i64) -> String {
    if delay < 0 {
        format!("{} before the push", span(delay.saturating_neg()))
    } else {
        format!("{} after the push", span(delay))
    }
}

fn why(device: &DeviceChain, stage: &StageView, (failed, now): (Option<Stage>, i64)) -> Markup {
    html! {
        @if let Some(reason) = stage.reason {
            p { span.reason { (reason.as_str()) } @if let Some(code) = stage.code { " " span.dim { "code " (code) } } }
            p.who { span.dim { "Who must act: " } (reason.who(stage.stage, device.platform)) }
        }
        @if let Some(seen) = stage.seen_at.filter(|_| stage.outcome.is_some()) {
            p.dim.seen { "seen by the poll of " (moment(seen, now)) }
        }
        @if stage.outcome.is_none() {
            @match (stage.awaited, stage.overdue_from, failed) {
                (true, Some(at), _) if at <= now => p {
                    "Silent: a result should have come by " (moment(at, now)) ". No failure, but the mark of an outage if many "
                    "are so."
                },
                (true, Some(at), _) => p.dim { "A result may come; it counts as overdue " (distance(at, now)) "." },
                (true, None, _) => p.dim { "A result may come; none is owed." },
                (false, _, Some(failed)) => p.dim { "Nothing is awaited: " (failed.as_str()) " failed." },
                (false, _, None) => p.dim { "Nothing is awaited." },
            }
        }
    }
}

/// The command that asks about this pair, where its ids can stand in a shell as they are.
fn command(watch: &Watch) -> Option<String> {
    let is_plain = |text: &str| {
        !text.starts_with('-') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.@+:".contains(&b))
    };
    (is_plain(&watch.task) && is_plain(&watch.user))
        .then(|| format!("timpush_exporter trace {} {} --app {}", watch.task, watch.user, watch.app))
}
