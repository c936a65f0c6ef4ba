//! The other side of the wire, written from the upstream's manual; shares no code with the client.
