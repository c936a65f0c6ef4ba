//! Tests of the example file, the summary and the rendered configuration.

use std::collections::BTreeSet;

use super::*;

// The example.

fn keys_of(text: &str, path: &Path) -> (BTreeSet<String>, Result<Config, Faults>) {
    let notes = Notes::with_keys();
    let config = parse_noting(text, path, &Around::of(path, &|_| Some("x".into())), &notes);
    (notes.keys(), config)
}

/// The example in a folder of its own, with the key file it names.
fn example() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop.key"), "not-a-real-key").unwrap();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.yaml")).unwrap();
    (folder, text)
}

#[test]
fn the_full_fixture_and_the_example_mention_every_key_the_reader_knows() {
    let path = fixtures("good").join("full.yaml");
    let full = fs::read_to_string(&path).unwrap();
    let (keys, config) = keys_of(&full, &path);
    config.unwrap_or_else(|faults| panic!("{faults}"));
    assert!(keys.len() >= 32 && keys.contains("apps[].watch.http[].tls_config.key_file"), "{keys:?}");
    let (_folder, example) = example();
    let page = include_str!("../../../docs/configuration.md");
    for key in keys {
        let name = key.rsplit(['.', ']']).next().unwrap();
        let mentions = |text: &str, bare: bool| {
            text.lines().any(|line| {
                let line = if bare { line.trim_start_matches([' ', '#', '-']) } else { line };
                line.starts_with(&format!("{name}:")) || (!bare && line.contains(&format!("{name}:")))
            })
        };
        assert!(mentions(&full, false), "full.yaml sets no {key}: its keys below are not known to this test");
        assert!(
            mentions(&example, true) || example.contains(&format!("{name}: {{")),
            "config.example.yaml has no {key}"
        );
        assert!(page.contains(&format!("`{name}`")), "docs/configuration.md has no {key}");
    }
}

/// Paths of the keys that a JSON schema knows, written as the reader writes them.
fn schema_keys(
    schema: &serde_json::Value,
    node: &serde_json::Value,
    path: &str,
    keys: &mut BTreeSet<String>,
) {
    let definition = node["$ref"].as_str().and_then(|at| schema.pointer(at.trim_start_matches('#')));
    let node = definition.unwrap_or(node);
    if let Some(items) = node.get("items") {
        schema_keys(schema, items, &format!("{path}[]"), keys);
    }
    for (key, inner) in node["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}").trim_start_matches('.').to_owned();
        schema_keys(schema, inner, &path, keys);
        keys.insert(path);
    }
}

#[test]
fn the_schema_of_the_helm_chart_has_every_key_and_no_other() {
    let path = fixtures("good").join("full.yaml");
    let (keys, _) = keys_of(&fs::read_to_string(&path).unwrap(), &path);
    let chart = include_str!("../../../deploy/helm/timpush-exporter/values.schema.json");
    let schema: serde_json::Value = serde_json::from_str(chart).unwrap();
    let mut of_chart = BTreeSet::new();
    schema_keys(&schema, &schema["properties"]["config"], "", &mut of_chart);
    assert_eq!(of_chart, keys);
}

#[test]
fn the_example_parses_and_its_comments_tell_the_defaults() {
    let (folder, example) = example();
    let path = folder.path().join("config.yaml");
    let config = parse(&example, &path).unwrap_or_else(|faults| panic!("{faults}"));
    // Taking away `# ` before `key: value` sets each default: nothing may change.
    let mut set = 0;
    let uncomment = |line: &str| {
        let (indent, rest) = line.split_once("# ").unwrap_or(("x", ""));
        let key = rest.split(": ").next().unwrap_or_default();
        let is_key =
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_') && rest.contains(": ");
        if indent.trim().is_empty() && is_key {
            set += 1;
            return format!("{indent}{rest}");
        }
        line.to_owned()
    };
    let text: Vec<String> = example.lines().map(uncomment).collect();
    let spelled_out = parse(&text.join("\n"), &path).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(set >= 7, "only {set} defaults are told");
    assert_eq!(config, spelled_out);
}

// The pages made of it.

#[test]
fn the_summary_names_the_number_to_change() {
    let text = "apps: [{name: shop, sdk_app_id: 7, endpoint: 'http://127.0.0.1:9/x', secret_key_env: PATH, watch_for: 10s,
      watch: {static: [{task: t, users: [a, b, c, d, e, f, g, h]}, {task: t, users: [a]}]}},
      {name: idle, sdk_app_id: 8, region: seoul, secret_key_env: PATH}]";
    let config = parse(text, Path::new("c.yaml")).unwrap();
    let summary = summary(&config, &Lists::of_static(&config));
    let lines: Vec<&str> = summary.lines().collect();
    assert_eq!(lines[0], "c.yaml: no faults");
    let row = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
    assert_eq!(row(3), ["shop", "127.0.0.1:9", "7", "1", "8", "0", "0", "1.25", "8s", "5"]);
    assert_eq!(row(4), ["idle", "adminapikr.im.qcloud.com", "8", "1", "0", "0", "0", "-", "-", "302400"]);
    let advice = "shop: only 1.25 looks per pair fit into watch_for 10s: raise requests_per_second from 1 to at least \
                  1.6, or watch at most 5 pairs instead of 8.";
    assert!(lines.contains(&advice), "{summary}");
    assert!(!summary.contains("idle: only"), "{summary}");
}

#[test]
fn the_advice_says_who_gets_nothing_and_only_what_can_be_done() {
    let advised = |rate: &str, watch_for: &str, users: usize| {
        let users: Vec<String> = (0..users).map(|user| format!("u{user}")).collect();
        let text = format!(
            "apps: [{{name: shop, sdk_app_id: 7, region: seoul, secret_key_env: PATH, watch_for: {watch_for}, \
             requests_per_second: {rate}, request_timeout: 1ms, watch: {{static: [{{task: t, users: [{}]}}]}}}}]",
            users.join(", ")
        );
        let config = parse(&text, Path::new("c.yaml")).unwrap_or_else(|faults| panic!("{faults}"));
        let summary = summary(&config, &Lists::of_static(&config));
        let line = summary.lines().find_map(|line| line.strip_prefix("shop: ")).unwrap_or_default();
        line.to_owned()
    };
    assert_eq!(advised("1", "10s", 5), "");
    assert_eq!(
        advised("1", "10s", 40),
        "only 0.25 looks per pair fit into watch_for 10s, 75% of the pairs get none: raise requests_per_second from 1 \
         to at least 8, or watch at most 5 pairs instead of 40."
    );
    // Fewer than one pair cannot be watched.
    assert_eq!(
        advised("1", "1s", 2),
        "only 0.5 looks per pair fit into watch_for 1s, 50% of the pairs get none: raise requests_per_second from 1 to \
         at least 4."
    );
    // No more than 1000 requests a second can be asked for.
    assert_eq!(
        advised("1000", "1s", 600),
        "only 1.66 looks per pair fit into watch_for 1s: watch at most 500 pairs instead of 600."
    );
    assert_eq!(
        advised("1000", "1ms", 1),
        "only 1 looks per pair fit into watch_for 1ms: raise watch_for from 1ms."
    );
}

#[test]
fn the_summary_of_a_thousand_apps_fits_one_screen() {
    let app = |n| {
        format!(
            "{{name: a{n}, sdk_app_id: 7, region: china, secret_key_env: PATH, watch_for: 1s, \
             watch: {{static: [{{task: t, users: [a, b]}}]}}}},"
        )
    };
    let apps: String = (0..1000).map(app).collect();
    let config = parse(&format!("apps: [{apps}]"), Path::new("c.yaml")).unwrap();
    let summary = summary(&config, &Lists::of_static(&config));
    assert!(summary.lines().count() <= 24, "{summary}");
    assert!(summary.contains("and 992 more apps"), "{summary}");
    assert!(summary.contains("apps 1000, requests per second 1, pairs 2000, list files 0"), "{summary}");
    let shared =
        "warning: apps[1]: has the host and sdk_app_id of a0: they share one request budget and poll in turn";
    assert!(summary.contains(shared) && summary.contains(" (also at 998 more places)"), "{summary}");
}

#[test]
fn the_rendered_config_has_defaults_and_no_user_and_no_token() {
    let text = render(&good("full.yaml"));
    for private in ["alice", "bob", "carol", "token=abc", "0123456789abcdef"] {
        assert!(!text.contains(private), "{private} in {text}");
    }
    let node = document::parse(&text, Syntax::Yaml).unwrap();
    let shown = format!("{node:?}");
    for part in
        ["2 users", "2d12h", "-03:30", "7d", "600000", "http://campaigns.internal/watch?...", "administrator"]
    {
        assert!(shown.contains(part), "{part} in {text}");
    }
    assert!(!format!("{:?}", good("full.yaml")).contains("token=abc"));
}

#[test]
fn what_is_rendered_reads_back_as_the_same_settings() {
    let config = good("anchors.yaml");
    // The region says the endpoint; the file takes one of the two.
    let text: Vec<String> =
        render(&config).lines().filter(|line| !line.contains("endpoint:")).map(str::to_owned).collect();
    let again = parse(&text.join("\n"), &config.file).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config, again);
}
