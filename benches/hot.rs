//! The parts that run for every answer and every scrape, one by one: `cargo bench --bench hot`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use timpush_exporter::api::wire::Answer;
use timpush_exporter::ledger::fold::{Record, fold};
use timpush_exporter::ledger::{Enrol, Ledger, Opened, Sighting, Snapshot};
use timpush_exporter::metrics::{self, BuildInfo, PushView, Registry};
use timpush_exporter::trace::read::read;
use timpush_exporter::usersig::{self, Identity};
use timpush_exporter::watch::list::List;
use timpush_exporter::watch::{LabelSet, ListFormat, parse_list};

/// The sample of the manual: one device on each route.
const SAMPLE: &[u8] = include_bytes!("../tests/fixtures/sample-answer.json");
/// A key that the documents of the upstream print; it opens nothing.
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const NOW: i64 = 1_795_000_000;
const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: u64 = 86_400;
/// Sets of watch labels that make some 100,000 series.
const SETS: usize = 535;
const LISTED: usize = 10_000;

/// An answer on its way: read, understood, folded.
fn answers(criterion: &mut Criterion) {
    let zone = 8 * HOUR_SECONDS as i32;
    let answer = Answer::parse(SAMPLE).expect("the sample is an answer");
    let trace = read(&answer, zone, NOW);
    let mut known = Record::default();
    fold(&mut known, &trace, NOW);
    let mut group = criterion.benchmark_group("answer");
    group.bench_function("parse", |b| b.iter(|| Answer::parse(black_box(SAMPLE))));
    group.bench_function("read", |b| b.iter(|| read(black_box(&answer), zone, NOW)));
    group.bench_function("fold_new", |b| b.iter(|| fold(&mut Record::default(), black_box(&trace), NOW)));
    group.bench_function("fold_known", |b| b.iter(|| fold(&mut known, black_box(&trace), NOW)));
    group.finish();
}

fn signature(criterion: &mut Criterion) {
    let identity = Identity { sdk_app_id: 1_400_000_001, admin: "administrator".to_owned() };
    let key = KEY.into();
    criterion.bench_function("usersig/sign", |b| {
        b.iter(|| usersig::sign(black_box(&identity), &key, NOW, 2 * DAY_SECONDS));
    });
}

/// A list read, and taken over by one that knows it already.
fn lists(criterion: &mut Criterion) {
    let csv: String = (0..LISTED).map(|n| format!("task_{:06},user_{n:06}\n", n / 500)).collect();
    let csv = format!("task,user\n{csv}");
    let parsed = parse_list(ListFormat::Csv, csv.as_bytes(), &[], 0).expect("the list has no fault");
    let json: Vec<_> =
        parsed.entries.iter().map(|e| serde_json::json!({"task": e.task, "users": e.users})).collect();
    let json = serde_json::to_vec(&json).expect("texts are JSON");
    let mut list = List::default();
    list.replace(&parsed.entries, LISTED, i64::MIN);
    let mut group = criterion.benchmark_group("list_of_10000");
    group.throughput(Throughput::Elements(LISTED as u64)).sample_size(20);
    group.bench_function("parse_csv", |b| {
        b.iter(|| parse_list(ListFormat::Csv, black_box(csv.as_bytes()), &[], 0))
    });
    group.bench_function("parse_json", |b| b.iter(|| parse_list(ListFormat::Json, black_box(&json), &[], 0)));
    group.bench_function("replace_same", |b| {
        b.iter(|| list.replace(black_box(&parsed.entries), LISTED, i64::MIN))
    });
    group.finish();
}

/// A scrape of some 100,000 series, and the commit of one answer to a ledger on disk.
fn ledger(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Opened { ledger, .. } = Ledger::open(folder.path(), NOW, |_| ()).expect("a new ledger opens");
    let app: Arc<str> = "shop".into();
    let labels = |set: usize| LabelSet::from([(Box::from("campaign"), format!("campaign_{set}").into())]);
    let trace = read(&Answer::parse(SAMPLE).expect("the sample is an answer"), 0, NOW);
    let pairs = (0..SETS).map(|set| Enrol {
        task: format!("task_{set}"),
        user: "user".to_owned(),
        labels: labels(set),
        pushed_at: None,
        watch_for: 604_800,
    });
    let known = runtime.block_on(ledger.enrol(&app, pairs.collect(), NOW)).expect("the ledger is open");
    let sighting = |set: usize, row: i64| Sighting {
        row,
        labels: labels(set),
        polled_at: NOW,
        trace: trace.clone(),
        lags: Arc::default(),
    };
    let rows: Vec<i64> = known.into_iter().flatten().map(|known| known.row).collect();
    let recorded = rows.iter().enumerate().map(|(set, row)| ledger.record(&app, sighting(set, *row)));
    for verdict in runtime.block_on(futures_util::future::join_all(recorded)) {
        verdict.expect("the ledger is open");
    }
    let views = [PushView { app: app.clone(), watch_labels: Arc::from([Box::from("campaign")]) }];
    let registry = Registry::new(BuildInfo { version: "0", revision: None });
    let snapshot: Arc<Snapshot> = ledger.snapshot();
    let page = || black_box((&*snapshot, &views[..]));
    let room = metrics::render(page(), &registry, NOW, 0).len();
    let render = || metrics::render(page(), &registry, NOW, room);
    let series = String::from_utf8_lossy(&render()).lines().filter(|line| !line.starts_with('#')).count();
    let mut group = criterion.benchmark_group("ledger");
    group.bench_function("commit_one_answer", |b| {
        b.iter(|| runtime.block_on(ledger.record(&app, sighting(0, rows[0]))).expect("the ledger is open"));
    });
    group.throughput(Throughput::Elements(series as u64));
    group.bench_function("render_scrape", |b| b.iter(render));
    group.finish();
}

criterion_group!(hot, answers, signature, lists, ledger);
criterion_main!(hot);
