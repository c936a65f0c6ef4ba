//! Lists as real producers write them: what is watched of each, and what the log says.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::listener::{Listener, Reply};
use crate::support::{AppText, Daemon, FIRST_APP, NOWHERE, Place, config};

/// One list, which an app of its own watches.
struct Case {
    /// Its name ends as its format does; a fixture unless there is a text.
    file: &'static str,
    text: Option<Vec<u8>>,
    /// All pairs as `task/user`, in order.
    pairs: &'static str,
    /// Each is in a line of the log.
    told: &'static [&'static str],
    /// Pairs that are refused.
    refused: u32,
}

fn case(file: &'static str, pairs: &'static str, told: &'static [&'static str]) -> Case {
    Case { file, text: None, pairs, told, refused: 0 }
}

impl Case {
    fn of(mut self, text: impl Into<Vec<u8>>) -> Case {
        self.text = Some(text.into());
        self
    }

    fn refused(mut self, pairs: u32) -> Case {
        self.refused = pairs;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lists");
        self.text.clone().unwrap_or_else(|| fs::read(folder.join(self.file)).unwrap())
    }

    fn app(&self) -> String {
        self.file.replace('.', "_")
    }

    fn check(&self, daemon: &Daemon) {
        let app = self.app();
        let page = daemon.get(&format!("/api/v1/watches?app={app}&limit=1000")).data();
        let mut pairs: Vec<String> = page["watches"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| format!("{}/{}", pair["task"].as_str().unwrap(), pair["user"].as_str().unwrap()))
            .collect();
        pairs.sort();
        assert_eq!(pairs.join(" "), self.pairs, "{}", self.file);
        let (log, scrape) = (daemon.log(), daemon.scrape());
        let named = format!("app={app} ");
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains(&named) && line.contains("source=")).collect();
        for told in self.told {
            assert!(lines.iter().any(|line| line.contains(told)), "{}: {told:?}: {lines:#?}", self.file);
        }
        assert!(!self.told.is_empty() || lines.is_empty(), "{}: {lines:#?}", self.file);
        // What is told of a list that is taken whole is a warning.
        let warned = self.refused == 0 && !pairs.is_empty() && !self.told.is_empty();
        let warnings = scrape.sum("timpush_source_warnings", &[("app", app.as_str())]);
        assert_eq!(warnings > 0.0, warned, "{}: {warnings} warnings", self.file);
        let refused = [("app", app.as_str()), ("reason", "invalid")];
        let refused = scrape.value("timpush_pairs_refused_total", &refused);
        assert_eq!(refused, Some(f64::from(self.refused)), "{}", self.file);
    }
}

fn app(case: &Case, watch: &str) -> AppText {
    AppText::new(&case.app(), FIRST_APP, NOWHERE, 0.1).key(watch)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn files() -> Vec<Case> {
    const EMPTY: &str = "user: is empty; expected 1 to 256 bytes of text";
    let separated =
        |file, separator: &str| case(file, "", &[]).of(["task", "user\nt1", "alice\n"].join(separator));
    vec![
        case("blank_before.csv", "t1/alice", &["line 4: user: is empty"]).refused(1),
        case("blank_rows.csv", "t1/alice", &[]),
        case("bom_inside.csv", "t1/alice t1/bob", &["line 3: task: has U+FEFF (byte order mark) at an end"]),
        case("crlf.csv", "t1/alice", &["line 3: user: is empty"]).refused(1),
        case("lf.csv", "t1/alice", &["line 3: user: is empty"]).refused(1),
        case("space_quote.csv", "t1/\"alice\"", &["line 2: user: has U+0022 (quotation mark) at an end"]),
        case("trailing_commas.csv", "t1/alice", &[]),
        case("utf16.csv", "", &["is UTF-16 (little-endian); expected text in UTF-8"]),
        case("field_more.json", "t1/alice", &["[0]: holds the unknown key id, which is ignored"]),
        case("null_optional.json", "t1/alice", &[]),
        case(
            "invisible.yaml",
            "t1/alice t1/bob t1/carol",
            &[
                "[0].users[0]: has U+200B (zero width space) at an end",
                "[0].users[1]: has U+00A0 (no-break space) at an end",
                "[0].users[2]: has U+0020 (space) at an end",
            ],
        ),
        case("inside.json", "t/👨\u{200d}👩\u{200d}👧", &["users[0]: holds U+2068 (first strong isolate) as character 2"])
            .of("[{\"task\":\"t\",\"users\":[\"a\u{2068}b\"]},{\"task\":\"t\",\"users\":[\"👨\u{200d}👩\u{200d}👧\"]}]")
            .refused(1),
        case("numbers.csv", "t/'12345 t/1.23457E+11 t/“eve”", &["scientific notation", "apostrophe", "U+201C"])
            .of("task,user\nt,1.23457E+11\nt,'12345\nt,“eve”\n"),
        case("far.yaml", "t/a", &["[0].pushed_at: is", "9000-12-31T00:00:00+08:00", "more than 30 days ahead"])
            .of("- {task: t, users: [a], pushed_at: 9000-12-31T00:00:00+08:00}\n"),
        case("more_columns.CSV", "t/a t/b", &["line 1: has the unknown column"])
            .of("task,user,note\nt,a,\"one\ntwo\"\nt,b,\n"),
        case("markers.YAML", "t/a", &[]).of("---\n- {task: t, users: [a]}\n---\n"),
        case("lines.csv", "t/a", &["line 8: user: is empty"]).of("\r\ntask,user\r\n,\r\nt,\"a\r\n\"\r\n\r\n\r\nt,\r\n").refused(1),
        case("quote.csv", "", &["line 3: opens a quote"]).of("task,user\nt,a\nt,\"b\nt,\"c\"\nt,d\n"),
        Case { told: &["line 1: has semicolons between its columns, not commas"], ..separated("semicolons.csv", ";") },
        Case { told: &["line 1: has tabs between its columns, not commas"], ..separated("tabs.csv", "\t") },
        case("big.json", "", &["is UTF-16 (big-endian); expected text in UTF-8"]).of(utf16("[]")),
        case("latin.csv", "t/b", &["line 2: is not UTF-8 but probably Latin-1 (Windows-1252)"])
            .of(&b"task,user\nt,m\xfcller\nt,b\n"[..])
            .refused(1),
        case("gbk.yaml", "", &["probably GBK (GB 18030)"]).of(&b"- {task: t, users: [\xd5\xc5\xc8\xfd]}\n"[..]),
        case("many.csv", "t/a", &[EMPTY, "and 17 more entries are refused"])
            .of(format!("task,user\nt,a\n{}", "t,\n".repeat(67)))
            .refused(67),
    ]
}

#[test]
fn files_are_read_as_they_are_meant_and_what_is_odd_is_told() {
    let cases = files();
    let apps: Vec<AppText> =
        cases.iter().map(|case| app(case, &format!("watch: {{files: [lists/{}]}}", case.file))).collect();
    let place = Place::new(&config(&apps));
    place.write("lists/none", "");
    for case in &cases {
        fs::write(place.path("lists").join(case.file), case.bytes()).unwrap();
    }
    let daemon = place.serve(&[]);
    for case in &cases {
        case.check(&daemon);
    }
}

#[test]
fn a_pattern_finds_its_ending_in_capitals_too() {
    let app = AppText::new("shop", FIRST_APP, NOWHERE, 0.1)
        .key("watch: {files: ['lists/*.yaml', 'lists/[cd].csv']}");
    let place = Place::new(&app.config());
    for (file, text) in [
        ("a.YAML", "- {task: t, users: [a]}"),
        ("b.yaml", "- {task: t, users: [b]}"),
        ("c.Csv", "task,user\nt,c\n"),
        ("C.csv", "task,user\nt,not\n"),
    ] {
        place.write(&format!("lists/{file}"), text);
    }
    let daemon = place.serve(&[]);
    case("shop", "t/a t/b t/c", &[]).check(&daemon);
}

#[test]
fn addresses_are_read_alike_and_gzip_is_unpacked() {
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let packed = r#"[{"task":"t","users":["packed"]}]"#;
    let cases = || {
        vec![
            case("field_more.json", "t1/alice", &["[0]: holds the unknown key id, which is ignored"]),
            case("null_optional.json", "t1/alice", &[]),
            case("gzip.json", "t/packed", &[]).of(gzip(packed)),
            case("cut.json", "", &["is not gzip, or was cut short"]).of(&gzip(packed)[..20]),
            case("br.json", "", &["expected gzip or none"]).of("[]"),
            case("wide.json", "", &["is UTF-16 (big-endian)"]).of(utf16("[]")),
        ]
    };
    let lists = cases();
    let source = Listener::start(move |seen| {
        let case = lists.iter().find(|case| seen.line.contains(&case.app())).unwrap();
        let encoding = match case.file {
            "gzip.json" | "cut.json" => "gzip",
            "br.json" => "br",
            _ => "identity",
        };
        let body = case.bytes();
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {length}\r\n\r\n");
        Reply::last([head.as_bytes(), &body].concat())
    });
    let cases = cases();
    let watch =
        |case: &Case| app(case, &format!("watch: {{http: [{{url: '{}/{}'}}]}}", source.url(), case.app()));
    let place = Place::new(&config(&cases.iter().map(watch).collect::<Vec<_>>()));
    let daemon = place.serve(&[]);
    for case in &cases {
        case.check(&daemon);
    }
}
