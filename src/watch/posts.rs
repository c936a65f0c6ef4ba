//! Entries as the watch API is sent them: those of any list, and the app that each is for.

use std::sync::Arc;

use super::Entry;
use super::entry::{ENTRY, Rules, read_keys};
use crate::document::{Place, Value, shown};

const APP: &str = "the name of an app of the configuration";

/// Reads one entry or a list of them at `now` (Unix seconds); `app_of` knows the apps and the watch labels of each. Every
/// fault and warning is noted; an entry with a fault is not in the answer. A key or label that is not known is a fault:
/// whoever posts is told at once, and nothing of what was posted is taken.
pub fn read_posts(
    root: &Place<'_>,
    now: i64,
    app_of: impl Fn(&str) -> Option<(Arc<str>, Arc<[Box<str>]>)>,
) -> Vec<(Arc<str>, Entry)> {
    match root.value() {
        Value::List(_) => {
            let items = root.items("a list of entries").into_iter().flatten();
            items.filter_map(|item| read_post(&item, now, &app_of)).collect()
        }
        _ => read_post(root, now, &app_of).into_iter().collect(),
    }
}

fn read_post(
    item: &Place<'_>,
    now: i64,
    app_of: &impl Fn(&str) -> Option<(Arc<str>, Arc<[Box<str>]>)>,
) -> Option<(Arc<str>, Entry)> {
    let read = item.table(ENTRY, |table| {
        let app = table.required("app", APP).and_then(|place| {
            let name = place.id(APP)?;
            let app = app_of(&name);
            if app.is_none() {
                place.fault(format!("is {}, which no app is called; expected {APP}", shown(&name)));
            }
            app
        });
        // Where the app is unknown, so are its labels.
        let watch_labels = app.as_ref().map(|(_, labels)| &**labels);
        let entry = read_keys(table, Rules { watch_labels, is_strict: true, now });
        Some((app?.0, entry?))
    });
    read.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Notes, Syntax, parse};

    fn read(text: &str) -> (Vec<(Arc<str>, Entry)>, Vec<String>) {
        let node = parse(text, Syntax::Json).unwrap();
        let notes = Notes::new();
        let labels: Arc<[Box<str>]> = Arc::from([Box::from("campaign")]);
        let app_of = |name: &str| (name == "shop").then(|| (Arc::from("shop"), Arc::clone(&labels)));
        let posts = read_posts(&Place::root(&node, text, &notes), 1_795_392_000, app_of);
        (posts, notes.faults("").list.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_entry_and_a_list_are_read_alike() {
        let one = r#"{"app":"shop","task":"t","users":["a",5],"labels":{"campaign":"x"},"pushed_at":"2026-11-23T10:00:00Z"}"#;
        let (posts, faults) = read(one);
        assert_eq!((posts.len(), faults.len()), (1, 0), "{faults:?}");
        assert_eq!((&*posts[0].0, posts[0].1.users.len()), ("shop", 2));
        assert_eq!(read(&format!("[{one}]")).0, posts);
        assert_eq!(read("[]"), (vec![], vec![]));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let text = r#"[{"app":"shop","task":"","users":[]},{"app":"shup","task":"t","users":["a"],"labels":{"any":"x"}},
            {"task":"t","users":["a"],"user":"b"},{"app":"shop","task":"t","users":["a"],"labels":{"other":"x"}},7]"#;
        let (posts, faults) = read(text);
        assert_eq!(posts, []);
        let places = [
            "[0].task: is empty",
            "[0].users: is an empty list",
            "[1].app: is \"shup\", which no app",
            "[2].app: is missing",
            "[2].user: is no known key; did you mean users?",
            "[3].labels.other: is no watch label",
            "[4]: is a whole number",
        ];
        assert_eq!(faults.len(), places.len(), "{faults:#?}");
        for (fault, place) in faults.iter().zip(places) {
            assert!(fault.starts_with(place), "{fault} does not begin with {place}");
        }
    }
}
