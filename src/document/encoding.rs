//! Bytes as text: UTF-8, or what they probably are instead.

use super::Fault;

/// How many bytes are looked at to tell how a text is encoded.
const LOOKED_AT_BYTES: usize = 4096;

/// What bytes begin with that are no text.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"\xff\xfe\0\0", "UTF-32 (little-endian)"),
    (b"\0\0\xfe\xff", "UTF-32 (big-endian)"),
    (b"\xff\xfe", UTF_16_LE),
    (b"\xfe\xff", UTF_16_BE),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"PK\x03\x04", "a ZIP archive (as spreadsheets in .xlsx are)"),
    (b"\xd0\xcf\x11\xe0", "a binary spreadsheet (.xls)"),
];
const UTF_16_LE: &str = "UTF-16 (little-endian)";
const UTF_16_BE: &str = "UTF-16 (big-endian)";

/// Bytes as text: UTF-8, without a byte order mark.
pub fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    let bytes = without_mark(bytes);
    if let Some(kind) = not_text(bytes) {
        return Err(Fault::whole(format!("is {kind}; expected text in UTF-8")));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let (from, kind) = (error.valid_up_to(), likely(bytes));
        let line = 1 + bytes[..from].iter().filter(|byte| **byte == b'\n').count();
        Fault::whole(format!(
            "is not UTF-8 from byte {from} (line {line}) on but {kind}; expected text in UTF-8"
        ))
    })
}

/// Bytes without the byte order mark of UTF-8.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// What bytes are that are no text of single bytes: another width of Unicode, or no text at all.
pub fn not_text(bytes: &[u8]) -> Option<&'static str> {
    let beginning = BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning));
    if let Some((_, kind)) = beginning {
        return Some(kind);
    }
    // Without a mark: where most is ASCII, every second byte is 0.
    let looked_at = &bytes[..bytes.len().min(LOOKED_AT_BYTES)];
    let zeros = |at: usize| looked_at.iter().skip(at).step_by(2).filter(|byte| **byte == 0).count();
    let most = |zeros: usize| zeros >= 2 && zeros * 4 > looked_at.len() / 2;
    match (most(zeros(0)), most(zeros(1))) {
        (false, true) => Some(UTF_16_LE),
        (true, false) => Some(UTF_16_BE),
        (true, true) => Some("UTF-32 or no text"),
        (false, false) => None,
    }
}

/// What text that is not UTF-8 probably is. GBK writes a character as a pair of bytes of which mostly both are above
/// 0xA0; in Latin-1 such a byte mostly stands alone.
pub fn likely(bytes: &[u8]) -> &'static str {
    let (mut runs, mut paired) = (0_usize, 0_usize);
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|byte| *byte > 0x80) {
        let run = &rest[start..];
        let length = run.iter().position(|byte| *byte <= 0x80).unwrap_or(run.len());
        runs += 1;
        paired += usize::from(length % 2 == 0);
        rest = &run[length..];
        if bytes.len() - rest.len() > LOOKED_AT_BYTES && runs > 8 {
            break;
        }
    }
    if paired * 2 > runs { "probably GBK (GB 18030)" } else { "probably Latin-1 (Windows-1252)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, bytes_of: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    fn told(bytes: &[u8]) -> String {
        utf8(bytes).unwrap_err().to_string()
    }

    #[test]
    fn other_encodings_are_named() {
        let text = "task,user\r\nt1,alice\r\n";
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}{text}");
            let little = "is UTF-16 (little-endian); expected text in UTF-8";
            assert_eq!(told(&wide(&text, u16::to_le_bytes)), little);
            let big = "is UTF-16 (big-endian); expected text in UTF-8";
            assert_eq!(told(&wide(&text, u16::to_be_bytes)), big);
        }
        let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(told(&utf32), "is UTF-32 or no text; expected text in UTF-8");
        let marked: Vec<u8> = [b"\xff\xfe\0\0".to_vec(), utf32].concat();
        assert_eq!(told(&marked), "is UTF-32 (little-endian); expected text in UTF-8");
        for (bytes, kind, from, line) in [
            (&b"task,user\nt1,m\xfcller\nt1,jos\xe9\n"[..], "probably Latin-1 (Windows-1252)", 14, 2),
            (b"- \xd5\xc5\xc8\xfd\n", "probably GBK (GB 18030)", 2, 1),
            (b"a\xff", "probably Latin-1 (Windows-1252)", 1, 1),
        ] {
            let right =
                format!("is not UTF-8 from byte {from} (line {line}) on but {kind}; expected text in UTF-8");
            assert_eq!(told(bytes), right);
        }
        assert!(told(b"PK\x03\x04...").contains("a ZIP archive"));
        assert!(told(b"\x1f\x8b\x08\0").contains("gzip"));
    }

    #[test]
    fn text_is_text() {
        for text in ["", "a", "ab", "- é\n", "[]", "用户", "a\0b"] {
            assert_eq!(utf8(text.as_bytes()), Ok(text));
            assert_eq!(utf8(format!("\u{feff}{text}").as_bytes()), Ok(text));
        }
    }
}
