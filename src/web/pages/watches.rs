//! The watch lists: search, filters, and one page of pairs after the other.

use maud::{Markup, html};

use super::super::times::{ago, count, counted};
use super::layout::{Frame, Room, page};
use super::links;
use crate::schedule::State;
use crate::trace::visible;
use crate::view::{DEFAULT_PAGE, MAX_PAGE, Page, Query, Watch};
use crate::watch::LabelSet;

/// How many rows a visitor may choose among.
const PAGE_SIZES: [usize; 3] = [DEFAULT_PAGE, 200, MAX_PAGE];

/// What the page is made from.
pub(super) struct Listing<'a> {
    pub(super) query: &'a Query,
    /// The page of the lists, or why there is none.
    pub(super) answer: Result<Page, String>,
    /// All apps that can be chosen.
    pub(super) apps: &'a [String],
    pub(super) now: i64,
}

/// The page.
pub(super) fn page_of(listing: &Listing<'_>) -> Markup {
    let main = html! {
        h1 { "Watch lists" }
        (form(listing))
        @match &listing.answer {
            Err(why) => p.notice role="alert" { span.sign aria-hidden="true" { "✕" } (visible(why)) },
            Ok(page) if page.watches.is_empty() => (nothing(listing, page)),
            Ok(page) => { (position(listing, page)) (table(listing, page)) (onward(listing, page)) }
        }
    };
    page(&Frame { title: "Watch lists", room: Room::Watches, is_live: false }, &main)
}

fn form(listing: &Listing<'_>) -> Markup {
    let query = listing.query;
    html! {
        form.search method="get" action="/watches" role="search" {
            div.field.wide-field {
                label for="search" { "Task or user holds" }
                input #search type="search" name="search" value=(query.search.replace('\0', "\u{fffd}"))
                    autocomplete="off" spellcheck="false";
            }
            div.field {
                label for="app" { "App" }
                select #app name="app" {
                    option value="" selected[query.app.is_none()] { "all" }
                    @for app in listing.apps {
                        option value=(app) selected[query.app.as_deref() == Some(app)] { (app) }
                    }
                }
            }
            div.field {
                label for="state" { "State" }
                select #state name="state" {
                    option value="" selected[query.state.is_none()] { "all" }
                    @for state in State::ALL {
                        option value=(state.as_str()) selected[query.state == Some(state)] { (state.as_str()) }
                    }
                }
            }
            div.field {
                label for="limit" { "Rows" }
                select #limit name="limit" {
                    @for size in PAGE_SIZES {
                        option value=(size) selected[query.limit == size] { (count(size as u64)) }
                    }
                }
            }
            div.field.check {
                input #failed type="checkbox" name="failed" value="true" checked[query.failed];
                label for="failed" { "with a failed device" }
            }
            button type="submit" { "Show" }
        }
    }
}

fn is_filtered(query: &Query) -> bool {
    query.app.is_some() || query.state.is_some() || query.failed || !query.search.is_empty()
}

fn nothing(listing: &Listing<'_>, page: &Page) -> Markup {
    html! {
        @if page.total > 0 {
            p.notice { "This page is empty: the list has changed." }
            p { a href=(links::watches(&first(listing.query))) { "To the first page" } }
        } @else if is_filtered(listing.query) {
            p.notice { "No pair is like that." }
            p { a href="/watches" { "Show all pairs" } }
        } @else {
            p.notice {
                "No pair is watched. The configuration names the lists; " a href="/config" { "this one" } " is in force."
            }
        }
    }
}

fn first(query: &Query) -> Query {
    Query { after: None, ..query.clone() }
}

fn position(listing: &Listing<'_>, page: &Page) -> Markup {
    html! {
        p.position role="status" {
            strong { (counted(page.total, "pair")) }
            @if is_filtered(listing.query) { " like that" }
            @if (page.watches.len() as u64) < page.total { "; " (count(page.watches.len() as u64)) " on this page" }
            "."
        }
    }
}

fn table(listing: &Listing<'_>, page: &Page) -> Markup {
    html! {
        section.wide aria-labelledby="pairs-title" tabindex="0" {
            table.stack.pairs {
                caption.hidden #pairs-title { "Pairs of task and user" }
                thead {
                    tr {
                        th scope="col" { "User and task" } th scope="col" { "App" }
                        th scope="col" { "State" } th.n scope="col" { "Failed devices" }
                        th scope="col" { "Pushed" } th scope="col" { "Last polled" } th scope="col" { "Next poll" }
                        th scope="col" { "Labels" }
                    }
                }
                tbody {
                    @for watch in &page.watches { (row(watch, listing)) }
                }
            }
        }
    }
}

fn row(watch: &Watch, listing: &Listing<'_>) -> Markup {
    let at = |at: Option<i64>, none: &str| {
        html! { @match at { Some(at) => (ago(at, listing.now)), None => span.dim { (none) } } }
    };
    html! {
        tr {
            th scope="row" {
                a href=(links::pair(&watch.app, &watch.task, &watch.user)) { bdi.id { (visible(&watch.user)) } }
                bdi.id.dim.task { (visible(&watch.task)) }
            }
            td data-label="App" { (watch.app) }
            td data-label="State" { (state(watch.state)) }
            td.n data-label="Failed devices" { (failed(watch.failed_devices)) }
            td data-label="Pushed" { (at(watch.pushed_at, "unknown")) }
            td data-label="Last polled" { (at(watch.last_polled_at, "never")) }
            td data-label="Next poll" { (at(watch.next_poll_at, "none")) }
            td data-label="Labels" { (labels(&watch.labels)) }
        }
    }
}

fn failed(devices: u32) -> Markup {
    html! {
        @if devices > 0 { span.broken { span.sign aria-hidden="true" { "✕" } (devices) } }
        @else { span.dim { "0" } }
    }
}

/// The state of a pair with a sign of its own.
pub(super) fn state(state: State) -> Markup {
    let (sign, class) = match state {
        State::New => ("○", "dim"),
        State::Active => ("◐", "active"),
        State::Settled => ("●", "dim"),
        State::Failing => ("✕", "broken"),
    };
    html! { span.(class) { span.sign aria-hidden="true" { (sign) } (state.as_str()) } }
}

/// Watch labels as `name=value`.
pub(super) fn labels(labels: &LabelSet) -> Markup {
    html! {
        @if labels.is_empty() { span.dim { "none" } }
        @for (at, (name, value)) in labels.iter().enumerate() {
            @if at > 0 { " " }
            span.label { (name) "=" bdi { (visible(value)) } }
        }
    }
}

fn onward(listing: &Listing<'_>, page: &Page) -> Markup {
    let is_first = listing.query.after.is_none();
    html! {
        @if page.next.is_some() || !is_first {
            nav.onward aria-label="Pages of the list" {
                @if !is_first { a href=(links::watches(&first(listing.query))) { "« First page" } }
                @if let Some(next) = &page.next {
                    @let next = Query { after: Some(next.clone()), ..listing.query.clone() };
                    a rel="next" href=(links::watches(&next)) { "Next page »" }
                } @else { span.dim { "This is the last page." } }
            }
        }
    }
}
