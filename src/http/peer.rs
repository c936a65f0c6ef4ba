//! The far end of a connection.

use std::net::SocketAddr;

/// The client's address; an extension of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);
