//! Sources in each of their states: what promtool replays of them is what a daemon shows.

use serde_json::Value;

use super::{SUCCESS, UP, await_findings, await_well, config, entries, knows_nobody};
use crate::board::{list, none, text, yaml};
use crate::support::listener::Listener;
use crate::support::{Place, Scrape};

const REPLAYS: &str = "deploy/prometheus/tests/watching.test.yml";
/// All that the alerts about sources and pairs ask for.
const FAMILIES: [&str; 8] = [
    UP,
    SUCCESS,
    "timpush_source_entries",
    "timpush_source_refused_entries",
    "timpush_source_skipped_files",
    "timpush_watched_pairs",
    "timpush_pairs_awaiting_push",
    "timpush_pairs_refused_total",
];

/// One state, by the name of its replay.
struct State {
    name: &'static str,
    watch: &'static str,
    flags: &'static [&'static str],
    /// What `lists/a.json` holds at first, and then.
    lists: [Option<String>; 2],
    /// The other file.
    other: &'static str,
    verdict: (&'static str, &'static [&'static str]),
}

impl Default for State {
    fn default() -> State {
        State {
            name: "",
            watch: "{files: ['lists/*.json']}",
            flags: &[],
            lists: [None, None],
            other: "other",
            verdict: ("warning", &[]),
        }
    }
}

fn states() -> Vec<State> {
    let good = || Some(entries(20, ""));
    let spoiled = |spoiled: usize| {
        let mut all: Vec<Value> = serde_json::from_str(&entries(20, "")).unwrap();
        all.iter_mut().take(spoiled).for_each(|entry| entry["task"] = "".into());
        serde_json::to_string(&all).ok()
    };
    vec![
        State { name: "all is well", lists: [good(), None], verdict: ("ok", &[]), ..State::default() },
        State {
            name: "every entry is refused",
            lists: [good(), spoiled(20)],
            verdict: ("warning", &["source_failing"]),
            ..State::default()
        },
        State {
            name: "the address never answered",
            watch: "{http: [{url: 'http://127.0.0.1:9/', refresh: 1s}]}",
            verdict: ("critical", &["source_never_read", "nothing_watched"]),
            ..State::default()
        },
        State {
            name: "the pattern matches no file",
            other: "lists/.hidden",
            verdict: ("warning", &["source_matches_nothing", "nothing_watched"]),
            ..State::default()
        },
        State {
            name: "all files have other endings",
            watch: "{files: ['lists/*']}",
            other: "lists/a.txt",
            verdict: ("critical", &["source_never_read", "nothing_watched"]),
            ..State::default()
        },
        State {
            name: "one of two files has another ending",
            watch: "{files: ['lists/*']}",
            lists: [good(), None],
            other: "lists/a.txt",
            verdict: ("warning", &["source_files_skipped"]),
            ..State::default()
        },
        State {
            name: "the list is empty",
            lists: [Some("[]".to_owned()), None],
            verdict: ("warning", &["source_empty", "nothing_watched"]),
            ..State::default()
        },
        State {
            name: "half of the entries are refused",
            lists: [good(), spoiled(10)],
            verdict: ("warning", &["source_degraded"]),
            ..State::default()
        },
        State {
            name: "nobody has posted",
            watch: "{}",
            flags: &["--web.enable-watch-api"],
            verdict: ("info", &["nothing_posted"]),
            ..State::default()
        },
    ]
}

/// The series of a scrape as promtool takes them; times go on with those of a source that works.
fn replayed(scrape: &Scrape) -> Vec<String> {
    let samples = FAMILIES.iter().flat_map(|name| scrape.samples(name, &[]));
    let series = samples.map(|sample| {
        let source = sample.labels.get("source").map_or("", String::as_str);
        let is_up = scrape.value(UP, &[("source", source)]) == Some(1.0);
        let values = match (sample.name.as_str(), sample.value) {
            (SUCCESS, _) if is_up => "0+60x200".to_owned(),
            (SUCCESS, at) if at > 0.0 => "60x200".to_owned(),
            (_, value) => format!("{value}x200"),
        };
        let labels: String =
            sample.labels.iter().map(|(key, value)| format!(", {key}=\"{value}\"")).collect();
        format!(
            "{{series: '{}{{job=\"timpush\", instance=\"a:10047\"{labels}}}', values: '{values}'}}",
            sample.name
        )
    });
    let up = "{series: 'up{job=\"timpush\", instance=\"a:10047\"}', values: '1x200'}".to_owned();
    std::iter::once(up).chain(series).collect()
}

#[test]
fn promtool_replays_what_a_daemon_shows() {
    let replays = yaml(REPLAYS);
    let upstream = Listener::start(knows_nobody);
    let (mut names, mut broken) = (Vec::new(), Vec::new());
    for state in states() {
        let place = Place::new(&config(&upstream, state.watch));
        place.write(state.other, "task,user\nt,a\n");
        let [first, then] = state.lists;
        // Moved into its place, as a finished file.
        let put = |text: &str| {
            place.write("lists/.new", text);
            std::fs::rename(place.path("lists/.new"), place.path("lists/a.json")).unwrap();
        };
        first.iter().for_each(|text| put(text));
        let daemon = place.serve(state.flags);
        if let Some(text) = then {
            daemon.scrape_until("the first list is watched", |s| s.sum("timpush_watched_pairs", &[]) == 20.0);
            put(&text);
        }
        match state.verdict {
            ("ok", _) => await_well(&daemon),
            (severity, ids) => await_findings(&daemon, severity, ids),
        }
        let polled = [("state", "new")];
        let scrape =
            daemon.scrape_until("all pairs were polled", |s| s.sum("timpush_watched_pairs", &polled) == 0.0);
        let shown = replayed(&scrape);
        let of = list(&replays, "tests").iter().find(|test| text(test, "name") == state.name);
        let series = of.map_or(&[][..], |test| list(test, "input_series"));
        let line =
            |one: &Value| format!("{{series: '{}', values: '{}'}}", text(one, "series"), text(one, "values"));
        if series.iter().map(line).ne(shown.iter().cloned()) {
            broken.push(format!("  - name: {}\n      - {}", state.name, shown.join("\n      - ")));
        }
        names.push(state.name);
    }
    none("replays that differ from what a daemon shows", &broken);
    assert_eq!(list(&replays, "tests").len(), names.len(), "replays of states that nobody checks");
}
