//! What the metrics about ourselves are made of: options from the catalogue, late gauges, families by hand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{
    Counter, Gauge as GaugeValue, LabelPair, Metric as Sample, MetricFamily, MetricType,
};
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use super::names::{Kind, Metric};

/// Why metrics could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("metrics of app \"{app}\" not registered: an app of that name holds them")]
    App { app: String, source: prometheus::Error },
    #[error("metrics of the process not registered: they are already in this registry; make them once")]
    Exporter { source: prometheus::Error },
}

/// The law behind every `expect` on a metric made from the catalogue.
pub(super) const VALID: &str = "names and labels of the catalogue are valid; a test makes them all";

/// One sample of `timpush_series_overflow_total` that a registry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Overflow {
    pub(super) app: String,
    pub(super) metric: String,
    pub(super) results: u64,
}

/// Takes the family `name` out of `families`, so that it can be written elsewhere.
pub(super) fn take(families: &mut Vec<MetricFamily>, name: &str) -> Vec<Overflow> {
    let mut taken = Vec::new();
    families.retain(|family| {
        let is_it = family.name() == name;
        if is_it {
            taken.extend(family.get_metric().iter().map(overflow_of));
        }
        !is_it
    });
    taken
}

fn overflow_of(sample: &Sample) -> Overflow {
    let value = |name: &str| {
        let found = sample.get_label().iter().find(|pair| pair.name() == name);
        found.map_or_else(String::new, |pair| pair.value().to_owned())
    };
    Overflow {
        app: value("app"),
        metric: value("metric"),
        // Made from a u64 a moment ago; a count that f64 cannot hold exactly is far beyond the life of a process.
        results: sample.get_counter().get_value() as u64,
    }
}

/// The label `app`, or none for metrics of the whole process.
pub(super) fn app_labels(app: Option<&str>) -> HashMap<String, String> {
    app.iter().map(|app| ("app".to_owned(), (*app).to_owned())).collect()
}

/// Labels of `metric` other than `app`.
fn own_labels(metric: &Metric) -> Vec<&'static str> {
    metric.labels.iter().copied().filter(|label| *label != "app").collect()
}

fn opts(metric: &Metric, app: Option<&str>) -> Opts {
    Opts::new(metric.name, metric.help).const_labels(app_labels(app))
}

pub(super) fn counter(metric: &Metric, app: Option<&str>) -> IntCounter {
    IntCounter::with_opts(opts(metric, app)).expect(VALID)
}

/// A counter for each of `values` of its one label, born at 0.
pub(super) fn counters(metric: &Metric, app: Option<&str>, values: &[&str]) -> IntCounterVec {
    let vec = IntCounterVec::new(opts(metric, app), &own_labels(metric)).expect(VALID);
    for value in values {
        vec.with_label_values(&[value]);
    }
    vec
}

/// A gauge for each of `values` of its one label, born at 0.
pub(super) fn gauges(metric: &Metric, app: &str, values: &[&str]) -> IntGaugeVec {
    let vec = IntGaugeVec::new(opts(metric, Some(app)), &own_labels(metric)).expect(VALID);
    for value in values {
        vec.with_label_values(&[value]);
    }
    vec
}

pub(super) fn gauge(metric: &Metric, app: Option<&str>) -> Gauge {
    Gauge::with_opts(opts(metric, app)).expect(VALID)
}

pub(super) fn histogram(metric: &Metric, app: Option<&str>, buckets: &[f64]) -> Histogram {
    let opts =
        HistogramOpts::new(metric.name, metric.help).const_labels(app_labels(app)).buckets(buckets.to_vec());
    Histogram::with_opts(opts).expect(VALID)
}

/// A gauge that is not shown before its first value: a 0 would say something that nobody knows.
#[derive(Debug)]
pub(super) struct LateGauge {
    gauge: Gauge,
    is_born: AtomicBool,
}

impl LateGauge {
    pub(super) fn new(metric: &Metric, app: Option<&str>) -> LateGauge {
        LateGauge { gauge: gauge(metric, app), is_born: AtomicBool::new(false) }
    }

    pub(super) fn set(&self, value: f64) {
        self.gauge.set(value);
        self.is_born.store(true, Ordering::Release);
    }

    /// Not shown again until the next value.
    pub(super) fn clear(&self) {
        self.is_born.store(false, Ordering::Release);
    }
}

impl Collector for LateGauge {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if self.is_born.load(Ordering::Acquire) { self.gauge.collect() } else { Vec::new() }
    }
}

/// The description of a family whose samples are made by hand.
///
/// The vectors of `prometheus` 0.14 tell label values apart by a hash without separators, so ("1", "23") and
/// ("12", "3") are one series to them. A family with two labels of open values must not be such a vector.
pub(super) fn desc(metric: &Metric, app: Option<&str>) -> Desc {
    let labels = own_labels(metric).into_iter().map(str::to_owned).collect();
    Desc::new(metric.name.to_owned(), metric.help.to_owned(), labels, app_labels(app)).expect(VALID)
}

/// A family from samples of [`sample`].
pub(super) fn family(metric: &Metric, samples: Vec<Sample>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(samples);
    family
}

/// One sample of a counter or gauge; `values` in the order of the metric's labels.
pub(super) fn sample(metric: &Metric, values: &[&str], value: f64) -> Sample {
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut sample = Sample::from_label(metric.labels.iter().zip(values).map(pair).collect());
    match metric.kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        }
        Kind::Gauge | Kind::Histogram => {
            let mut gauge = GaugeValue::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
    }
    sample
}
