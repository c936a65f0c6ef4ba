//! What all pages share: head, banner and navigation.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::assets::{SCRIPT, STYLE};

/// Three stages, of which the last is not reached.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Cpath d='M3 8h10' stroke='%23888' stroke-width='2'/%3E%3Ccircle cx='3' cy='8' r='2.6' fill='%231a7a4a'/%3E\
    %3Ccircle cx='8' cy='8' r='2.6' fill='%231a7a4a'/%3E%3Ccircle cx='13' cy='8' r='2.6' fill='%23c2362b'/%3E\
    %3C/svg%3E";

/// Which page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Status,
    Watches,
    /// Below the watch lists.
    Pair,
}

/// What stands around a page.
pub(super) struct Frame<'a> {
    /// Of the page, without the name of the program.
    pub(super) title: &'a str,
    pub(super) room: Room,
    /// Whether the script refreshes the parts marked `data-live`.
    pub(super) is_live: bool,
}

/// A whole page.
pub(super) fn page(frame: &Frame<'_>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) " · timpush_exporter" }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    p.brand { a href="/" { "timpush_exporter" } " " span.dim { (env!("CARGO_PKG_VERSION")) } }
                    nav aria-label="Pages" {
                        ul {
                            li { (place(frame, Room::Status, "/", "Status")) }
                            li { (place(frame, Room::Watches, "/watches", "Watches")) }
                            li { a href="/metrics" { "Metrics" } }
                            li { a href="/config" { "Config" } }
                        }
                    }
                    @if frame.is_live { div #refresh {} }
                }
                main #main tabindex="-1" { (main) }
                footer {
                    p {
                        "All times are UTC. No page asks the upstream anything: what is shown comes from polls made "
                        "before."
                    }
                }
                @if frame.is_live { script { (PreEscaped(SCRIPT)) } }
            }
        }
    }
}

fn place(frame: &Frame<'_>, room: Room, path: &str, name: &str) -> Markup {
    html! {
        @if frame.room == room { a href=(path) aria-current="page" { (name) } }
        @else { a href=(path) { (name) } }
    }
}

/// A page that says why this client may not see it.
pub(super) fn refusal(title: &str, why: &str) -> Markup {
    let main = html! {
        h1 { (title) }
        p { (why) }
        p { "The " a href="/" { "status page" } " is open to everyone." }
    };
    page(&Frame { title, room: Room::Pair, is_live: false }, &main)
}

/// A page that says why there is nothing to show.
pub(super) fn apology(title: &str, why: &str) -> Markup {
    let main = html! {
        h1 { (title) }
        p { (why) }
        p { a href="/watches" { "Search the watch lists" } " or go to the " a href="/" { "status page" } "." }
    };
    page(&Frame { title, room: Room::Pair, is_live: false }, &main)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_cannot_end_their_element() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"));
            assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("@import"));
        }
    }

    #[test]
    fn the_script_comes_only_with_what_it_refreshes() {
        let html = |is_live| page(&Frame { title: "T", room: Room::Status, is_live }, &html! { p { "x" } });
        assert!(html(true).into_string().contains(SCRIPT));
        assert!(!html(false).into_string().contains("<script"));
        assert!(html(false).into_string().contains(r#"<a href="/" aria-current="page">Status</a>"#));
    }
}
