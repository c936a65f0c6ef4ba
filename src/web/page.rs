//! The status page: one look at what is watched and how it goes, without script or outside files.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::house::{AppStatus, Readiness, Status};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#ccc;--dim:#666;--bad:#b00020;--good:#17692b}\
@media(prefers-color-scheme:dark){:root{--line:#444;--dim:#aaa;--bad:#ff8a80;--good:#7bd88f}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line)}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.dim{color:var(--dim)}.bad{color:var(--bad)}.good{color:var(--good)}\
.note{border:1px solid var(--bad);padding:.5rem 1rem}";

/// Lets a browser take nothing but our one inline style, which its hash names.
pub(super) static SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("base64 and our own words are visible ASCII")
});

/// What the page is made from.
pub(super) struct Facts<'a> {
    pub(super) status: &'a Status,
    /// Unix seconds of the latest commit; 0 before the first.
    pub(super) committed_at: i64,
    pub(super) started_at: i64,
    pub(super) now: i64,
    pub(super) readiness: Readiness,
}

pub(super) fn status(facts: &Facts<'_>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "timpush_exporter" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "timpush_exporter" }
                (process(facts))
                h2 { "Apps" }
                (apps(facts))
                h2 { "Ledger" }
                (ledger(facts))
                h2 { "More" }
                ul {
                    li { a href="/metrics" { "Metrics" } }
                    li { a href="/config" { "Configuration in force" } }
                    li { a href="/-/healthy" { "Health" } " and " a href="/-/ready" { "readiness" } }
                }
            }
        }
    }
}

fn process(facts: &Facts<'_>) -> Markup {
    let uptime = facts.now.saturating_sub(facts.started_at).max(0);
    html! {
        p {
            "Version " (env!("CARGO_PKG_VERSION")) ", up " (span(uptime)) ", "
            @match facts.readiness {
                Readiness::Ready => span.good { "ready" },
                Readiness::Starting => span.bad { "starting" },
                Readiness::Stopping => span.bad { "shutting down" },
            }
            ". " span.dim { "Page made " (moment(facts.now)) "." }
        }
    }
}

fn apps(facts: &Facts<'_>) -> Markup {
    html! {
        @if facts.status.apps.is_empty() {
            p { "No app is watched yet." }
        } @else {
            div.wide {
                table {
                    thead {
                        tr {
                            th { "App" } th { "API" } th.n { "Backlog" } th.n { "Pairs" }
                            th.n { "Requests per second" } th { "Latest failure" }
                        }
                    }
                    tbody {
                        @for app in &facts.status.apps { (row(app, facts.now)) }
                    }
                }
            }
        }
    }
}

fn row(app: &AppStatus, now: i64) -> Markup {
    html! {
        tr {
            td { strong { (app.name) } br; span.dim { (app.endpoint_host) } }
            td {
                @match app.up {
                    None => span.dim { "not asked yet" },
                    Some(true) => span.good { "up" },
                    Some(false) => span.bad { "down" },
                }
                @if let Some(at) = app.last_success_at {
                    br; span.dim { "last success " (ago(at, now)) }
                }
            }
            td.n { (whole_span(app.backlog_seconds)) }
            td.n {
                (app.pairs.total())
                @for (state, n) in app.pairs.by_name() {
                    @if n > 0 { br; span.dim { (n) " " (state) } }
                }
            }
            td.n {
                (rate(app.rate_in_force))
                @if app.rate_in_force != app.rate_configured {
                    br; span.dim { "of " (rate(app.rate_configured)) }
                }
                @if let Some(at) = app.resume_at {
                    br; span.bad { "paused until " (moment(at)) }
                }
            }
            td {
                @match &app.latest_failure {
                    Some(failure) => { (failure.text) br; span.dim { (ago(failure.at, now)) } }
                    None => span.dim { "none" },
                }
            }
        }
    }
}

fn ledger(facts: &Facts<'_>) -> Markup {
    html! {
        @if let Some(note) = &facts.status.ledger_note {
            p.note role="status" { (note) }
        }
        @if facts.committed_at > 0 {
            p { "Results were last made durable " (ago(facts.committed_at, facts.now)) "." }
        } @else {
            p { "No result has been made durable yet." }
        }
    }
}

/// A time in UTC; the number itself where no calendar has it.
fn moment(at: i64) -> Markup {
    let text = jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string());
    html! { time datetime=(text) { (text) } }
}

fn ago(at: i64, now: i64) -> Markup {
    html! {
        @if at <= now { (span(now.saturating_sub(at))) " ago" } @else { "in " (span(at.saturating_sub(now))) }
        " (" (moment(at)) ")"
    }
}

/// Seconds in the two largest units that are not 0, as `1d 2h`.
fn span(seconds: i64) -> String {
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let largest = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown = parts[largest..].iter().take(2).filter(|(n, _)| *n > 0);
    let text: Vec<String> = shown.map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text.join(" ") }
}

/// A span from a time that may have a fraction; a started second counts.
fn whole_span(seconds: f64) -> String {
    span(seconds.ceil() as i64)
}

/// A rate with as many digits as tell it.
fn rate(per_second: f64) -> String {
    let text = format!("{per_second:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::house::LatestFailure;
    use super::*;
    use crate::metrics::PairStates;

    const NOW: i64 = 1_795_000_000;

    fn page(status: &Status, committed_at: i64) -> String {
        let facts =
            Facts { status, committed_at, started_at: NOW - 90_061, now: NOW, readiness: Readiness::Ready };
        super::status(&facts).into_string()
    }

    #[test]
    fn the_page_tells_what_an_operator_asks_first() {
        let app = AppStatus {
            name: "shop<b>".to_owned(),
            endpoint_host: "127.0.0.1:9".to_owned(),
            up: Some(false),
            last_success_at: Some(NOW - 65),
            pairs: PairStates { failing: 3, active: 4, ..PairStates::default() },
            backlog_seconds: 59.2,
            rate_in_force: 0.25,
            rate_configured: 1.0,
            resume_at: Some(NOW + 5),
            latest_failure: Some(LatestFailure { at: 0, text: "quota: 60020".to_owned() }),
            ..AppStatus::default()
        };
        let status =
            Status { apps: vec![app], ledger_note: Some("damaged file moved to ledger.db.bad-1".to_owned()) };
        let html = page(&status, NOW - 2);
        for text in [
            "shop&lt;b&gt;",
            "127.0.0.1:9",
            ">down<",
            "1m 5s ago",
            ">7<",
            "3 failing",
            "4 active",
            "1m<",
            ">0.25<",
            "of 1<",
            "paused until",
            "quota: 60020",
            "ledger.db.bad-1",
            "2s ago",
            "1d 1h",
            env!("CARGO_PKG_VERSION"),
        ] {
            assert!(html.contains(text), "{text} in {html}");
        }
        assert!(!html.contains("<b>") && !html.contains("<script") && !html.contains("0 new"));
    }

    #[test]
    fn what_is_not_known_is_said_so() {
        let status = Status { apps: vec![AppStatus::default()], ledger_note: None };
        let html = page(&status, 0);
        assert!(html.contains("not asked yet") && html.contains("No result has been made durable yet"));
        assert!(!html.contains("1970") && !html.contains("class=\"note\""));
        assert!(page(&Status::default(), 0).contains("No app is watched yet"));
    }

    #[test]
    fn spans_and_rates_are_short() {
        let spans =
            [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m 59s"), (86_400, "1d"), (90_061, "1d 1h")];
        for (seconds, wanted) in spans {
            assert_eq!(span(seconds), wanted);
        }
        assert_eq!([rate(1.0), rate(0.5), rate(10.0), rate(0.0)], ["1", "0.5", "10", "0"]);
    }
}
