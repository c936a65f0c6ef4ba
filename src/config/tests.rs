//! Tests of the config room: good and bad files with the exact text of each fault, the example, and the pages made of it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
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

/// Compares what was found about a file with what is expected: `None`, or a text that tells the difference.
/// `TIMPUSH_BLESS=1` writes what was found as the expected; read the difference before you commit it.
fn compared(file: &Path, found: &str) -> Option<String> {
    let expected = file.with_extension("expected");
    if std::env::var_os("TIMPUSH_BLESS").is_some() {
        fs::write(&expected, found).unwrap();
    }
    let told = fs::read_to_string(&expected).unwrap_or_default();
    assert!(!found.contains("hunter2"), "{} shows a secret: {found}", file.display());
    (found != told).then(|| format!("{}:\nfound:\n{found}expected:\n{told}", file.display()))
}

#[test]
fn bad_files_give_exactly_the_expected_faults() {
    let folder = fixtures("bad");
    let files = yaml_files(&folder);
    assert!(files.len() >= 35, "only {} bad files", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let faults = check(&file).expect_err(&format!("{} should be refused", file.display()));
        let found = faults.to_string().replace(&format!("{}/", folder.display()), "") + "\n";
        for line in found.lines() {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(line.starts_with(&format!("{name}: ")), "{line}");
        }
        wrong.extend(compared(&file, &found));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A copy of a folder of fixtures that only its owner may read: a checkout has modes of its own.
fn private_copy(kind: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(fixtures(kind)).unwrap().map(Result::unwrap) {
        let to = copy.path().join(file.file_name());
        fs::copy(file.path(), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    }
    copy
}

#[test]
fn odd_files_are_taken_with_exactly_the_expected_warnings() {
    let copy = private_copy("odd");
    let mut wrong = Vec::new();
    for file in yaml_files(&fixtures("odd")) {
        let path = copy.path().join(file.file_name().unwrap());
        let config = check(&path).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(load(&path).unwrap().warnings, config.warnings, "the daemon logs the same");
        let found = config.warnings.join("\n") + "\n";
        wrong.extend(compared(&file, &found.replace(&format!("{}/", copy.path().display()), "")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_credential_that_cannot_be_used_keeps_no_daemon_from_its_other_apps() {
    for name in ["usersig_expired", "usersig_garbage", "usersig_other_app", "key_utf16"] {
        let path = fixtures("bad").join(format!("{name}.yaml"));
        let fault = check(&path).unwrap_err().list.remove(0).to_string();
        let warnings = load(&path).unwrap_or_else(|faults| panic!("{faults}")).warnings;
        assert!(warnings.contains(&format!("{fault}; the app pauses until it is replaced")), "{warnings:?}");
    }
}

#[test]
fn a_usersig_that_ends_soon_is_warned_about() {
    use crate::usersig::{Identity, sign};
    use secrecy::{ExposeSecret, SecretString};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let text = "apps: [{name: a, sdk_app_id: 1, region: china, usersig_file: a.usersig}]";
    let now = 1_790_000_000;
    let warnings = |lifetime: u64| {
        let identity = Identity { sdk_app_id: 1, admin: "administrator".to_owned() };
        let sig = sign(&identity, &SecretString::from("key"), now, lifetime);
        fs::write(folder.path().join("a.usersig"), sig.expose_secret()).unwrap();
        fs::set_permissions(folder.path().join("a.usersig"), fs::Permissions::from_mode(0o640)).unwrap();
        let around = Around { now, ..Around::of(&path, &|_| None) };
        parse_noting(text, &path, &around, &Notes::new()).unwrap().warnings
    };
    assert_eq!(
        warnings(86_399),
        [
            "apps[0].usersig_file: the UserSig expires at 2026-09-22T14:13:19Z, in less than a day; put a new one into the file in time"
        ]
    );
    assert_eq!(warnings(86_400), Vec::<String>::new());
}

#[test]
fn a_secret_that_everybody_may_read_is_warned_about_once() {
    let copy = private_copy("good");
    let path = copy.path().join("anchors.yaml");
    let warnings = |mode: u32| {
        fs::set_permissions(copy.path().join("shop.key"), fs::Permissions::from_mode(mode)).unwrap();
        load(&path).unwrap().warnings
    };
    assert_eq!(
        warnings(0o644),
        [
            "apps[0].secret_key_file: every user of this machine can read the file; expected mode 0600 or 0640 (also at 1 more place)"
        ]
    );
    for mode in [0o600, 0o400, 0o640] {
        assert_eq!(warnings(mode), Vec::<String>::new());
    }
}

#[test]
fn a_storage_folder_is_told_where_its_owner_or_its_files_leave_it_open() {
    use super::secret::storage_warning_for;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    assert_eq!(storage_warning(&folder), None, "the daemon will make it");
    fs::create_dir(&folder).unwrap();
    let owner = fs::metadata(&folder).unwrap().uid();
    let ledger = folder.join("ledger.db");
    fs::write(&ledger, "").unwrap();
    for (mode, of_file, of_owner, of_another) in [
        (0o700, 0o644, false, false),
        (0o770, 0o644, false, false),
        (0o755, 0o600, true, false),
        (0o755, 0o644, true, true),
        (0o701, 0o644, true, true),
        (0o2777, 0o660, true, false),
    ] {
        fs::set_permissions(&ledger, fs::Permissions::from_mode(of_file)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        let warns = [owner, owner + 1].map(|user| storage_warning_for(&folder, user).is_some());
        assert_eq!(warns, [of_owner, of_another], "{mode:o} {of_file:o}");
    }
    let told = storage_warning_for(&folder, owner).unwrap();
    let expected = format!(
        "--storage.path {}: every user of this machine can look into it; expected mode 0700",
        folder.display()
    );
    assert_eq!(told, expected);
}

#[test]
fn a_key_from_the_environment_is_judged_as_one_from_a_file() {
    let text = "apps: [{name: a, sdk_app_id: 1, region: china, secret_key_env: SHOP_KEY}]";
    let path = Path::new("c.yaml");
    let told = |value: &[u8]| {
        let env = |_: &str| Some(OsString::from_vec(value.to_vec()));
        let around = Around { credentials: CredentialCheck::MustWork, ..Around::of(path, &env) };
        match parse_noting(text, path, &around, &Notes::new()) {
            Ok(config) => config.warnings.join("\n"),
            Err(faults) => faults.to_string(),
        }
    };
    assert_eq!(told("0123456789abcdef".repeat(4).as_bytes()), "");
    assert!(
        told(b"'hunter2'").ends_with(
            "looks pasted wrong: it is in quotes; expected the 64 hex digits that the console shows"
        )
    );
    let fault = "c.yaml: apps[0].secret_key_env: the variable it names is not UTF-8 text but probably Latin-1 (Windows-1252); expected the secret key as text";
    assert_eq!(told(b"hunter2\xff"), fault);
}

#[test]
fn good_files_are_taken() {
    for file in yaml_files(&fixtures("good")) {
        load(&file).unwrap_or_else(|faults| panic!("{faults}"));
    }
}

#[test]
fn a_minimal_app_gets_every_default() {
    let copy = private_copy("good");
    let config = load(&copy.path().join("minimal.yaml")).unwrap();
    let [app] = &config.apps[..] else { panic!("one app") };
    assert_eq!(&*app.name, "shop");
    assert_eq!((app.sdk_app_id, app.region), (1_400_000_001, Some("singapore")));
    assert_eq!(app.endpoint, "https://adminapisgp.im.qcloud.com");
    assert_eq!(app.admin, "administrator");
    assert_eq!(app.credential, Credential::KeyFile(copy.path().join("shop.key")));
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
    let copy = private_copy("good");
    let config = load(&copy.path().join("anchors.yaml")).unwrap();
    assert_eq!(config.apps[1].request_timeout, Duration::from_secs(5));
    assert_eq!(config.apps[1].region, Some("tokyo"));
    assert!(config.warnings.is_empty(), "two hosts are two limits");
    let twice = fs::read_to_string(fixtures("good").join("anchors.yaml")).unwrap();
    let config = parse(&twice.replace("    region: tokyo\n", ""), &copy.path().join("x.yaml")).unwrap();
    let [warning] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
    assert!(warning.starts_with("apps[1]: has the host and sdk_app_id of shop: "), "{warning}");
}

#[test]
fn odd_ids_and_times_far_ahead_are_taken_and_warned_about() {
    let entries = r#"[{task: "t ", users: ["alice\u200b", "“bob”", "'7", 1.5], pushed_at: 9000-12-31T00:00:00Z, labels: }]"#;
    let text = |entries: &str| {
        let app = "name: shop, sdk_app_id: 7, region: seoul, secret_key_env: PATH";
        format!("apps: [{{{app}, watch: {{static: {entries}}}}}]\n---\n")
    };
    let path = fixtures("good").join("x.yaml");
    let faults = parse(&text(entries), &path).unwrap_err();
    assert!(faults.lines()[0].contains("users[3]: is a number with a fraction"), "{faults}");
    let config = parse(&text(&entries.replace(", 1.5", "")), &path).unwrap();
    let [entry] = &config.apps[0].watch.entries[..] else { panic!("one entry") };
    assert_eq!((&*entry.task, entry.labels.len()), ("t", 0));
    assert_eq!(entry.users, ["alice", "“bob”", "'7"]);
    let warnings: Vec<&String> =
        config.warnings.iter().filter(|line| line.starts_with("apps[0].watch")).collect();
    for (warning, expected) in warnings.iter().zip([
        "apps[0].watch.static[0].task: has U+0020 (space) at an end",
        "apps[0].watch.static[0].users[0]: has U+200B (zero width space) at an end",
        "apps[0].watch.static[0].users[1]: has U+201C (left double quotation mark) at an end",
        "apps[0].watch.static[0].users[2]: begins with the apostrophe",
        "apps[0].watch.static[0].pushed_at: is \"9000-12-31T00:00:00Z\", more than 30 days ahead",
    ]) {
        assert!(warning.starts_with(expected), "{warning}");
    }
    assert_eq!(warnings.len(), 5);
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault() {
    let faults = load(Path::new("/nowhere/config.yaml")).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "/nowhere/config.yaml: cannot be read (No such file or directory (os error 2)); expected a readable YAML file"
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
    assert_eq!(faults.list.len(), document::MAX_FAULTS);
    assert!(
        faults
            .to_string()
            .ends_with(&format!("c.yaml: {} more faults are not shown", 300 * 4 - document::MAX_FAULTS))
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
