//! A parsed document, read key by key; every fault is noted with its key path.
