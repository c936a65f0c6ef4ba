//! What one who may not see user ids gets: hashes, in texts, links and forms.

use super::made_up::{HOSTILE, TASK, Visit, house, status, veil};

/// Users of the made-up lists, as they are and as they stand in a path.
const USERS: [&str; 6] = ["alice", "user_", "alert(1)", "%3Cscript%3E", "%F0%9F%91%A9", "👩"];

fn shows_none(path: &str, html: &str) {
    for user in USERS {
        assert!(!html.contains(user), "{path} shows {user}: {html}");
    }
}

#[tokio::test]
async fn no_page_shows_a_user_to_another_machine() {
    let visit = Visit::remote(&house(status()));
    let hash = veil().hash("shop", TASK, "alice");
    let front = visit.get("/").await;
    shows_none("/", &front.text);
    let pair = front.link_to("watches/shop/");
    assert_eq!(pair, format!("/watches/shop/{TASK}/{hash}"));
    let paths = [
        "/watches".to_owned(),
        "/watches?limit=1000".to_owned(),
        "/watches?failed=true".to_owned(),
        pair,
        format!("/watches/shop/{TASK}/{}", veil().hash("shop", TASK, HOSTILE)),
    ];
    for path in paths {
        let page = visit.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text.contains('~'), "{path}: {}", page.text);
        shows_none(&path, &page.text);
    }
}

#[tokio::test]
async fn another_machine_cannot_ask_who_is_watched() {
    let visit = Visit::remote(&house(status()));
    let listed = visit.get(&format!("/watches/shop/{TASK}/alice")).await;
    let unlisted = visit.get(&format!("/watches/shop/{TASK}/mallory")).await;
    assert_eq!((listed.status, unlisted.status), (404, 404));
    assert_eq!(listed.text, unlisted.text, "the answer does not tell whether there is such a user");
    let search = visit.get("/watches?search=alice").await;
    assert!(search.text.contains("No pair is like that"), "{}", search.text);
    shows_none("a search", &search.text);
    let task = visit.get(&format!("/watches?search={TASK}")).await;
    assert!(
        task.text.contains("120 pairs") && task.text.contains(&format!("value=\"{TASK}\"")),
        "{}",
        task.text
    );
}
