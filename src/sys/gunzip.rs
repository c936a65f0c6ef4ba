//! Unpacks gzip with a cap on what comes out: a few bytes may stand for gigabytes.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

/// Why a body could not be unpacked; a phrase that follows its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GunzipError {
    #[error("is not gzip, or was cut short")]
    Damaged,
    /// The cap in bytes.
    #[error("has more than {0} bytes after unpacking")]
    TooLong(usize),
}

/// The content of a gzip body, at most `cap` bytes.
///
/// # Errors
/// It is damaged, or holds more. No more than `cap` bytes are ever unpacked into memory.
pub fn gunzip(packed: &[u8], cap: usize) -> Result<Vec<u8>, GunzipError> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(packed).take(cap as u64 + 1);
    decoder.read_to_end(&mut plain).map_err(|_| GunzipError::Damaged)?;
    if plain.len() > cap { Err(GunzipError::TooLong(cap)) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn pack(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_is_unpacked_up_to_the_cap() {
        let packed = pack(b"hello");
        assert_eq!(gunzip(&packed, 5).unwrap(), b"hello");
        assert_eq!(gunzip(&packed, 4), Err(GunzipError::TooLong(4)));
        assert_eq!(gunzip(&[packed.clone(), packed.clone()].concat(), 10).unwrap(), b"hellohello");
        let bomb = pack(&vec![0; 1 << 20]);
        assert!(bomb.len() < 2000);
        assert_eq!(gunzip(&bomb, 1000), Err(GunzipError::TooLong(1000)));
        for damaged in [&packed[..packed.len() - 1], b"{}", b""] {
            assert_eq!(gunzip(damaged, 100), Err(GunzipError::Damaged), "{damaged:?}");
        }
    }
}
