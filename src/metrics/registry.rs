//! What the process counts about itself: of each app, of the exporter, and `process_*` as every exporter has them.

use prometheus::TextEncoder;
use prometheus::process_collector::ProcessCollector;

use super::app::{AppExists, AppMetrics, Apps};
use super::exporter::{BuildInfo, ExporterMetrics};

/// All metrics that do not come from the ledger. A clone is the same registry.
#[derive(Clone, Debug)]
pub struct Registry {
    apps: Apps,
    exporter: ExporterMetrics,
    process: prometheus::Registry,
}

impl Registry {
    pub fn new(build: BuildInfo) -> Registry {
        let process = prometheus::Registry::new();
        let collector = Box::new(ProcessCollector::for_self());
        process.register(collector).expect("a new registry holds no collector yet");
        Registry { apps: Apps::default(), exporter: ExporterMetrics::new(build), process }
    }

    /// The metrics that belong to no app.
    pub fn exporter(&self) -> ExporterMetrics {
        self.exporter.clone()
    }

    /// The metrics about the polling of `app`, shown until they are dropped. `region` is `None` where an endpoint is
    /// configured.
    ///
    /// # Errors
    /// An app of that name is shown already: drop its metrics first, or keep them and [`AppMetrics::set_info`].
    pub fn app(&self, app: &str, sdk_app_id: u64, region: Option<&str>) -> Result<AppMetrics, AppExists> {
        self.apps.add(app, sdk_app_id, region.unwrap_or_default())
    }

    /// How many API failures each app counted under the code `other`.
    pub(super) fn folded_failures(&self) -> Vec<(String, u64)> {
        self.apps.folded_failures()
    }

    /// Appends all families that have samples.
    pub(super) fn write(&self, out: &mut String) {
        self.apps.write(out);
        self.exporter.write(out);
        let encoded = TextEncoder::new().encode_utf8(&self.process.gather(), out);
        encoded.expect("a registry gathers only named families with samples, and a String takes all text");
    }
}
