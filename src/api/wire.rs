//! The upstream's words: the body of an answer, read tolerantly.
