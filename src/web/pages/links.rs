//! Paths of pages: any id is one part of them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::view::{MAX_PAGE, Query, Watch, id_in_path};

/// All but what RFC 3986 calls unreserved: fits a part of a path as well as a value of a query.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as one part of a path or as a value in a query.
pub(super) fn part(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, RESERVED)
}

/// The page of a pair.
pub(super) fn pair(app: &str, task: &str, user: &str) -> String {
    format!("/watches/{}", path(app, task, user))
}

/// The pair as the API has it.
pub(super) fn pair_in_api(watch: &Watch) -> String {
    format!("/api/v1/watches/{}", path(&watch.app, &watch.task, &watch.user))
}

fn path(app: &str, task: &str, user: &str) -> String {
    format!("{}/{}/{}", part(app), part(&id_in_path(task)), part(&id_in_path(user)))
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
    use super::*;
    use crate::view::id_of_path;

    #[test]
    fn any_id_is_one_part_of_a_path() {
        assert_eq!(pair("shop", "a/b?c#d", "50% é\0"), "/watches/shop/a%2Fb%3Fc%23d/50%25%20%C3%A9%00");
    }

    #[test]
    fn an_id_that_would_be_a_step_in_a_path_is_spelled_so_that_it_stays() {
        for (id, spelled) in [
            (".", "~."),
            ("..", "~.."),
            ("~.", "~~."),
            ("~~..", "~~~.."),
            ("...", "..."),
            ("~", "~"),
            ("~a", "~a"),
            ("a.", "a."),
        ] {
            assert_eq!(pair("shop", id, id), format!("/watches/shop/{spelled}/{spelled}"));
            assert_eq!(id_of_path(spelled.to_owned()), id);
        }
        // As a client sends it that takes the path as it is.
        assert_eq!(id_of_path("..".to_owned()), "..");
    }

    #[test]
    fn a_query_is_spelled_short_and_safe() {
        assert_eq!(watches(&Query::default()), "/watches");
        let query = Query { search: "a&b=c".to_owned(), limit: 50, failed: true, ..Query::default() };
        assert_eq!(watches(&query), "/watches?failed=true&search=a%26b%3Dc&limit=50");
        assert_eq!(failed_of("shop"), "/watches?app=shop&failed=true");
    }
}
