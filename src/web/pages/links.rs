//! Paths of pages, and by what name a user stands in them for who looks.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::desk::{MAX_PAGE, Query, UserName, Watch, task_in_path};
use super::super::privacy::Eyes;

/// All but what RFC 3986 calls unreserved: fits a part of a path as well as a value of a query.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as one part of a path or as a value in a query.
pub(super) fn part(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, RESERVED)
}

/// The page of a pair.
pub(super) fn pair(eyes: Eyes<'_>, app: &str, task: &str, user: &str) -> String {
    format!("/watches/{}", path(eyes, (app, task, user)))
}

/// The pair as the API has it.
pub(super) fn pair_in_api(eyes: Eyes<'_>, watch: &Watch) -> String {
    format!("/api/v1/watches/{}", path(eyes, (&watch.app, &watch.task, &watch.user)))
}

fn path(eyes: Eyes<'_>, (app, task, user): (&str, &str, &str)) -> String {
    let name = eyes.user(app, task, user);
    // A browser takes one or two dots for a step in the path, and what looks like a hash is read as one.
    let is_taken = matches!(name.as_str(), "." | "..") || matches!(UserName::read(&name), UserName::Hash(_));
    let name = if is_taken { eyes.veil.hash(app, task, user) } else { name };
    format!("{}/{}/{}", part(app), part(&task_in_path(task)), part(&name))
}

/// The page of the watch lists that asks this; what is not asked for is left out.
pub(super) fn watches(query: &Query) -> String {
    let limit = if query.limit == 0 { String::new() } else { query.limit.min(MAX_PAGE).to_string() };
    let parts = [
        ("app", query.app.as_deref().unwrap_or_default()),
        ("state", query.state.map_or("", |state| state.as_str())),
        ("failed", if query.failed { "true" } else { "" }),
        ("search", query.search.as_str()),
        ("limit", limit.as_str()),
        ("after", query.after.as_deref().unwrap_or_default()),
    ];
    let parts = parts.iter().filter(|(_, value)| !value.is_empty());
    let parts: Vec<String> = parts.map(|(name, value)| format!("{name}={}", part(value))).collect();
    if parts.is_empty() { "/watches".to_owned() } else { format!("/watches?{}", parts.join("&")) }
}

/// The failed pairs of one app.
pub(super) fn failed_of(app: &str) -> String {
    watches(&Query { app: Some(app.to_owned()), failed: true, ..Query::default() })
}

#[cfg(test)]
mod tests {
    use super::super::super::desk::task_of_path;
    use super::super::super::privacy::{Veil, Visitor};
    use super::*;

    fn eyes(veil: &Veil, sees_users: bool) -> Eyes<'_> {
        Eyes { veil, visitor: Visitor { sees_users } }
    }

    #[test]
    fn any_id_is_one_part_of_a_path() {
        let veil = Veil::new(&[1; 32]);
        let open = eyes(&veil, true);
        assert_eq!(pair(open, "shop", "a/b?c#d", "50% é\0"), "/watches/shop/a%2Fb%3Fc%23d/50%25%20%C3%A9%00");
        for (task, user) in [("t", "."), ("t", ".."), ("t", "~0123456789abcdef0123")] {
            let path = pair(open, "shop", task, user);
            assert!(path.ends_with(&veil.hash("shop", task, user)), "{path}");
        }
    }

    #[test]
    fn a_task_that_would_be_a_step_in_a_path_is_spelled_so_that_it_stays() {
        let veil = Veil::new(&[1; 32]);
        for (task, spelled) in [
            (".", "~."),
            ("..", "~.."),
            ("~.", "~~."),
            ("~~..", "~~~.."),
            ("...", "..."),
            ("~", "~"),
            ("~a", "~a"),
            ("a.", "a."),
        ] {
            assert_eq!(pair(eyes(&veil, true), "shop", task, "u"), format!("/watches/shop/{spelled}/u"));
            assert_eq!(task_of_path(spelled.to_owned()), task);
        }
        // As a client sends it that takes the path as it is.
        assert_eq!(task_of_path("..".to_owned()), "..");
    }

    #[test]
    fn who_may_not_see_users_gets_hashes() {
        let veil = Veil::new(&[1; 32]);
        let hash = veil.hash("shop", "t", "alice");
        assert_eq!(eyes(&veil, false).user("shop", "t", "alice"), hash);
        assert_eq!(pair(eyes(&veil, false), "shop", "t", "alice"), format!("/watches/shop/t/{hash}"));
        assert_eq!(pair(eyes(&veil, true), "shop", "t", "alice"), "/watches/shop/t/alice");
    }

    #[test]
    fn a_query_is_spelled_short_and_safe() {
        assert_eq!(watches(&Query::default()), "/watches");
        let query = Query { search: "a&b=c".to_owned(), limit: 50, failed: true, ..Query::default() };
        assert_eq!(watches(&query), "/watches?failed=true&search=a%26b%3Dc&limit=50");
        assert_eq!(failed_of("shop"), "/watches?app=shop&failed=true");
    }
}
