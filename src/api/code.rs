//! The upstream's error numbers, by what happened and what we do about each.
