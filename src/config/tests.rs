//! Tests of the config room: good and bad files with the exact text of each fault, the example, and the pages made of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::usersig::Credential;

mod pages;

fn fixtures(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(kind)
}

fn good(name: &str) -> Config {
    let path = fixtures("good").join(name);
    load(&path).unwrap_or_else(|faults| panic!("{faults}"))
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

/// `TIMPUSH_BLESS=1` writes the faults found as the expected ones; read the difference before you commit it.
#[test]
fn bad_files_give_exactly_the_expected_faults() {
    let folder = fixtures("bad");
    let bless = std::env::var_os("TIMPUSH_BLESS").is_some();
    let files = yaml_files(&folder);
    assert!(files.len() >= 35, "only {} bad files", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let faults = load(&file).expect_err(&format!("{} should be refused", file.display()));
        let found = faults.to_string().replace(&format!("{}/", folder.display()), "") + "\n";
        let expected = file.with_extension("expected");
        if bless {
            fs::write(&expected, &found).unwrap();
        }
        let told = fs::read_to_string(&expected).unwrap_or_default();
        if found != told {
            wrong.push(format!("{}:\nfound:\n{found}expected:\n{told}", file.display()));
        }
        assert!(!found.contains("hunter2"), "{} shows a secret: {found}", file.display());
        for line in found.lines() {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(line.starts_with(&format!("{name}: ")), "{line}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_files_are_taken() {
    for file in yaml_files(&fixtures("good")) {
        load(&file).unwrap_or_else(|faults| panic!("{faults}"));
    }
}

#[test]
fn a_minimal_app_gets_every_default() {
    let config = good("minimal.yaml");
    let [app] = &config.apps[..] else { panic!("one app") };
    assert_eq!(&*app.name, "shop");
    assert_eq!((app.sdk_app_id, app.region), (1_400_000_001, Some("singapore")));
    assert_eq!(app.endpoint, "https://adminapisgp.im.qcloud.com");
    assert_eq!(app.admin, "administrator");
    assert_eq!(app.credential, Credential::KeyFile(fixtures("good").join("shop.key")));
    assert_eq!(app.requests_per_second, 1.0);
    assert_eq!(app.request_timeout, Duration::from_secs(10));
    assert_eq!(app.zone_offset_seconds, 8 * 3600);
    assert_eq!(app.watch_for, Duration::from_secs(7 * 86_400));
    assert_eq!(app.max_pairs, 600_000);
    assert!(app.watch_labels.is_empty());
    assert_eq!(app.watch, crate::watch::Sources::default());
    assert!(config.warnings.is_empty());
}

#[test]
fn every_key_of_a_full_file_arrives() {
    let config = good("full.yaml");
    let app = &config.apps[0];
    let folder = fixtures("good");
    assert_eq!((app.admin.as_str(), app.requests_per_second, app.max_pairs), ("root", 2.5, 1000));
    assert_eq!(app.request_timeout, Duration::from_secs(90));
    assert_eq!(app.zone_offset_seconds, -(3 * 3600 + 1800));
    assert_eq!(app.watch_for, Duration::from_secs(60 * 3600));
    assert_eq!(app.watch_labels.iter().map(|name| &**name).collect::<Vec<_>>(), ["campaign", "tier"]);
    assert_eq!(app.watch.entries.len(), 2);
    assert_eq!(app.watch.entries[0].pushed_at, Some(1_795_428_000));
    let files = [folder.join("watch/*.yaml"), "/srv/lists/today.csv".into(), folder.join("lists/*")];
    assert_eq!(app.watch.files, files);
    let [basic, bearer] = &app.watch.http[..] else { panic!("two sources") };
    assert_eq!(basic.refresh, Duration::from_secs(300));
    let auth = basic.basic_auth.as_ref().unwrap();
    assert_eq!((auth.username.as_str(), &auth.password_file), ("me", &folder.join("shop.key")));
    assert_eq!(bearer.refresh, Duration::from_secs(60));
    assert_eq!(bearer.authorization.as_ref().unwrap().scheme, "Token");
    assert_eq!(bearer.tls.server_name.as_deref(), Some("campaigns"));
    assert!(bearer.tls.insecure_skip_verify && bearer.tls.cert_file.is_some());
    assert_eq!(config.apps[1].credential, Credential::KeyEnv("PATH".to_owned()));
    assert_eq!(config.apps[1].endpoint, "http://127.0.0.1:9");
    assert_eq!(config.apps[2].credential, Credential::UserSigFile(folder.join("shop.key")));
    assert_eq!(config.apps[2].zone_offset_seconds, 0);
}

#[test]
fn what_yaml_readers_disagree_about_is_taken_as_written() {
    let config = good("surprises.yaml");
    let app = &config.apps[0];
    assert_eq!(&*app.name, "007");
    assert_eq!(app.endpoint, "http://127.0.0.1:9/prefix");
    assert_eq!(app.zone_offset_seconds, 8 * 3600);
    let entry = &app.watch.entries[0];
    assert_eq!(entry.task, "12345");
    assert_eq!(entry.users, ["10086", "0123", "12345678901234567890123", "on", "no", "1_000", "-7"]);
    assert_eq!(entry.labels["campaign"], "2026");
    assert_eq!(entry.pushed_at, Some(1_795_428_000));
    assert_eq!(app.watch.entries[1].task, "yes");
}

#[test]
fn anchors_share_settings_and_a_shared_limit_is_warned_about() {
    let config = good("anchors.yaml");
    assert_eq!(config.apps[1].request_timeout, Duration::from_secs(5));
    assert_eq!(config.apps[1].region, Some("tokyo"));
    assert!(config.warnings.is_empty(), "two hosts are two limits");
    let twice = fs::read_to_string(fixtures("good").join("anchors.yaml")).unwrap();
    let config = parse(&twice.replace("    region: tokyo\n", ""), &fixtures("good").join("x.yaml")).unwrap();
    let [warning] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
    assert!(warning.starts_with("apps[1]: shop-tokyo has the endpoint and sdk_app_id of shop"), "{warning}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault() {
    let faults = load(Path::new("/nowhere/config.yaml")).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "/nowhere/config.yaml: cannot be read (No such file or directory (os error 2)); a readable YAML file would be right"
    );
}

#[test]
fn a_folder_with_pattern_letters_is_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("[a]*");
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("list.yaml"), "[]").unwrap();
    let text =
        "apps: [{name: a, sdk_app_id: 1, region: china, secret_key_env: PATH, watch: {files: ['*.yaml']}}]";
    let config = parse(text, &odd.join("config.yaml")).unwrap();
    let pattern = config.apps[0].watch.files[0].to_str().unwrap();
    let found: Vec<PathBuf> = glob::glob(pattern).unwrap().map(Result::unwrap).collect();
    assert_eq!(found, [odd.join("list.yaml")]);
}

#[test]
fn a_fault_count_beyond_the_cap_is_told() {
    let app = "{name: '', sdk_app_id: 0},".repeat(300);
    let faults = parse(&format!("apps: [{app}]"), Path::new("c.yaml")).unwrap_err();
    assert_eq!(faults.list.len(), tree::MAX_FAULTS);
    assert!(
        faults
            .to_string()
            .ends_with(&format!("c.yaml: {} more faults are not shown", 300 * 4 - tree::MAX_FAULTS))
    );
}

// Values.

#[test]
fn zones_read() {
    use super::values::zone_seconds;
    let read =
        [("+08:00", 28_800), ("-03:30", -12_600), ("Z", 0), ("UTC", 0), ("+14:00", 50_400), ("-00:00", 0)];
    for (text, seconds) in read {
        assert_eq!(zone_seconds(text), Some(seconds), "{text}");
    }
    for text in ["", "8", "+8:00", "+08:60", "+14:01", "-15:00", "+08:00 ", "08:00", "+0８:00", "GMT"] {
        assert_eq!(zone_seconds(text), None, "{text}");
    }
    assert!(zone_seconds(DEFAULT_TIME_ZONE).is_some());
}

#[test]
fn regions_are_hosts_over_https() {
    for region in REGIONS {
        let url = reqwest::Url::parse(region.endpoint).unwrap();
        assert_eq!(url.scheme(), "https");
        assert_eq!(url.as_str(), format!("{}/", region.endpoint));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = parse(&text, Path::new("c.yaml"));
    }

    #[test]
    fn no_changed_file_panics(cut in 0usize..2000, insert in "[\\x00-\\x7f]{0,6}", drop in 0usize..8) {
        let path = fixtures("good").join("full.yaml");
        let text = fs::read_to_string(&path).unwrap();
        let at = cut % text.len();
        let (start, rest) = text.split_at(at);
        let rest = &rest[drop.min(rest.len())..];
        match parse(&format!("{start}{insert}{rest}"), &path) {
            Ok(config) => prop_assert!(!config.apps.is_empty()),
            Err(faults) => prop_assert!(faults.lines().iter().all(|line| !line.contains('\n'))),
        }
    }
}
