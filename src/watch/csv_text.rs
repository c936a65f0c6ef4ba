//! The text of a CSV document beside what the reader tells of it: lines as an editor counts them, and quotes.

use csv::{ByteRecord, Position};

/// Tells at which line a record begins. The reader's own count stops before the line break of the record before, and
/// before the empty lines that follow it.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    counted: usize,
    /// From 1, of the byte at `counted`.
    line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, counted: 0, line: 1 }
    }

    fn start(&self, record: &ByteRecord) -> usize {
        let from = record.position().map_or(0, Position::byte);
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.bytes.len());
        let breaks = self.bytes[from..].iter().take_while(|byte| is_break(**byte)).count();
        from + breaks
    }

    /// The line at which a record begins, from 1. Records are asked about in their order.
    pub(super) fn of(&mut self, record: &ByteRecord) -> u64 {
        let start = self.start(record);
        let passed = &self.bytes[self.counted.min(start)..start];
        let breaks = passed.iter().filter(|byte| **byte == b'\n').count();
        // An old Mac ends a line by a carriage return alone.
        let alone = passed.windows(2).filter(|pair| pair[0] == b'\r' && pair[1] != b'\n').count();
        self.line += (breaks + alone + usize::from(passed.ends_with(b"\r"))) as u64;
        self.counted = start;
        self.line
    }

    /// The text of a record, which ends at the byte `end`.
    pub(super) fn raw(&self, record: &ByteRecord, end: u64) -> &'a [u8] {
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(self.bytes.len());
        &self.bytes[self.start(record).min(end)..end]
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// What the quotes of a record are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Each that opens a field ends one.
    Closed,
    /// After one that closes a field there is more of it.
    Loose,
    /// The last one that opens a field does not end one.
    Open,
}

/// Looks at the quotes of one record, given as it is written.
pub(super) fn quotes(raw: &[u8]) -> Quotes {
    let mut found = Quotes::Closed;
    let mut rest = raw;
    while !rest.is_empty() {
        if rest[0] == b'"' {
            let Some(end) = end_of_quoted(&rest[1..]) else { return Quotes::Open };
            rest = &rest[1 + end..];
            let tail = rest.iter().take_while(|byte| **byte == b' ').count();
            if rest.get(tail).is_some_and(|byte| *byte != b',' && !is_break(*byte)) {
                found = Quotes::Loose;
            }
        }
        match rest.iter().position(|byte| *byte == b',') {
            Some(comma) => rest = &rest[comma + 1..],
            None => return found,
        }
    }
    found
}

/// Where the text behind an opening quote goes on after its closing one. A doubled quote is part of the text.
fn end_of_quoted(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].iter().position(|byte| *byte == b'"')? + 1;
        if text.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_closed_or_not() {
        for (raw, found) in [
            ("t,a\n", Quotes::Closed),
            ("t,\"a\"\r\n", Quotes::Closed),
            ("\"t\",\"a\nb\",\"\"\n", Quotes::Closed),
            ("t,\"a \"\"b\"\" c\" ,d", Quotes::Closed),
            ("t,a\"b,c\"d\n", Quotes::Closed),
            ("t, \"a\"\n", Quotes::Closed),
            ("t,\"a\"b\n", Quotes::Loose),
            ("t,\"b\nt,\"c\"\n", Quotes::Loose),
            ("\"t\",\"b\n\"t\",\"c\"\n", Quotes::Loose),
            ("t,\"b\nt,c\n", Quotes::Open),
            ("t,\"b\"\"\nt,c\n", Quotes::Open),
            ("t,\"", Quotes::Open),
        ] {
            assert_eq!(quotes(raw.as_bytes()), found, "{raw:?}");
        }
    }
}
