//! What one who may not see user ids gets: the status page without them, and 403 for what names users.

use super::made_up::{HOSTILE, TASK, Visit, app_state, status};

/// Users of the made-up lists, as they are and as they stand in a path.
const USERS: [&str; 6] = ["alice", "user_", "alert(1)", "%3Cscript%3E", "%F0%9F%91%A9", "👩"];

fn shows_none(path: &str, html: &str) {
    for user in USERS {
        assert!(!html.contains(user), "{path} shows {user}: {html}");
    }
}

#[tokio::test]
async fn another_machine_gets_the_status_page_without_users() {
    let visit = Visit::remote(&app_state(status()));
    let front = visit.get("/").await;
    assert_eq!(front.status, 200);
    shows_none("/", &front.text);
    assert!(front.text.contains(TASK) && !front.text.contains("href=\"/watches/shop/"), "{}", front.text);
}

#[tokio::test]
async fn another_machine_gets_no_page_that_names_users() {
    let visit = Visit::remote(&app_state(status()));
    let pair = |user: &str| format!("/watches/shop/{TASK}/{user}");
    let paths = [
        "/watches".to_owned(),
        "/watches?search=alice".to_owned(),
        pair("alice"),
        pair("mallory"),
        pair(HOSTILE),
    ];
    let mut pages = Vec::new();
    for path in paths {
        let path = path.replace(HOSTILE, "%3Cscript%3E");
        let page = visit.get(&path).await;
        assert_eq!(page.status, 403, "{path}");
        assert!(page.text.contains("only for clients with a password"), "{}", page.text);
        shows_none(&path, &page.text);
        pages.push(page.text);
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "no page tells whether there is such a user");
}
