//! The text format 0.0.4, written family by family; nothing is built per series.

use std::fmt::Write;
use std::time::Duration;

use super::metric::Metric;
use crate::ledger::Histogram;

/// Appends HELP, TYPE and the samples; nothing at all where there are no samples.
pub(super) fn family(out: &mut String, metric: &Metric, samples: impl FnOnce(&mut String)) {
    let start = out.len();
    let (name, help, kind) = (metric.name, metric.help, metric.kind.as_str());
    for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
        out.push_str(part);
    }
    let headed = out.len();
    samples(out);
    if out.len() == headed {
        out.truncate(start);
    }
}

/// Appends one histogram, cumulative as the format wants it; nothing where it has no value yet.
pub(super) fn histogram(
    out: &mut String,
    name: &str,
    bounds: &[i64],
    labels: impl Fn(&mut String),
    values: &Histogram,
) {
    let count = values.count();
    if count == 0 {
        return;
    }
    let open = |out: &mut String, suffix: &str| {
        out.push_str(name);
        out.push_str(suffix);
        out.push('{');
        labels(out);
    };
    let mut below = 0;
    for (bound, n) in bounds.iter().zip(&values.counts) {
        below += n;
        open(out, "_bucket");
        close_with_number(out, "le", *bound, below);
    }
    open(out, "_bucket");
    close_with(out, "le", "+Inf", count);
    open(out, "_sum");
    out.push_str("} ");
    signed(out, values.sum);
    out.push('\n');
    open(out, "_count");
    close(out, count);
}

pub(super) fn open(out: &mut String, name: &str) {
    out.push_str(name);
    out.push('{');
}

/// Ends a sample.
pub(super) fn close(out: &mut String, value: u64) {
    out.push_str("} ");
    number(out, value);
    out.push('\n');
}

/// Ends a sample with one more label, whose value needs no escape.
pub(super) fn close_with(out: &mut String, name: &str, value: &str, sample: u64) {
    label(out, name, value);
    close(out, sample);
}

pub(super) fn close_with_number(out: &mut String, name: &str, value: i64, sample: u64) {
    open_label(out, name);
    signed(out, value);
    out.push('"');
    close(out, sample);
}

/// The label that every push metric starts with.
pub(super) fn app_label(out: &mut String, app: &str) {
    out.push_str("app=\"");
    escape(out, app);
    out.push('"');
}

/// Appends one label that is not the first and whose value needs no escape.
pub(super) fn label(out: &mut String, name: &str, value: &str) {
    open_label(out, name);
    out.push_str(value);
    out.push('"');
}

pub(super) fn open_label(out: &mut String, name: &str) {
    out.push(',');
    out.push_str(name);
    out.push_str("=\"");
}

pub(super) fn signed(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    number(out, value.unsigned_abs());
}

/// Decimal digits, without the formatting machinery: most samples are 0, and there may be many.
fn number(out: &mut String, value: u64) {
    if value >= 10 {
        number(out, value / 10);
    }
    let digit = (value % 10) as u8;
    out.push(char::from(b'0' + digit));
}

/// A label value as the text format wants it: backslash, quote and line feed escaped.
pub(super) fn escape(out: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// Appends samples of one family whose labels stand in the catalogue; for families that stay small.
pub(super) struct Samples<'a> {
    out: &'a mut String,
    metric: &'a Metric,
}

impl Samples<'_> {
    /// One sample; `values` in the order of the metric's labels.
    pub(super) fn add(&mut self, values: &[&str], value: f64) {
        self.line("", values, None, value);
    }

    /// One sample, or none while the value is not known.
    pub(super) fn add_known(&mut self, values: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.add(values, value);
        }
    }

    /// One histogram, whose label values are `values`.
    pub(super) fn add_durations(&mut self, values: &[&str], durations: &Durations) {
        let mut below = 0;
        for (bound, n) in durations.bounds_seconds.iter().zip(&durations.counts) {
            below += n;
            self.line("_bucket", values, Some(&bound.to_string()), below as f64);
        }
        self.line("_bucket", values, Some("+Inf"), durations.count as f64);
        self.line("_sum", values, None, durations.sum_seconds);
        self.line("_count", values, None, durations.count as f64);
    }

    fn line(&mut self, suffix: &str, values: &[&str], bound: Option<&str>, value: f64) {
        let labels = self.metric.labels.iter().copied().zip(values.iter().copied());
        let labels = labels.chain(bound.map(|bound| ("le", bound)));
        self.out.push_str(self.metric.name);
        self.out.push_str(suffix);
        let mut before = '{';
        for (name, value) in labels {
            self.out.push(before);
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(self.out, value);
            self.out.push('"');
            before = ',';
        }
        let end = if before == '{' { " " } else { "} " };
        self.out.push_str(end);
        writeln!(self.out, "{value}").expect("a String takes all text");
    }
}

/// Appends one family of [`Samples`]; nothing where there are none.
pub(super) fn samples(out: &mut String, metric: &Metric, write: impl FnOnce(&mut Samples)) {
    family(out, metric, |out| write(&mut Samples { out, metric }));
}

/// A histogram of durations.
#[derive(Clone, Debug)]
pub(super) struct Durations {
    bounds_seconds: &'static [f64],
    /// Not cumulative; those above the last bound are in `count` alone.
    counts: Vec<u64>,
    count: u64,
    sum_seconds: f64,
}

impl Durations {
    pub(super) fn new(bounds_seconds: &'static [f64]) -> Durations {
        Durations { bounds_seconds, counts: vec![0; bounds_seconds.len()], count: 0, sum_seconds: 0.0 }
    }

    pub(super) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = self.bounds_seconds.iter().position(|bound| seconds <= *bound) {
            self.counts[bucket] += 1;
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }
}
