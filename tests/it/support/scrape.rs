//! A scrape, read as strictly as the text format 0.0.4 is written down; panics on the first line that breaks it.

use std::collections::{BTreeMap, BTreeSet};

/// Labels of a sample by name.
pub type Labels = BTreeMap<String, String>;

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name with `_bucket`, `_sum` or `_count` where the family is a histogram.
    pub name: String,
    pub labels: Labels,
    pub value: f64,
}

/// All lines of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub kind: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// A whole scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    pub families: BTreeMap<String, Family>,
}

impl Scrape {
    /// Reads a page; panics where it is not well-formed: HELP and TYPE before the samples of each family, families in
    /// one piece, no label set twice, histograms whole.
    pub fn read(text: &str) -> Scrape {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut scrape = Scrape::default();
        let mut help: Option<(String, String)> = None;
        let mut open = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                assert!(help.is_none(), "HELP after HELP: {line}");
                let (name, words) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(!words.trim().is_empty(), "an empty help: {line}");
                help = Some((name.to_owned(), words.to_owned()));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                let (named, words) = help.take().unwrap_or_else(|| panic!("no HELP before {line}"));
                assert_eq!(named, name, "HELP of another family before {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let family = Family { kind: kind.to_owned(), help: words, samples: Vec::new() };
                let before = scrape.families.insert(name.to_owned(), family);
                assert!(before.is_none(), "{name} is there in two pieces");
                name.clone_into(&mut open);
            } else {
                assert!(help.is_none(), "HELP without TYPE before {line}");
                let sample = Reader(line).sample();
                let family = scrape.families.get_mut(&open);
                let family = family.unwrap_or_else(|| panic!("no TYPE before {line}"));
                assert!(family.owns(&open, &sample.name), "{line} stands under {open}");
                family.samples.push(sample);
            }
        }
        for (name, family) in &scrape.families {
            family.check(name);
        }
        scrape
    }

    /// The samples of a name whose labels include those.
    pub fn samples<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let stripped = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let stem = stripped.filter(|stem| self.families.get(*stem).is_some_and(|f| f.kind == "histogram"));
        let family = self.families.get(stem.unwrap_or(name));
        let has = move |sample: &&Sample| {
            let wanted = |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|v| v == value);
            sample.name == name && labels.iter().all(wanted)
        };
        family.into_iter().flat_map(|family| &family.samples).filter(has)
    }

    /// The sum of [`Scrape::samples`]; 0 where there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.samples(name, labels).map(|sample| sample.value).sum()
    }

    /// The value of the one sample, if it is there.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut samples = self.samples(name, labels);
        let value = samples.next().map(|sample| sample.value);
        assert!(samples.next().is_none(), "{name} {labels:?} is more than one series");
        value
    }

    /// Every sample shown before whose name begins with one of those is shown still, no lower.
    pub fn assert_none_fell(&self, before: &Scrape, beginnings: &[&str]) {
        let samples = before.families.values().flat_map(|family| &family.samples);
        for Sample { name, labels, value } in samples {
            if beginnings.iter().any(|beginning| name.starts_with(beginning)) {
                let own: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                let now = self.value(name, &own);
                assert!(now >= Some(*value), "{name}{labels:?} was {value} and is {now:?}");
            }
        }
    }

    /// True if any series of the app is there.
    pub fn names_app(&self, app: &str) -> bool {
        let of_app = |sample: &Sample| sample.labels.get("app").is_some_and(|value| value == app);
        self.families.values().any(|family| family.samples.iter().any(of_app))
    }
}

impl Family {
    fn owns(&self, name: &str, sample: &str) -> bool {
        let suffixes: &[&str] = if self.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        sample.strip_prefix(name).is_some_and(|rest| suffixes.contains(&rest))
    }

    fn check(&self, name: &str) {
        assert!(!self.samples.is_empty(), "{name} has no sample");
        let mut sets = BTreeSet::new();
        for sample in &self.samples {
            assert!(sets.insert((&sample.name, &sample.labels)), "twice: {sample:?}");
            let is_count = self.kind != "gauge";
            assert!(!is_count || sample.value >= 0.0, "{sample:?} counts below zero");
            assert!(sample.value.is_finite(), "{sample:?}");
        }
        assert_eq!(name.ends_with("_total"), self.kind == "counter", "{name} is a {}", self.kind);
        if self.kind == "histogram" {
            self.check_histogram(name);
        }
    }

    fn check_histogram(&self, name: &str) {
        let mut parts: BTreeMap<Labels, Parts> = BTreeMap::new();
        for sample in &self.samples {
            let mut labels = sample.labels.clone();
            let bound = labels.remove("le");
            let part = parts.entry(labels).or_default();
            match &sample.name[name.len()..] {
                "_bucket" => {
                    let bound = bound.unwrap_or_else(|| panic!("a bucket without le: {sample:?}"));
                    part.buckets.push((number(&bound), sample.value));
                }
                "_count" => part.count = Some(sample.value),
                _ => part.has_sum = true,
            }
        }
        for (labels, Parts { buckets, count, has_sum }) in parts {
            assert!(has_sum, "{name} {labels:?} has no sum");
            let rises = |two: &[(f64, f64)]| two[0].0 < two[1].0 && two[0].1 <= two[1].1;
            assert!(buckets.windows(2).all(rises), "{name} {labels:?}: {buckets:?}");
            let last = buckets.last().copied();
            let count = count.unwrap_or_else(|| panic!("{name} {labels:?} has no count"));
            assert_eq!(last, Some((f64::INFINITY, count)), "{name} {labels:?}");
        }
    }
}

/// What one histogram has shown so far.
#[derive(Default)]
struct Parts {
    /// Upper bound and count, in the order of the page.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    has_sum: bool,
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        _ => text.parse().unwrap_or_else(|_| panic!("not a number: {text:?}")),
    }
}

/// What is left of a line.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn sample(mut self) -> Sample {
        let line = self.0;
        let name = self.name(true);
        let mut labels = Labels::new();
        if self.take("{") {
            while !self.take("}") {
                assert!(labels.is_empty() || self.take(","), "no comma: {line}");
                let key = self.name(false);
                assert!(self.take("=\""), "no value of {key}: {line}");
                let value = self.quoted();
                assert!(!key.is_empty() && !key.starts_with("__"), "{line}");
                assert!(labels.insert(key.to_owned(), value).is_none(), "a label twice: {line}");
            }
        }
        assert!(self.take(" "), "no blank before the value: {line}");
        let value = number(self.0);
        Sample { name: name.to_owned(), labels, value }
    }

    /// Letters, digits and underscores, not first a digit; colons only in names of metrics.
    fn name(&mut self, may_have_colons: bool) -> &'a str {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && may_have_colons);
        let end = self.0.find(|c| !allowed(c)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        assert!(!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()), "{:?}", self.0);
        self.0 = rest;
        name
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The value up to the closing quote, which is taken too.
    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next() {
                Some('"') => break,
                Some('\\') => value.push(match chars.next() {
                    Some('n') => '\n',
                    Some(c @ ('\\' | '"')) => c,
                    other => panic!("an unknown escape: {other:?} in {:?}", self.0),
                }),
                Some(c) => value.push(c),
                None => panic!("no closing quote: {:?}", self.0),
            }
        }
        self.0 = chars.as_str();
        value
    }
}
