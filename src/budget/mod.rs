//! When the next question may start, across restarts and processes.
