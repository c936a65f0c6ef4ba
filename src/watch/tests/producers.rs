//! Tests of lists as real producers write them: what is taken of each, and what is told.

use super::*;

#[test]
fn what_is_not_utf_8_is_named() {
    let list = "task,user\nt,a\n";
    for format in [ListFormat::Csv, ListFormat::Yaml, ListFormat::Json] {
        for (bytes, kind) in [
            (list.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), "UTF-16 (little-endian)"),
            (list.encode_utf16().flat_map(u16::to_be_bytes).collect(), "UTF-16 (big-endian)"),
            (b"PK\x03\x04 and more".to_vec(), "a ZIP archive (as spreadsheets in .xlsx are)"),
        ] {
            assert_eq!(fault_of(format, &bytes), format!("is {kind}; expected text in UTF-8"));
        }
    }
    let gbk = b"- {task: t, users: [\xd5\xc5\xc8\xfd]}";
    let fault = "is not UTF-8 from byte 20 (line 1) on but probably GBK (GB 18030); expected text in UTF-8";
    assert_eq!(fault_of(ListFormat::Yaml, gbk), fault);
    let csv = b"task,user\nt,a\n\nt,m\xfcller\nt,b\n";
    let parsed = parse_list(ListFormat::Csv, csv, &[], NOW).unwrap();
    assert_eq!(parsed.entries, [entry("t", &["a", "b"])]);
    let reason = "line 4: is not UTF-8 but probably Latin-1 (Windows-1252); expected text in UTF-8";
    assert_eq!(parsed.refused, [reason]);
}

/// A list of two entries as JSON and as YAML, the second with more in it.
fn with(more: &str) -> [Parsed; 2] {
    let text = format!(r#"[{{"task":"t","users":["a"]}}, {{"task":"t","users":["b"]{more}}}]"#);
    [list(ListFormat::Json, &text), list(ListFormat::Yaml, &text)]
}

#[test]
fn what_is_optional_may_be_nothing_in_every_way_that_producers_write_it() {
    for more in [
        r#", "labels": null, "pushed_at": null"#,
        r#", "labels": {}, "pushed_at": """#,
        r#", "labels": {"tier": null}, "pushed_at": " ""#,
        r#", "labels": [], "pushed_at": "0001-01-01T00:00:00Z""#,
        r#", "labels": {"campaign": null, "tier": null}"#,
    ] {
        for parsed in with(more) {
            let expected = vec![entry("t", &["a"]), entry("t", &["b"])];
            assert_eq!(parsed, Parsed { entries: expected, ..Parsed::default() }, "{more}");
        }
    }
    assert_eq!(
        list(ListFormat::Yaml, "- task: t\n  users: [a]\n  labels:\n  pushed_at:\n").entries,
        [entry("t", &["a"])]
    );
}

#[test]
fn what_is_not_known_is_ignored_and_told_once_for_each_name() {
    for (more, warnings) in [
        (
            r#", "id": 7"#,
            ["[1]: holds the unknown key id, which is ignored; known here: task users labels pushed_at"],
        ),
        (
            r#", "label": {"tier": 1}"#,
            [
                "[1]: holds the unknown key label, which is ignored; did you mean labels? known here: task users labels \
                 pushed_at",
            ],
        ),
        (
            r#", "labels": {"color": "red", "tier": "1"}"#,
            [
                "[1].labels: holds \"color\", which is no watch label and is ignored; known here: campaign tier",
            ],
        ),
        (
            r#", "5bd2850fff3ecb11d7c805251c51ee46": 1"#,
            [
                "[1]: holds the unknown key [\"5bd\"...], which is ignored; known here: task users labels pushed_at",
            ],
        ),
    ] {
        for parsed in with(more) {
            let mut known = entry("t", &["b"]);
            if more.contains("\"1\"") {
                known = labelled(known, "tier", "1");
            }
            assert_eq!(parsed.entries, [entry("t", &["a"]), known]);
            assert_eq!(
                (parsed.warnings.lines(), parsed.refused_entries),
                (warnings.map(str::to_owned).to_vec(), 0)
            );
        }
    }
    let [twice, _] = with(r#", "id": 1, "id": 2, "labels": {"tier": "1", "tier": "2"}"#);
    assert_eq!(twice.refused, ["[1].labels.tier: is written twice; expected once"], "of what is known alone");
    let many: Vec<String> =
        (0..20).map(|n| format!(r#"{{"task":"t","users":["u{n}"],"id":{n},"kind":"x"}}"#)).collect();
    let parsed = list(ListFormat::Json, &format!("[{}]", many.join(",")));
    let known = "known here: task users labels pushed_at";
    assert_eq!(
        parsed.warnings.lines(),
        ["id", "kind"].map(|key| format!(
            "[0]: holds the unknown key {key}, which is ignored; {known} (also at 19 more places)"
        ))
    );
    let csv = list(ListFormat::Csv, "id,task,user,created at\n1,t,a,x\n2,t,b,\"two\nlines\"\n3,t,,y\n");
    assert_eq!(csv.entries, [entry("t", &["a", "b"])]);
    assert_eq!(csv.refused, ["line 5: user: is empty; expected 1 to 256 bytes of text"]);
    let known = "which is ignored; known here: task user pushed_at campaign tier";
    assert_eq!(
        csv.warnings.lines(),
        ["id", "created at"].map(|name| format!("line 1: has the unknown column \"{name}\", {known}"))
    );
}

#[test]
fn ids_are_trimmed_alike_in_every_format() {
    let odd = [" a ", "\u{feff}b", "c\u{200b}", "\u{a0}d\u{a0}", "e\t", "\u{3000}f"];
    let json =
        serde_json::json!([{"task": "\u{feff}t ", "users": odd, "labels": {"tier": " 1\u{a0}"}}]).to_string();
    let csv: String = odd.iter().map(|user| format!("\u{feff}t ,{user}, 1\u{a0}\n")).collect();
    let csv = format!("\u{feff}task,\u{a0}user ,tier\n{csv}");
    let expected = [labelled(entry("t", &["a", "b", "c", "d", "e", "f"]), "tier", "1")];
    for (format, text) in [(ListFormat::Json, &json), (ListFormat::Yaml, &json), (ListFormat::Csv, &csv)] {
        let parsed = list(format, text);
        assert_eq!(parsed.entries, expected, "{format:?}");
        let told = parsed.warnings.lines().join("\n");
        for character in ["U+FEFF (byte order mark)", "U+200B (zero width space)", "U+00A0 (no-break space)"]
        {
            assert!(
                told.contains(&format!("has {character} at an end, which is left out")),
                "{format:?}: {told}"
            );
        }
        assert_eq!(
            told.contains("U+0020"),
            format != ListFormat::Csv,
            "around a field of CSV they are layout"
        );
    }
}

#[test]
fn ids_that_hold_what_cannot_be_seen_are_refused_and_odd_ones_told() {
    let csv = "task,user\nt1, \"alice\"\nt,al\u{200b}ice\nt\u{ad}2,bob\nt,1.23457E+11\nt,carol\nt,\"=\"\"7\"\"\"\nt,\"x\ny\"\nt,\n";
    let parsed = list(ListFormat::Csv, csv);
    assert_eq!(
        parsed.refused,
        [
            "line 3: user: holds U+200B (zero width space) as character 3; expected an id without it",
            "line 4: task: holds U+00AD (soft hyphen) as character 2; expected an id without it",
            "line 8: user: holds U+000A (line feed) as character 2; expected an id without it",
            "line 10: user: is empty; expected 1 to 256 bytes of text",
        ]
    );
    assert_eq!(
        parsed.entries,
        [entry("t1", &["\"alice\""]), entry("t", &["1.23457E+11", "carol", "=\"7\""])]
    );
    let told = parsed.warnings.lines();
    for (line, beginning) in told.iter().zip([
        "line 2: user: has U+0022 (quotation mark) at an end",
        "line 5: user: is a number in scientific notation",
        "line 7: user: begins with = as the formula",
    ]) {
        assert!(line.starts_with(beginning), "{line}");
    }
    assert_eq!(told.len(), 3);
}

#[test]
fn what_a_spreadsheet_leaves_behind_is_skipped() {
    for text in [
        "task,user\nt,a\n,\n,\nt,b\n",
        "task,user,\nt,a,\nt,b,\n",
        "task,user,,,\nt,a,,,\n,,,,\n\u{a0}, ,,,\nt,b\n   \n",
        "task,user\r\nt,a,\r\n,,,,,\r\n\r\nt,b, ,\r\n",
    ] {
        let parsed = list(ListFormat::Csv, text);
        assert_eq!(
            parsed,
            Parsed { entries: vec![entry("t", &["a", "b"])], ..Parsed::default() },
            "{text:?}"
        );
    }
    let index = list(ListFormat::Csv, ",task,user\n0,t,a\n1,t,b\n");
    assert_eq!(index.entries, [entry("t", &["a", "b"])]);
    let warning = "line 2: has a field in a column without a name, which is ignored (also at 1 more place)";
    assert_eq!(index.warnings.lines(), [warning]);
    let more = list(ListFormat::Csv, "task,user,\nt,a,,x\nt\n");
    assert_eq!(
        more.refused,
        [4, 1].map(|n| format!(
            "line {}: has {n} fields between commas; expected 3 as in the header",
            if n == 4 { 2 } else { 3 }
        ))
    );
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for (text, line) in [
        ("task,user\nt,a\nt,\n", 3),
        ("task,user\r\nt,a\r\nt,\r\n", 3),
        ("task,user\rt,a\rt,\r", 3),
        ("task,user\nt,a\n\nt,\n", 4),
        ("task,user\r\n\r\n\r\nt,a\r\n\r\nt,", 6),
        ("\n\ntask,user\nt,a\n,\n\nt,\n", 7),
        ("task,user\nt,\"a\n\"\nt,\n", 4),
        ("task,user,note\r\nt,a,\"one\r\ntwo\r\n\r\nthree\"\r\nt,,\r\n", 6),
    ] {
        let parsed = list(ListFormat::Csv, text);
        let reason = format!("line {line}: user: is empty; expected 1 to 256 bytes of text");
        assert_eq!((parsed.refused, parsed.entries.len()), (vec![reason], 1), "{text:?}");
    }
}

#[test]
fn a_push_far_ahead_is_told_with_its_time_as_it_is_written() {
    let far = "2027-11-23T10:00:00+08:00";
    let csv = format!(
        "task,user,pushed_at\nt,a,2026-12-22T23:59:00Z\nt,b,{far}\nt,c,{far}\nt,d,9000-12-31T00:00:00Z\n"
    );
    let parsed = list(ListFormat::Csv, &csv);
    assert_eq!(parsed.entries.iter().map(|entry| entry.users.len()).sum::<usize>(), 4);
    let told = "more than 30 days ahead; the push is not polled before then";
    assert_eq!(
        parsed.warnings.lines(),
        [
            format!("line 3: pushed_at: is \"{far}\", {told} (also at 1 more place)"),
            format!("line 5: pushed_at: is \"9000-12-31T00:00:00Z\", {told}"),
        ]
    );
    for parsed in with(&format!(r#", "pushed_at": "{far}""#)) {
        assert_eq!(parsed.warnings.lines(), [format!("[1].pushed_at: is \"{far}\", {told}")]);
    }
}

#[test]
fn one_yaml_document_may_end_by_markers() {
    for end in
        ["---\n", "...\n", "---", "...\n---\n", "--- # end\n\n# of all\n...\n", "---\r\n", "---\n---\n"]
    {
        let parsed = list(ListFormat::Yaml, &format!("---\n- {{task: t, users: [a]}}\n{end}"));
        assert_eq!(parsed.entries, [entry("t", &["a"])], "{end:?}");
    }
    for more in ["---\n- {task: t, users: [b]}\n", "--- []\n", "...\n---\n~\n"] {
        let fault = fault_of(ListFormat::Yaml, format!("- {{task: t, users: [a]}}\n{more}").as_bytes());
        assert!(fault.contains("starts a second YAML document"), "{more:?}: {fault}");
    }
}
