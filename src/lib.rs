//! timpush_exporter: how far each push notification came, told to Prometheus.
//!
//! The **watch** list names whom we care about; the **schedule** says who is next; the **budget** lets one question
//! through; the **api** client asks it, signed; the answer becomes a **trace**; the **ledger** folds the trace into
//! what we know and keeps it; **metrics** reads the ledger aloud; **web** opens the window.
//!
//! The rooms stand in the order in which the data walks; each says its own caption in its first line. Imports only
//! look down: a room uses rooms of lower floors, never of its own or a higher one (`tests/it/tidy.rs` checks it).

// Floor 1: the upstream as it speaks.
pub mod api;
// Floor 0: when the next question may start.
pub mod budget;
// Floor 6: what the file says, and what the program uses.
pub mod config;
// Floor 3: what we know, and the disk that keeps it.
pub mod ledger;
// Floor 4: every name and help in one place.
pub mod metrics;
// Floor 7: builds the house.
pub mod run;
// Floor 1: who is next.
pub mod schedule;
// Floor 2: one answer, understood.
pub mod trace;
// Floor 0: a parsed document, read key by key; every fault is noted with its key path.
pub mod tree;
// Floor 0: proves who we are.
pub mod usersig;
// Floor 0: whom we care about.
pub mod watch;
// Floor 5: listeners, routes and pages.
pub mod web;

// Apart: the other side of the wire; imports no room, and only the command line imports it.
pub mod sim;
