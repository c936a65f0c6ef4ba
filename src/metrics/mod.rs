//! Every name and help in one place; the push families made fresh from a snapshot.

mod app;
mod exporter;
mod families;
pub mod names;
#[cfg(test)]
mod own_tests;
mod push;
mod sum;
#[cfg(test)]
mod tests;
mod words;

pub use app::{AppMetrics, MAX_CODES_PER_KIND};
pub use exporter::{BuildInfo, ExporterMetrics, WebRefusal};
pub use families::MetricsError;
pub use names::{Kind, Metric, catalogue};
pub use push::PushView;
pub use words::{PairStates, Refused};

use prometheus::{Registry, TextEncoder};

use crate::ledger::Snapshot;

/// The type of the body that [`render`] makes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One scrape in the text format 0.0.4: the push families of the listed apps from `snapshot`, then what `registry`
/// holds. `now` is in Unix seconds and decides what is overdue.
///
/// An app that is not in `views` is not shown; each app may be there once. `timpush_series_overflow_total` comes
/// from both sides and is written once. `room` is how many bytes it will likely have: it is not copied while it grows
/// to that.
pub fn render(
    (snapshot, views): (&Snapshot, &[PushView]),
    registry: &Registry,
    now: i64,
    room: usize,
) -> Vec<u8> {
    let mut families = registry.gather();
    let own_overflow = families::take(&mut families, names::SERIES_OVERFLOW.name);
    let mut out = String::with_capacity(room);
    push::Page::new(snapshot, views, now).write(&mut out, &own_overflow);
    TextEncoder::new()
        .encode_utf8(&families, &mut out)
        .expect("a registry gathers only named families with samples, and a String takes all text");
    out.into_bytes()
}
