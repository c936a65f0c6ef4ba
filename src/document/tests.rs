//! Tests of the tree: what is read, what is refused, and how a fault is told.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Reads a document with a reader of a few keys and gives back the faults.
fn faults(text: &str, syntax: Syntax) -> Vec<String> {
    let node = parse(text, syntax).unwrap();
    let notes = Notes::new();
    let root = Place::root(&node, text, &notes);
    root.table("a mapping", |table| {
        if let Some(count) = table.get("count") {
            count.whole("a whole number");
        }
        if let Some(names) = table.required("names", "a list") {
            for name in names.items("a list").into_iter().flatten() {
                name.id("a name");
            }
        }
        table.refuse("password", "has no place here");
    });
    notes.faults("f").lines()
}

#[test]
fn every_fault_is_noted_with_its_path() {
    let text =
        "count: many\nname: [x]\nnames: [a, [b], ~, true, {c: d}]\npassword: p\nwith space: 1\ncount: 2\n";
    assert_eq!(
        faults(text, Syntax::Yaml),
        [
            "f: count: is text; expected a whole number",
            "f: names[1]: is a list; expected a name",
            "f: names[2]: is empty; expected a name",
            "f: names[3]: is the truth value true; expected a name",
            "f: names[4]: is a mapping; expected a name",
            "f: password: has no place here",
            "f: count: is written twice; expected once",
            "f: name: is no known key; did you mean names? known here: count names",
            "f: [\"wi\"...]: is no known key (line 5); known here: count names",
        ]
    );
}

#[test]
fn json_is_the_same_tree() {
    let text = r#"{"names": [1, -2, 1.5, 18446744073709551616, "x"], "names": []}"#;
    assert_eq!(
        faults(text, Syntax::Json),
        [
            "f: names[2]: is a number with a fraction, an exponent or too many digits that cannot be taken as written; expected quotes around it",
            "f: names[3]: is a number with a fraction, an exponent or too many digits that cannot be taken as written; expected quotes around it",
            "f: names: is written twice; expected once",
        ]
    );
    assert_eq!(faults("[1]", Syntax::Json), ["f: is a list; expected a mapping"]);
    assert_eq!(faults("{}", Syntax::Json), ["f: names: is missing; expected a list"]);
}

#[test]
fn duplicates_are_found_in_large_mappings_too() {
    let keys: String = (0..100).map(|n| format!("k{n}: 1\n")).collect();
    let found = faults(&format!("names: []\n{keys}k7: 2\n"), Syntax::Yaml);
    assert_eq!(
        found.iter().filter(|line| line.contains("written twice")).collect::<Vec<_>>(),
        ["f: k7: is written twice; expected once"]
    );
}

#[test]
fn whole_numbers_are_ids_only_where_every_reader_writes_them_alike() {
    for (spelling, id) in [
        ("12345", Some("12345")),
        ("0", Some("0")),
        ("-7", Some("-7")),
        ("0123", Some("0123")),
        ("1_000", Some("1_000")),
        ("123456789012345678901234567890", Some("123456789012345678901234567890")),
        ("yes", Some("yes")),
        ("\"0x1F\"", Some("0x1F")),
        ("0x1F", None),
        ("0o17", None),
        ("+5", None),
        ("-0", None),
        ("1.0", None),
        ("1e5", None),
        ("1e999", None),
        (".inf", None),
        ("true", None),
        ("~", None),
    ] {
        let text = format!("é: {spelling}");
        let node = parse(&text, Syntax::Yaml).unwrap();
        let notes = Notes::new();
        let root = Place::root(&node, &text, &notes);
        let mut found = None;
        for (_, place) in root.pairs("a mapping").unwrap() {
            found = place.id("an id").map(|id| id.into_owned());
        }
        assert_eq!(found.as_deref(), id, "{spelling}");
        assert_eq!(notes.is_empty(), id.is_some(), "{spelling}");
    }
}

#[test]
fn texts_that_are_no_document_say_where() {
    let cases = [
        ("a: [1", "line 1 column 4: is no YAML: unclosed bracket '['"),
        (
            "a: 1\n---\nb: 2",
            "line 3 column 1: starts a second YAML document; expected one document (no further ---)",
        ),
        ("a: !hunter2 x", "line 1 column 13: has a tag (!...); text that starts with ! needs quotes"),
        ("a: &x [*x]", "line 1 column 8: is no YAML: Recursive reference not allowed here"),
        ("? [a]\n: b", "line 1 column 3: is no YAML: expected string scalar"),
    ];
    for (text, fault) in cases {
        assert_eq!(parse(text, Syntax::Yaml).unwrap_err().to_string(), fault);
    }
    let cases = [
        ("{", "line 1 column 1: is no JSON: EOF while parsing an object"),
        ("1 2", "line 1 column 3: is no JSON: trailing characters"),
    ];
    for (text, fault) in cases {
        assert_eq!(parse(text, Syntax::Json).unwrap_err().to_string(), fault);
    }
    assert_eq!(
        utf8(b"a\xff").unwrap_err().to_string(),
        "is not UTF-8 from byte 1 (line 1) on but probably Latin-1 (Windows-1252); expected text in UTF-8"
    );
    assert_eq!(utf8(b"\xef\xbb\xbfa").unwrap(), "a");
}

#[test]
fn depth_is_bounded_in_both_syntaxes() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for syntax in [Syntax::Yaml, Syntax::Json] {
        assert!(parse(&nested(MAX_DEPTH), syntax).is_ok(), "{syntax:?}");
        assert!(parse(&nested(200), syntax).is_err(), "{syntax:?}");
    }
}

#[test]
fn a_long_key_is_cut_and_escaped() {
    let text = format!("\"{}\\n\": 1\n\"a\\u0007\": 2", "k ".repeat(50));
    let node = parse(&text, Syntax::Yaml).unwrap();
    let notes = Notes::new();
    let root = Place::root(&node, &text, &notes);
    root.pairs("a mapping").unwrap().for_each(|(_, place)| place.fault("is wrong"));
    let found = notes.faults("f").lines();
    assert_eq!(found[0], format!("f: [\"{}\"...]: is wrong", "k ".repeat(32)));
    assert_eq!(found[1], "f: [\"a\\u{7}\"]: is wrong");
}

/// Somebody may have pasted a password or a key where the key of a mapping belongs.
#[test]
fn an_unknown_key_that_is_no_plain_word_is_told_by_its_line() {
    let told = |key: &str| faults(&format!("names: []\n\n{key}: {{x: 1}}\n"), Syntax::Yaml).swap_remove(0);
    for word in ["labels", "Cache-Control", "colour", "a_b", "extraRate", "bogus1"] {
        assert_eq!(told(word), format!("f: {word}: is no known key; known here: count names"));
    }
    // A capital or a dash is a slip where a known key is near.
    assert_eq!(told("Name"), "f: Name: is no known key; did you mean names? known here: count names");
    for (secret, shown) in [
        ("hunter42", "hu"),
        ("Tr0ub4dor", "Tr"),
        ("correcthorsebattery", "cor"),
        ("5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e", "5bd"),
        ("'p\u{e4}ssword'", "p\u{e4}"),
        ("SECRETword", "SE"),
        ("x-", "x"),
    ] {
        let expected = format!("f: [\"{shown}\"...]: is no known key (line 3); known here: count names");
        assert_eq!(told(secret), expected);
    }
    let below = faults("names: []\n? hunter42\n# and\n:\n  x: 1\n", Syntax::Yaml);
    assert_eq!(below, ["f: [\"hu\"...]: is no known key (line 2); known here: count names"]);
    let json = faults(r#"{"names": [], "hunter42": 1}"#, Syntax::Json);
    assert_eq!(json, ["f: [\"hu\"...]: is no known key; known here: count names"]);
    assert_eq!(
        faults("names: []\n\"\": 1", Syntax::Yaml),
        ["f: [\"\"]: is no known key; known here: count names"]
    );
}

/// There may be sixteen million.
#[test]
fn a_node_is_small() {
    assert_eq!(size_of::<Node>(), 48);
}

#[test]
fn a_word_that_may_be_a_secret_is_hardly_shown() {
    assert_eq!(shown("5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"), "\"5bd285\"...");
    assert_eq!(shown("a label with many words in it"), "\"a label with many words in it\"");
}

#[test]
fn durations_read_as_prometheus_reads_them() {
    let day = 86_400_000;
    // The cases of TestParseDuration in prometheus/common, and some of ours.
    let read = [
        ("0", 0),
        ("0w", 0),
        ("0s", 0),
        ("324ms", 324),
        ("3s", 3000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("4d", 4 * day),
        ("4d1h", 4 * day + 3_600_000),
        ("14d", 14 * day),
        ("3w", 21 * day),
        ("3w2d1h", 23 * day + 3_600_000),
        ("10y", 3650 * day),
        ("1h30m", 5_400_000),
        ("1y2w3d4h5m6s7ms", 33019506007),
    ];
    for (text, milliseconds) in read {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in
        ["1", "1y1m1d", "-1w", "1.5d", "d", "1s1s", "1m1h", "1ms1s", "1 s", "s1", "1S", "1us", "1h30", "٣s"]
    {
        assert_eq!(parse_duration(text), Err(DurationFault::Grammar), "{text}");
    }
    assert_eq!(parse_duration(""), Err(DurationFault::Empty));
    for text in
        ["294y", "200y10400w", "107675d", "2584200h", "99999999999999999999s", "18446744073709551615y"]
    {
        assert_eq!(parse_duration(text), Err(DurationFault::TooLong), "{text}");
    }
}

#[test]
fn durations_are_written_in_days_and_less() {
    for (seconds, text) in [
        (0, "0s"),
        (90, "1m30s"),
        (7 * 86_400, "7d"),
        (8 * 86_400, "8d"),
        (5400, "1h30m"),
        (365 * 86_400, "365d"),
    ] {
        assert_eq!(format_duration(Duration::from_secs(seconds)), text);
    }
    assert_eq!(format_duration(Duration::from_millis(1500)), "1s500ms");
}

proptest! {
    #[test]
    fn a_written_duration_reads_back(milliseconds in 0u64..=9_223_372_036_854) {
        let duration = Duration::from_millis(milliseconds);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn no_duration_text_panics(text in "([0-9]{0,22}[a-z]{0,2}){0,4}|\\PC{0,20}") {
        let _ = parse_duration(&text);
    }

    #[test]
    fn no_document_panics(text in "[\\[\\]{}:,&*!|>'\"#?\\-\\n\\t a-z0-9<%@`]{0,60}") {
        for syntax in [Syntax::Yaml, Syntax::Json] {
            if let Err(fault) = parse(&text, syntax) {
                prop_assert!(!fault.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn both_syntaxes_read_json_alike(numbers in proptest::collection::vec(any::<i64>(), 0..5), key in "[a-z]{1,5}") {
        let text = serde_json::json!({ key: numbers }).to_string();
        let plain = |node: Node| format!("{:?}", strip(node));
        let (yaml, json) = (parse(&text, Syntax::Yaml).unwrap(), parse(&text, Syntax::Json).unwrap());
        prop_assert_eq!(plain(yaml), plain(json));
    }
}

fn strip(node: Node) -> Node {
    let value = match node.value {
        Value::List(list) => Value::List(list.into_iter().map(strip).collect()),
        Value::Table(keys) => Value::Table(keys.into_iter().map(|(key, node)| (key, strip(node))).collect()),
        other => other,
    };
    Node { value, span: None }
}
