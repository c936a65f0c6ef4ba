//! Builds the house: a poller for each app, reload, signals, shutdown.
