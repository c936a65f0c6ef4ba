//! The list in force: each pair once, and the difference a new list makes.
