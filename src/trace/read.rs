//! The answer of the upstream, read into a trace.
