//! Listeners, routes and pages: the window on what is known.
