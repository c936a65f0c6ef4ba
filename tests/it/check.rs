//! `--config.check`: all that can be known without the upstream, and what the daemon says of the same.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use secrecy::ExposeSecret;
use timpush_exporter::usersig;

use crate::support::answers::now;
use crate::support::{AppText, FIRST_APP, KEY, NOWHERE, Place, config};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn shop() -> AppText {
    AppText::new("shop", FIRST_APP, NOWHERE, 0.5)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Two apps, of which the first has a UserSig that is no more; and what is odd about the second.
#[test]
fn a_credential_that_cannot_be_used_fails_the_check_and_not_the_daemon() {
    let identity = usersig::Identity { sdk_app_id: FIRST_APP, admin: "administrator".to_owned() };
    let old = usersig::sign(&identity, &KEY.into(), now() - 7200, 3600);
    let first = shop().without("secret_key_file").key("usersig_file: app.usersig");
    let second = AppText::new("game", FIRST_APP + 1, NOWHERE, 1.0);
    let place = Place::new(&config(&[first, second]));
    place.write("app.usersig", old.expose_secret());
    place.write("app.key", &format!("SHOP_KEY='{KEY}'"));
    for args in [&["--config.check"][..], &["--config.check", "--log.level=debug"]] {
        let check = place.run(args);
        let faults = stderr(&check);
        assert_eq!(
            (check.status.code(), stdout(&check).as_str(), faults.lines().count()),
            (Some(2), "", 1),
            "{faults}"
        );
        assert!(faults.contains("config.yaml: apps[0].usersig_file: "), "{faults}");
        assert!(faults.contains(" holds a UserSig that expired at "), "{faults}");
    }
    let daemon = place.serve(&[]);
    let warned = |words: &[&str]| {
        let log = daemon.log();
        let warnings = log.lines().filter(|line| line.contains("level=warn"));
        let count = warnings.filter(|line| words.iter().all(|word| line.contains(word))).count();
        assert_eq!(count, 1, "{words:?}: {log}");
    };
    warned(&["apps[0].usersig_file: ", "a UserSig that expired at ", "the app pauses until it is replaced"]);
    let pasted = "the secret key looks pasted wrong: it is an assignment (NAME=...), not the value alone";
    warned(&["apps[1].secret_key_file: ", pasted]);
    assert!(!daemon.log().contains(KEY));
    daemon.stop();
    // With a good one the other is a warning, which fails nothing.
    let good = usersig::sign(&identity, &KEY.into(), now(), 7 * 86_400);
    place.write("app.usersig", &format!("{}\n", good.expose_secret()));
    let check = place.run(&["--config.check"]);
    assert_eq!((check.status.code(), stderr(&check).as_str()), (Some(0), ""));
    assert!(
        stdout(&check)
            .contains(&format!("warning: apps[1].secret_key_file: {pasted}; expected the 64 hex digits"))
    );
    assert!(!stdout(&check).contains(KEY) && !stdout(&check).contains("UserSig"), "{}", stdout(&check));
}

#[test]
fn what_is_written_is_for_its_owner_alone_and_an_open_secret_is_told() {
    let place = Place::new(&shop().config());
    std::fs::create_dir(place.storage()).unwrap();
    set_mode(&place.storage(), 0o755);
    set_mode(&place.path("app.key"), 0o644);
    let told = [
        "every user of this machine can read the file; expected mode 0600 or 0640",
        "every user of this machine can look into it; expected mode 0700",
    ];
    let check = stdout(&place.run(&["--config.check"]));
    let daemon = place.serve(&[]);
    for words in told {
        assert!(check.lines().any(|line| line.starts_with("warning: ") && line.contains(words)), "{check}");
        assert!(
            daemon.log().lines().any(|line| line.contains("level=warn") && line.contains(words)),
            "{}",
            daemon.log()
        );
    }
    for file in std::fs::read_dir(place.storage()).unwrap().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file:?} has mode {mode:o}");
    }
    daemon.stop();
    // The folder that the daemon makes is well, and so is a key of one's own.
    std::fs::remove_dir_all(place.storage()).unwrap();
    set_mode(&place.path("app.key"), 0o600);
    let daemon = place.serve(&[]);
    assert!(!daemon.log().contains("level=warn"), "{}", daemon.log());
    assert!(!stdout(&place.run(&["--config.check"])).contains("warning: "));
}

/// What the check says of a configuration that is taken, and of its columns those of the first app.
fn checked(place: &Place) -> (String, Vec<String>) {
    let check = place.run(&["--config.check"]);
    assert_eq!((check.status.code(), stderr(&check).as_str()), (Some(0), ""), "{}", stdout(&check));
    let text = stdout(&check);
    let row = text.lines().find(|line| line.starts_with("shop ")).unwrap();
    let row = row.split_whitespace().map(str::to_owned).collect();
    (text, row)
}

#[test]
fn list_files_are_counted_and_what_is_odd_in_them_is_told() {
    let lists = "watch:\n      static: [{task: t, users: [a]}, {task: t, users: [b], pushed_at: \"2126-12-01T10:00:00Z\"}]\n      files: [lists/*, none/*.yaml, other/*, empty.json]\n      http: \
                 [{url: 'http://127.0.0.1:9/watch'}]";
    let place = Place::new(&shop().key("watch_for: 1h").key("max_pairs: 4").key(lists).config());
    place.write("lists/one.csv", "task,user\nt,b\nt,c\n,d\n");
    let old = jiff::Timestamp::from_second(now() - 3700).unwrap();
    place.write(
        "lists/two.yaml",
        &format!("[{{task: u, users: [a, b], pushed_at: {old}}}, {{task: v, users: [a]}}]"),
    );
    let far = "2126-12-01T10:00:00+08:00";
    place.write("lists/far.csv", &format!("task,user,pushed_at\nw,a,{far}\n"));
    place.write("lists/bad.json", "{}");
    place.write("other/notes.txt", "no list");
    place.write("empty.json", "[]");
    std::fs::create_dir(place.path("none")).unwrap();
    let (text, row) = checked(&place);
    // Three in static and the CSV file, of which one in both; three in the YAML file, one in the far one.
    let columns = ["shop", "127.0.0.1:9", "1400000001", "0.5", "7", "5", "1", "257", "14s", "4"];
    assert_eq!(row, columns, "{text}");
    assert!(text.contains("pairs 7, list files 5, http sources 1."), "{text}");
    assert!(text.contains("HTTP sources were not asked: their pairs come on top."), "{text}");
    let warned = |words: &[&str]| {
        let count = text.lines().filter(|line| {
            line.starts_with("warning: apps[0].") && words.iter().all(|word| line.contains(word))
        });
        assert_eq!(count.count(), 1, "{words:?}: {text}");
    };
    warned(&["apps[0].watch.files[0]: ", "lists/one.csv: line 4: task: is empty"]);
    warned(&["apps[0].watch.files[0]: ", "lists/bad.json: is a mapping; expected a list of entries"]);
    warned(&["apps[0].watch.files[1]: ", "none/*.yaml: matches no file"]);
    warned(&["apps[0].watch.files[2]: ", "other/*: matches 1 file and no list"]);
    warned(&["apps[0].watch.files[3]: lists no pair"]);
    warned(&["apps[0].watch: 2 of 7 pairs were pushed longer ago than watch_for (1h); they are not polled"]);
    warned(&["apps[0].watch.static[1].pushed_at: is \"2126-12-01T10:00:00Z\", more than 30 days ahead"]);
    warned(&[
        "apps[0].watch.files[0]: ",
        &format!("lists/far.csv: line 2: pushed_at: is {far:?}, more than 30 days ahead"),
    ]);
    warned(&["apps[0].max_pairs: is 4, but static and files list 7 pairs: the rest will be refused"]);
    assert!(!place.storage().exists(), "a check writes nothing");
}

#[test]
fn a_source_that_cannot_be_used_fails_the_check_and_is_not_asked() {
    let (sender, asked) = std::sync::mpsc::channel();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/watch", server.local_addr().unwrap());
    std::thread::spawn(move || server.accept().map(|_| sender.send(())));
    let http = |tls: &str| format!("watch: {{http: [{{url: '{url}'{tls}}}]}}");
    let place = Place::new(&shop().key(&http("")).config());
    let (text, row) = checked(&place);
    assert_eq!(row[4..7], ["0", "0", "1"], "{text}");
    place.configure(
        &shop().key(&http(", tls_config: {ca_file: none.pem}").replace("http://", "https://")).config(),
    );
    place.write("none.pem", "no certificate");
    let check = place.run(&["--config.check"]);
    let faults = stderr(&check);
    assert_eq!((check.status.code(), stdout(&check).as_str()), (Some(2), ""), "{faults}");
    assert!(
        faults.contains("config.yaml: apps[0]: watch.http[0]: ") && faults.contains("none.pem"),
        "{faults}"
    );
    let daemon = place.run(&["--web.listen-address=127.0.0.1:0"]);
    let faults = stderr(&daemon);
    assert_eq!(daemon.status.code(), Some(2), "{faults}");
    assert!(
        faults.contains("config.yaml: app shop: watch.http[0]: ") && faults.contains("none.pem"),
        "{faults}"
    );
    assert!(asked.try_recv().is_err(), "nobody is asked");
}

#[test]
fn a_rate_at_which_the_upstream_raises_its_alarm_is_mentioned() {
    let alarm = "the upstream raises its own alarm (Alert.RequestOverLimit) above 80 % of a limit";
    for (rate, quiet) in [
        (0.5, None),
        (0.75, None),
        (0.8, None),
        (0.81, Some("0.75 keeps it quiet")),
        (1.0, Some("0.75 keeps it quiet")),
        (20.0, Some("three quarters of the limit that you bought keep it quiet")),
    ] {
        let place = Place::new(&shop().rate(rate).config());
        let (text, _) = checked(&place);
        let note = text.lines().find(|line| line.starts_with("note: "));
        let expected =
            quiet.map(|quiet| (format!("note: apps[0].requests_per_second: is {rate}; {alarm}"), quiet));
        match (note, expected) {
            (None, None) => {}
            (Some(note), Some((start, end))) => {
                assert!(note.starts_with(&start) && note.ends_with(end), "{note}")
            }
            (note, expected) => panic!("{rate}: {note:?} instead of {expected:?}"),
        }
        assert!(!text.contains("warning: "), "{text}");
    }
}
