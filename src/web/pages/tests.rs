//! The pages as visitors get them, over made-up answers.

mod made_up;
mod privacy;

use crate::http::MAX_HEAD_BYTES;
use crate::metrics::PairStates;
use crate::view::{AppStatus, LatestFailure, Status};
use made_up::{NOW, TASK, Visit, app_state, status};

#[tokio::test]
async fn the_front_page_tells_what_an_operator_asks_first() {
    let visit = Visit::local(&app_state(status()));
    let page = visit.get("/").await;
    assert_eq!(page.status, 200);
    for text in [
        "The exporter does not learn what it should",
        "The latest request failed",
        "quota: 60020",
        "Polling is paused",
        "files[0] fails; its last good list of",
        "list.yaml: line 3",
        "ledger.db.damaged-1",
        "127.0.0.1:9",
        "600,000",
        "97 %",
        "Most failures: apns at channel",
        ", 5 of 31 (16 %)",
        "look the code up with the vendor",
        "invalid_token",
        "code 410",
        "href=\"/watches?app=shop&amp;failed=true\"",
        "href=\"/watches/shop/660cc447_537ed82a_200000cd7ee17f5_84035729_bc614e/alice\"",
        "datetime=\"",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(page.text.contains(text), "{text} is not in {}", page.text);
    }
}

#[tokio::test]
async fn what_is_not_known_is_said_so() {
    let empty = Visit::local(&app_state(Status::default())).get("/").await;
    assert!(empty.text.contains("No app is watched"), "{}", empty.text);
    let young = Status { apps: vec![AppStatus::default()], ..Status::default() };
    let young = Visit::local(&app_state(young)).get("/").await.text;
    for text in [
        "not polled yet",
        "none yet",
        "no result of this process on disk yet",
        "brought no new result",
        "No failed push",
    ] {
        assert!(young.contains(text), "{text} is not in {young}");
    }
    assert!(!young.contains("1970"), "{young}");
    assert!(!young.contains("class=\"broken") && !young.contains("Signature ends"), "{young}");
}

#[tokio::test]
async fn a_healthy_app_needs_no_action() {
    let app = AppStatus {
        name: "shop".to_owned(),
        up: Some(true),
        last_success_at: Some(super::super::app_state::unix_now()),
        pairs: PairStates { active: 3, ..PairStates::default() },
        latest_failure: Some(LatestFailure::own(NOW - 60, "timeout")),
        rate_in_force: 1.0,
        rate_configured: 1.0,
        ..AppStatus::default()
    };
    let app_state = app_state(Status { apps: vec![app], ..Status::default() });
    app_state.set_ready();
    let page = Visit::local(&app_state).get("/").await.text;
    assert!(page.contains("The exporter is well") && page.contains("No action needed."), "{page}");
    assert!(page.contains("Latest failed request"), "an old failure is told, but not as trouble: {page}");
}

#[tokio::test]
async fn the_watch_lists_are_searched_filtered_and_paged() {
    let visit = Visit::local(&app_state(status()));
    let all = visit.get("/watches").await;
    assert_eq!(all.status, 200);
    assert!(all.text.contains("<strong>120 pairs</strong>; 50 on this page."), "{}", all.text);
    let next = all.link("Next page »");
    assert_eq!(next, "/watches?limit=50&after=50");
    let second = visit.get(&next).await;
    assert!(second.text.contains("user_050") && !second.text.contains("user_049"), "{}", second.text);
    let last = visit.get(&second.link("Next page »")).await;
    assert!(last.text.contains("user_119") && last.text.contains("This is the last page."), "{}", last.text);
    assert_eq!(last.link("« First page"), "/watches?limit=50");
    let found = visit.get("/watches?search=user_07&app=shop&state=&limit=200").await;
    assert!(found.text.contains("10 pairs") && found.text.contains("value=\"user_07\""), "{}", found.text);
    assert!(found.text.contains("<option value=\"200\" selected>"), "{}", found.text);
    let failed = visit.get("/watches?failed=true&state=active").await;
    assert!(failed.text.contains("12 pairs") && failed.text.contains("checked"), "{}", failed.text);
    let nobody = visit.get("/watches?search=nobody").await;
    assert!(nobody.status == 200 && nobody.text.contains("No pair is like that"), "{}", nobody.text);
}

#[tokio::test]
async fn a_question_that_cannot_be_read_is_answered_in_words() {
    let visit = Visit::local(&app_state(status()));
    let long = format!("/watches?search={}", "x".repeat(257));
    assert!(long.len() < MAX_HEAD_BYTES);
    let cases = [
        ("/watches?state=dead", 400, "expected one of new active settled failing"),
        ("/watches?limit=1001", 400, "expected a whole number from 0 to 1000"),
        ("/watches?after=elsewhere", 400, "not a place in the list"),
        (long.as_str(), 400, "expected at most 256"),
        ("/watches?colour=red", 400, "is no known parameter"),
        ("/watches?app=shoe", 404, "no app is called shoe"),
        ("/watches?app=a&app=b", 400, "is given twice"),
        ("/watches/shoe/t/alice", 404, "No app is called shoe; GET /config shows those there are."),
        ("/watches/shop/t/alice", 404, "This pair is not on the watch list of that app."),
        ("/watches/shop/t/%FF", 400, "No such page"),
        ("/watches/shop/t", 404, "A pair&apos;s page is"),
        ("/watches/", 404, "A pair&apos;s page is"),
    ];
    for (path, status, text) in cases {
        let page = visit.get(path).await;
        assert_eq!(page.status, status, "{path}");
        let text = text.replace("&apos;", "'");
        assert!(
            page.text.starts_with("<!DOCTYPE html>") && page.text.contains(&text),
            "{path}: {}",
            page.text
        );
    }
}

#[tokio::test]
async fn a_chain_tells_each_stage_and_who_must_act() {
    let visit = Visit::local(&app_state(status()));
    let page = visit.get(&format!("/watches/shop/{TASK}/alice")).await;
    assert_eq!(page.status, 200);
    for text in [
        "accepted by the Chat server",
        "2026-11-18 11:06:40",
        "2s after the push",
        "invalid_token",
        "code 410",
        "app developer if many",
        "Nothing is awaited: channel failed.",
        "Notifications are off",
        "Silent: a result should have come by",
        "it counts as overdue in",
        "A result may come; none is owed.",
        "It is asked next",
        "Results of further devices are not counted.",
        "Watching ends",
        "campaign=",
        "timpush_exporter trace 660cc447_537ed82a_200000cd7ee17f5_84035729_bc614e alice --app shop",
    ] {
        assert!(page.text.contains(text), "{text} is not in {}", page.text);
    }
}

#[tokio::test]
async fn hostile_ids_break_neither_links_nor_pages() {
    let visit = Visit::local(&app_state(status()));
    let list = visit.get("/watches?search=%3Cscript").await;
    let path = list.link_to("watches/shop/");
    assert!(path.contains("%2F") && path.contains("%25") && !path.contains('<'), "{path}");
    let page = visit.get(&path).await;
    assert_eq!(page.status, 200, "{path}");
    for html in [&list.text, &page.text] {
        assert!(!html.contains("<script>alert") && html.contains("&lt;script"), "{html}");
        assert!(!html.contains('\u{202e}') && html.contains(r"\u{202e}"), "{html}");
        assert!(html.contains("👩‍👩‍👧"), "{html}");
    }
    assert!(
        !page.text.contains("timpush_exporter trace"),
        "no command for what a shell would read otherwise"
    );
}

#[tokio::test]
async fn of_many_apps_the_worst_come_first_and_the_rest_is_counted() {
    let troubled = status().apps.remove(0);
    let mut apps: Vec<AppStatus> = (0..60)
        .map(|n| AppStatus {
            name: format!("well_{n:02}"),
            up: Some(true),
            pairs: PairStates { active: 1, ..PairStates::default() },
            ..AppStatus::default()
        })
        .collect();
    apps.push(troubled);
    let page = Visit::local(&app_state(Status { apps, ..Status::default() })).get("/").await.text;
    assert!(page.contains("1 app of 61: <a href=\"#app-shop\">shop</a>."), "{page}");
    let (shop, well) = (page.find("id=\"app-shop\""), page.find("id=\"app-well_00\""));
    assert!(shop.is_some() && shop < well, "{page}");
    assert!(page.contains("11 apps in no worse state not shown"), "{page}");
    assert!(page.contains("id=\"app-well_48\"") && !page.contains("id=\"app-well_49\""), "{page}");
    assert!(page.contains("shop · apns at"), "which app a failure is of: {page}");
    assert!(page.find("Where pushes fail") < shop, "many apps do not stand before what fails");
}
