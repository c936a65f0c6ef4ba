//! Asks one question and takes the answer: the only place that dials the upstream.
