//! timpush_exporter: how far each push notification came, told to Prometheus.
//!
//! The **watch** list names whom we care about; the **schedule** says who is next; the **budget** lets one question
//! through; the **api** client asks it, signed; the answer becomes a **trace**; the **ledger** folds the trace into
//! what we know and keeps it; **metrics** reads the ledger aloud; **web** opens the window.
//!
//! The rooms stand in the order in which the data walks; each says its own caption in its first line. Imports only
//! look down: a room uses rooms of lower floors, never of its own or a higher one (`tests/it/tidy.rs` checks it).

#![forbid(unsafe_code)]

// Floor 1: the upstream as it speaks.
pub mod api;
// Floor 0: when the next question may start.
pub mod budget;
// Floor 7: what the file says, and what the program uses.
pub mod config;
// Floor 10: builds the program: supervisor of the apps, reload, shutdown.
pub mod daemon;
// Floor 0: a parsed document, read key by key; every fault is noted with its key path.
pub mod document;
// Floor 0: the server kit: listeners, connections, limits, TLS, passwords, compression.
pub mod http;
// Floor 3: what we know, and the disk that keeps it.
pub mod ledger;
// Floor 4: every name and help in one place.
pub mod metrics;
// Floor 8: polls one app: requests, roster, status, queries, housekeeping, and the feeder of its lists.
pub mod poller;
// Floor 9: answers about pairs for pages and API: list, timeline, watch API.
pub mod query;
// Floor 1: who is next.
pub mod schedule;
// Floor 0: the time since boot, files with a cap, work that may block with a deadline, gzip with a cap.
pub mod sys;
// Floor 2: one answer, understood.
pub mod trace;
// Floor 0: proves who we are.
pub mod usersig;
// Floor 5: the read model: what pollers publish and answer, and what pages and the API show.
pub mod view;
// Floor 0: whom we care about.
pub mod watch;
// Floor 6: routes and pages.
pub mod web;

// Apart: the other side of the wire; imports no room, and only the command line imports it.
pub mod sim;
