//! A scrape, read: each series with its value, and the push counters as the simulator sums them.

use std::collections::BTreeMap;

use timpush_exporter::sim::{FailureSum, ResultSum, Sums};

/// Label names and values of a series.
pub type Labels = BTreeMap<String, String>;

/// One scrape in the text format 0.0.4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    series: BTreeMap<(String, Labels), f64>,
}

impl Scrape {
    /// Reads a page.
    ///
    /// # Panics
    /// A line is no sample, or a series is there twice.
    pub fn parse(page: &str) -> Scrape {
        let mut series = BTreeMap::new();
        for line in page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, labels, value) = sample(line).unwrap_or_else(|| panic!("no sample: {line}"));
            let before = series.insert((name, labels), value);
            assert_eq!(before, None, "twice: {line}");
        }
        Scrape { series }
    }

    /// The value of the series that has these labels and no others.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let key = (name.to_owned(), labels.iter().map(text).collect());
        self.series.get(&key).copied()
    }

    /// The series of that name which have at least these labels.
    pub fn with<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = (&'a Labels, f64)> {
        let has = move |own: &Labels| {
            let same = |(key, value): &(&str, &str)| own.get(*key).is_some_and(|own| own == value);
            labels.iter().all(same)
        };
        let series = self.series.iter();
        series.filter_map(move |((own, labels), value)| {
            (own == name && has(labels)).then_some((labels, *value))
        })
    }

    /// The sum over [`Scrape::with`]; 0 where there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.with(name, labels).map(|(_, value)| value).sum()
    }

    /// Every series whose name begins with `prefix`, counters that a restart may not lower among them.
    pub fn beginning(&self, prefix: &str) -> impl Iterator<Item = (&(String, Labels), f64)> {
        let fits = move |(name, _): &&(String, Labels)| name.starts_with(prefix);
        self.series.iter().map(|(key, value)| (key, *value)).filter(move |(key, _)| fits(key))
    }

    /// The push counters of an app as the simulator sums them; compare it with [`comparable`] sums. Sets that are born
    /// at 0 are left out: the simulator does not know them.
    pub fn sums(&self, app: &str, sdk_app_id: u64) -> Sums {
        let only = [("app", app)];
        let text = |labels: &Labels, key: &str| labels[key].clone();
        let results = self.with("timpush_stage_results_total", &only).map(|(labels, value)| ResultSum {
            sdk_app_id,
            route: text(labels, "route"),
            stage: text(labels, "stage"),
            platform: text(labels, "platform"),
            outcome: text(labels, "outcome"),
            count: whole(value),
        });
        let failures = self.with("timpush_stage_failures_total", &only).map(|(labels, value)| FailureSum {
            sdk_app_id,
            route: text(labels, "route"),
            stage: text(labels, "stage"),
            platform: text(labels, "platform"),
            code: labels["code"].parse().expect("the simulator's codes are numbers"),
            count: whole(value),
        });
        comparable(Sums { devices: 0, results: results.collect(), failures: failures.collect() })
    }
}

/// Sums in the one form in which the two sides can be equal: in order, each set once, none that is 0, and without the
/// number of devices, which no counter shows.
pub fn comparable(sums: Sums) -> Sums {
    let mut results = BTreeMap::new();
    for sum in sums.results.into_iter().filter(|sum| sum.count > 0) {
        let count = sum.count;
        let set = ResultSum { count: 0, ..sum };
        let key =
            (set.sdk_app_id, set.route.clone(), set.stage.clone(), set.platform.clone(), set.outcome.clone());
        results.entry(key).or_insert(set).count += count;
    }
    let mut failures = BTreeMap::new();
    for sum in sums.failures.into_iter().filter(|sum| sum.count > 0) {
        let count = sum.count;
        let set = FailureSum { count: 0, ..sum };
        let key = (set.sdk_app_id, set.route.clone(), set.stage.clone(), set.platform.clone(), set.code);
        failures.entry(key).or_insert(set).count += count;
    }
    Sums { devices: 0, results: results.into_values().collect(), failures: failures.into_values().collect() }
}

/// What two sums differ in, a line each.
pub fn difference(left: &Sums, right: &Sums) -> String {
    let lines = |own: &Sums, other: &Sums, mark: char| {
        let results = own.results.iter().filter(|sum| !other.results.contains(sum));
        let failures = own.failures.iter().filter(|sum| !other.failures.contains(sum));
        let results = results
            .map(|s| format!("{mark} {} {} {} {} {}", s.route, s.stage, s.platform, s.outcome, s.count));
        let failures = failures
            .map(|s| format!("{mark} {} {} {} code {} {}", s.route, s.stage, s.platform, s.code, s.count));
        results.chain(failures).collect::<Vec<_>>()
    };
    let mut all = lines(left, right, '<');
    all.extend(lines(right, left, '>'));
    all.join("\n")
}

fn whole(value: f64) -> u64 {
    assert!(value >= 0.0 && value.fract() == 0.0, "a counter of things is whole: {value}");
    value as u64
}

fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(key.to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = rest.strip_prefix('}')?;
    }
    Some((name.to_owned(), labels, rest.trim().parse().ok()?))
}

/// A label value up to its closing quote, and what comes after that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c => value.push(c),
            },
            c => value.push(c),
        }
    }
    None
}

#[test]
fn a_page_is_read_as_prometheus_reads_it() {
    let page = "# HELP a_total Things.\n# TYPE a_total counter\n\
                a_total{app=\"x\",code=\"a \\\"b\\\\c\\nd,}\"} 3\na_total{app=\"y\"} 4.5e1\nup 1\n";
    let scrape = Scrape::parse(page);
    assert_eq!(scrape.value("a_total", &[("app", "x"), ("code", "a \"b\\c\nd,}")]), Some(3.0));
    assert_eq!(scrape.value("a_total", &[("app", "x")]), None);
    assert_eq!(scrape.sum("a_total", &[("app", "x")]), 3.0);
    assert_eq!(scrape.sum("a_total", &[]), 48.0);
    assert_eq!(scrape.value("up", &[]), Some(1.0));
    assert_eq!(scrape.beginning("a_").count(), 2);
}
