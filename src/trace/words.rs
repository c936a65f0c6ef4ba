//! Words for people: what pages and tables call the steps of a chain, and texts that cannot hide what they hold.

use super::{Route, Stage};

impl Stage {
    /// What a success at this stage of that route means, in a few words.
    pub const fn phrase(self, route: Route) -> &'static str {
        match (self, route) {
            (Stage::Im, _) => "accepted by the Chat server",
            (Stage::Offline, _) => "handed to offline push",
            (Stage::Channel, Route::Offline) => "accepted by the vendor",
            (Stage::Channel, Route::Online) => "sent over the app's own connection",
            (Stage::Device, _) => "reached the device",
            (Stage::Click, _) => "tapped by the user",
        }
    }
}

/// A text from outside as it may stand on a page or in a terminal: characters that have no shape of their own, or
/// that turn the direction of others, stand as `\u{…}`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_shapeless(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Controls, line and paragraph separators, marks and overrides of direction, blanks without width. The joiner of
/// emoji (U+200D) is none of them.
fn is_shapeless(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_in_a_visible_text() {
        assert_eq!(visible("alice 👩‍👩‍👧 ツ é"), "alice 👩‍👩‍👧 ツ é");
        assert_eq!(visible("a\0b\x1b[31m\r\n"), r"a\u{0}b\u{1b}[31m\u{d}\u{a}");
        assert_eq!(visible("\u{202e}moc.\u{2069}\u{200b}"), r"\u{202e}moc.\u{2069}\u{200b}");
    }

    #[test]
    fn phrases_tell_the_stages_of_a_route_apart() {
        for route in Route::ALL {
            let phrases: std::collections::BTreeSet<_> =
                route.stages().iter().map(|stage| stage.phrase(route)).collect();
            assert_eq!(phrases.len(), route.stages().len());
        }
    }
}
