//! Every name and help in one place; the push families made fresh from a snapshot.
