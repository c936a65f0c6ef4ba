//! Tests of the watch room: entries and whole lists.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::document::{Notes, Place, Syntax, parse};

mod producers;

/// 2026-11-23T00:00:00Z.
const NOW: i64 = 1_795_392_000;
const LABELS: [&str; 2] = ["campaign", "tier"];

fn labels() -> Vec<Box<str>> {
    LABELS.map(Box::from).to_vec()
}

fn list(format: ListFormat, text: &str) -> Parsed {
    parse_list(format, text.as_bytes(), &labels(), NOW).unwrap_or_else(|fault| panic!("{fault}"))
}

fn entry(task: &str, users: &[&str]) -> Entry {
    let users = users.iter().map(|user| (*user).to_owned()).collect();
    Entry { task: task.to_owned(), users, ..Entry::default() }
}

fn labelled(mut entry: Entry, label: &str, value: &str) -> Entry {
    entry.labels.insert(label.to_owned(), value.to_owned());
    entry
}

#[test]
fn the_three_formats_say_the_same() {
    let yaml = list(
        ListFormat::Yaml,
        "- {task: t1, users: [a, 10086], labels: {campaign: spring}, pushed_at: 2026-11-23T10:00:00Z}\n- {task: 2, users: [c]}\n",
    );
    let json = list(
        ListFormat::Json,
        r#"[{"task":"t1","users":["a",10086],"labels":{"campaign":"spring"},"pushed_at":"2026-11-23T18:00:00+08:00"},
            {"task":2,"users":["c"]}]"#,
    );
    let csv = list(
        ListFormat::Csv,
        "user,task,campaign,pushed_at\r\na,t1,spring,2026-11-23T10:00:00Z\r\n 10086 ,\"t1\",spring,2026-11-23T10:00:00.9Z\r\nc,2,,\r\n",
    );
    let mut first = labelled(entry("t1", &["a", "10086"]), "campaign", "spring");
    first.pushed_at = Some(1_795_428_000);
    let expected = Parsed { entries: vec![first, entry("2", &["c"])], ..Parsed::default() };
    assert_eq!(yaml, expected);
    assert_eq!(json, expected);
    assert_eq!(csv, expected);
}

#[test]
fn a_bad_entry_is_refused_alone_with_its_path_and_reason() {
    let text = r#"[{"task":"","users":["a","b"]}, {"task":"t","users":["a",""],"labels":{"tier":[]},"pushed_at":7},
                   {"task":"t","users":["good"]}, 7, {"task":"t","users":"bob"}, {"task":"t","users":["a"],"pushed_at":"x"},
                   {"task":"t","users":null}, {"task":null,"users":["a",null]}]"#;
    let parsed = list(ListFormat::Json, text);
    assert_eq!(parsed.entries, [entry("t", &["good"])]);
    let id = "expected 1 to 256 bytes of text";
    let users = "expected a list of UserIDs such as [alice, bob]";
    let time = "expected an RFC 3339 time with its zone such as 2026-11-23T10:00:00Z";
    assert_eq!(
        parsed.refused,
        [
            format!("[0].task: is empty; {id}"),
            format!(
                "[1].users[1]: is empty; {id}; also [1].labels.tier: is a list; expected text; also \
                 [1].pushed_at: is a whole number; {time}"
            ),
            "[3]: is a whole number; expected a mapping with task and users".to_owned(),
            format!("[4].users: is text; {users}"),
            format!("[5].pushed_at: is \"x\"; {time}"),
            format!("[6].users: is empty; {users}"),
            "[7].task: is empty; expected the TaskID that the push was answered with; also [7].users[1]: is empty; expected \
             a UserID"
                .to_owned(),
        ]
    );
    assert_eq!((parsed.refused_entries, parsed.refused_pairs), (7, 2 + 2 + 1 + 1 + 1 + 1 + 2));
}

#[test]
fn what_is_no_list_is_a_fault_of_the_source() {
    let cases = [
        (ListFormat::Yaml, "", "is empty; expected a list of entries ([] for none)"),
        (ListFormat::Yaml, "task: t", "is a mapping; expected a list of entries ([] for none)"),
        (ListFormat::Json, "[{}", "line 1 column 3: is no JSON: EOF while parsing a list"),
        (ListFormat::Json, "", "line 1 column 0: is no JSON: EOF while parsing a value"),
    ];
    for (format, text, fault) in cases {
        assert_eq!(parse_list(format, text.as_bytes(), &labels(), NOW).unwrap_err().to_string(), fault);
    }
    let header = "expected a header of task,user and optionally pushed_at,campaign,tier";
    let quote = "opens a quote (\") that does not end its field; expected one that does, or \"\" for a quote in a text";
    for (text, fault) in [
        ("", format!("line 1: has no column task; {header}")),
        ("\r\n\ntask\n", format!("line 3: has no column user; {header}")),
        ("Task,User\n", format!("line 1: has no column task; {header}")),
        ("task,user,task\n", format!("line 1: has the column task twice; {header}")),
        ("task;user\nt;a\n", format!("line 1: has semicolons between its columns, not commas; {header}")),
        ("\"user\"\t\"task\"\n", format!("line 1: has tabs between its columns, not commas; {header}")),
        (
            "task;pushed_at;user;note, more\n",
            format!("line 1: has semicolons between its columns, not commas; {header}"),
        ),
        ("sep=;\ntask;user\n", format!("line 1: is a line (sep=) that only spreadsheets read; {header}")),
        ("task,user\nt,a\nt,\"b\nt,c\nt,d\n", format!("line 3: {quote}")),
        ("task,user\r\n\r\n\"t\",\"b\r\n\"t\",\"c\"\r\n", format!("line 3: {quote}")),
        ("task,user\nt,\"b", format!("line 2: {quote}")),
        ("task,user,note\nt,a,\"x\nt,b,y\nt,c,z\n", format!("line 2: {quote}")),
    ] {
        assert_eq!(fault_of(ListFormat::Csv, text.as_bytes()), fault, "{text:?}");
    }
}

fn fault_of(format: ListFormat, bytes: &[u8]) -> String {
    parse_list(format, bytes, &labels(), NOW).unwrap_err().to_string()
}

#[test]
fn empty_lists_are_lists() {
    for (format, text) in
        [(ListFormat::Yaml, "[]"), (ListFormat::Json, "\u{feff}[]"), (ListFormat::Csv, "\u{feff}task,user\n")]
    {
        assert_eq!(list(format, text), Parsed::default(), "{format:?}");
    }
}

#[test]
fn bad_csv_lines_are_refused_alone() {
    let mut bytes = b"task,user,tier,pushed_at\nt,a,1,\nt\nt,,1,\n,b,1,\nt,c,1,today\nt,".to_vec();
    bytes.extend(b"\xff,1,\nt,d,1,\nt,e,2,\nt,f\x01g,2,\n");
    bytes.extend(format!("t,g,{},\n", "v".repeat(129)).bytes());
    let parsed = parse_list(ListFormat::Csv, &bytes, &labels(), NOW).unwrap();
    assert_eq!(
        parsed.entries,
        [labelled(entry("t", &["a", "d"]), "tier", "1"), labelled(entry("t", &["e"]), "tier", "2")]
    );
    let starts: Vec<&str> = parsed.refused.iter().map(|line| line.split(';').next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "line 3: has 1 fields between commas",
            "line 4: user: is empty",
            "line 5: task: is empty",
            "line 6: pushed_at: is \"today\"",
            "line 7: is not UTF-8 but probably Latin-1 (Windows-1252)",
            "line 10: user: holds U+0001 (control character) as character 2",
            "line 11: tier: is 129 bytes long",
        ]
    );
    assert_eq!(parsed.refused_pairs, 7);
}

/// Neighbours are compared, and what they share is neither checked nor read again.
#[test]
fn csv_lines_of_one_push_are_one_entry_and_no_others() {
    let at = |hour: i64| Some(1_795_392_000 + hour * 3600);
    let lines = [
        "t,a,2026-11-23T00:00:00Z,spring,",
        " t , b ,\"2026-11-23T00:00:00Z\", spring ,  ",
        "t,c,2026-11-23T01:00:00Z,spring,",
        "t,d,2026-11-23T01:00:00Z,summer,",
        "t,e,2026-11-23T01:00:00Z,summer,1",
        "t,f,2026-11-23T01:00:00Z,,1",
        "u,g,2026-11-23T01:00:00Z,,1",
        "u,h,,,1",
        "t,i,2026-11-23T00:00:00Z,spring,",
    ];
    let parsed =
        list(ListFormat::Csv, &format!("task, user,pushed_at,campaign,tier \r\n{}", lines.join("\r\n")));
    let entries = [
        ("t", &["a", "b"][..], at(0), "spring", ""),
        ("t", &["c"], at(1), "spring", ""),
        ("t", &["d"], at(1), "summer", ""),
        ("t", &["e"], at(1), "summer", "1"),
        ("t", &["f"], at(1), "", "1"),
        ("u", &["g"], at(1), "", "1"),
        ("u", &["h"], None, "", "1"),
        ("t", &["i"], at(0), "spring", ""),
    ];
    let entries = entries.map(|(task, users, pushed_at, campaign, tier)| {
        let labels =
            [("campaign", campaign), ("tier", tier)].into_iter().filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Entry { pushed_at, labels, ..entry(task, users) }
    });
    assert_eq!(parsed.entries, entries);
    assert_eq!(parsed.refused_pairs, 0, "{:?}", parsed.refused);
}

#[test]
fn refused_entries_beyond_the_cap_are_counted() {
    let text = format!("task,user\n{}", "t,\n".repeat(MAX_REFUSED_TOLD + 5));
    let parsed = list(ListFormat::Csv, &text);
    assert_eq!(parsed.refused.len(), MAX_REFUSED_TOLD);
    assert_eq!(parsed.refused_entries, MAX_REFUSED_TOLD as u64 + 5);
    assert_eq!(parsed.refused_pairs, MAX_REFUSED_TOLD as u64 + 5);
}

#[test]
fn limits_of_length_are_exact() {
    let entries = |task: usize, label: usize| {
        let text =
            format!("[{{task: {}, users: [u], labels: {{tier: {}}}}}]", "t".repeat(task), "v".repeat(label));
        let node = parse(&text, Syntax::Yaml).unwrap();
        let notes = Notes::new();
        let read = read_entries(&Place::root(&node, &text, &notes), Some(&labels()), NOW);
        assert_eq!(read.is_empty(), !notes.is_empty());
        read.len()
    };
    assert_eq!(entries(MAX_ID_BYTES, MAX_LABEL_BYTES), 1);
    assert_eq!(entries(MAX_ID_BYTES + 1, MAX_LABEL_BYTES), 0);
    assert_eq!(entries(MAX_ID_BYTES, MAX_LABEL_BYTES + 1), 0);
}

#[test]
fn formats_go_by_extension() {
    for (name, format) in [
        ("a.yaml", Some(ListFormat::Yaml)),
        ("a.yml", Some(ListFormat::Yaml)),
        ("x/a.b.json", Some(ListFormat::Json)),
        ("a.csv", Some(ListFormat::Csv)),
        ("A.CSV", Some(ListFormat::Csv)),
        ("a.YAML", Some(ListFormat::Yaml)),
        ("a.Yml", Some(ListFormat::Yaml)),
        ("a.Json", Some(ListFormat::Json)),
        ("a.yaml.bak", None),
        ("a.txt", None),
        ("csv", None),
    ] {
        assert_eq!(ListFormat::of(Path::new(name)), format, "{name}");
    }
    for extension in ListFormat::EXTENSIONS {
        assert!(ListFormat::of(&Path::new("a").with_extension(extension)).is_some());
    }
}

#[test]
fn the_query_of_a_url_is_not_shown() {
    let source = HttpSource {
        url: "http://h/w?token=x".to_owned(),
        refresh: std::time::Duration::from_secs(1),
        basic_auth: None,
        authorization: None,
        tls: ClientTls::default(),
    };
    assert_eq!(source.shown_url(), "http://h/w?...");
    assert!(!format!("{source:?}").contains("token"));
}

proptest! {
    #[test]
    fn no_list_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[\\[\\]{}:,\"a-z\\n\\- ]{0,60}") {
        for format in [ListFormat::Yaml, ListFormat::Json, ListFormat::Csv] {
            let _ = parse_list(format, &bytes, &labels(), NOW);
            let _ = parse_list(format, text.as_bytes(), &labels(), NOW);
            let _ = parse_list(format, format!("task,user\n{text}").as_bytes(), &labels(), NOW);
        }
    }
}
