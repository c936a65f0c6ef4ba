//! Every name and help in one place; one scrape from a snapshot and from what the process counts about itself.

mod app;
mod exporter;
mod metric;
pub mod names;
#[cfg(test)]
mod own_tests;
mod push;
mod registry;
mod sum;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use app::{AppExists, AppMetrics, MAX_CODES_PER_KIND};
pub use exporter::{BuildInfo, ExporterMetrics, WebRefusal};
pub use metric::{Kind, Metric};
pub use names::catalogue;
pub use push::PushView;
pub use registry::Registry;
pub use words::{PairStates, Refused};

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
    let mut out = String::with_capacity(room);
    push::Page::new(snapshot, views, now).write(&mut out, &registry.folded_failures());
    registry.write(&mut out);
    out.into_bytes()
}
