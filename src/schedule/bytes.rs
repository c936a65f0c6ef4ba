//! What was learned as bytes, to be kept over restarts.

use super::cells::Cells;
use super::grid::CELLS;
use super::learned::{Learned, PLATFORMS_CAP, STANDS, Wait};

/// The layout; bytes of another one are not read.
const VERSION: u8 = 1;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnreadableLearned {
    /// Of a layout that this program does not know.
    Version(u8),
    /// Too few or too many bytes, or numbers that no counting gives.
    Damaged,
}

impl std::fmt::Display for UnreadableLearned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UnreadableLearned::Version(found) => {
                write!(f, "learned distributions have version {found}, not {VERSION}")
            }
            UnreadableLearned::Damaged => write!(f, "learned distributions are damaged"),
        }
    }
}

impl std::error::Error for UnreadableLearned {}

impl Learned {
    /// All of it as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Never more than PLATFORMS_CAP + 1.
        bytes.push(self.platforms.len() as u8);
        for platform in &self.platforms {
            bytes.extend(platform.to_le_bytes());
        }
        for wait in self.waits.iter().chain([&self.first]) {
            write(wait, &mut bytes);
        }
        bytes
    }

    /// Reads what [`Learned::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Learned, UnreadableLearned> {
        let mut bytes = Bytes(bytes);
        let [version, platforms] = bytes.take()?;
        if version != VERSION {
            return Err(UnreadableLearned::Version(version));
        }
        let platforms = usize::from(platforms);
        if platforms == 0 || platforms > PLATFORMS_CAP + 1 {
            return Err(UnreadableLearned::Damaged);
        }
        bytes.take::<8>()?; // The pool has no number.
        let mut learned = Learned::default();
        for at in 1..platforms {
            if learned.platform(i64::from_le_bytes(bytes.take()?)) != at {
                return Err(UnreadableLearned::Damaged);
            }
        }
        for at in 0..platforms * STANDS {
            read(&mut learned.waits[at], &mut bytes)?;
        }
        read(&mut learned.first, &mut bytes)?;
        if !bytes.0.is_empty() {
            return Err(UnreadableLearned::Damaged);
        }
        learned.refit_all();
        Ok(learned)
    }
}

fn write(wait: &Wait, bytes: &mut Vec<u8>) {
    let known = !wait.cells.is_empty();
    bytes.push(u8::from(known));
    if !known {
        return;
    }
    for number in [wait.seen, wait.expected, wait.watched] {
        bytes.extend(number.to_le_bytes());
    }
    for time in [wait.forgot_at, wait.level_at] {
        bytes.extend(time.to_le_bytes());
    }
    let Cells { exposure, failures, successes, worth } = &wait.cells;
    for number in [exposure, failures, successes, worth].into_iter().flatten() {
        bytes.extend(number.to_le_bytes());
    }
}

fn read(wait: &mut Wait, bytes: &mut Bytes) -> Result<(), UnreadableLearned> {
    if bytes.take()? == [0] {
        return Ok(());
    }
    for number in [&mut wait.seen, &mut wait.expected, &mut wait.watched] {
        *number = f64::from_le_bytes(bytes.take()?);
        if !(number.is_finite() && *number >= 0.0) {
            return Err(UnreadableLearned::Damaged);
        }
    }
    wait.forgot_at = i64::from_le_bytes(bytes.take()?);
    wait.level_at = i64::from_le_bytes(bytes.take()?);
    let cells = &mut wait.cells;
    let counts: [&mut [f32; CELLS]; 4] =
        [&mut cells.exposure, &mut cells.failures, &mut cells.successes, &mut cells.worth];
    for number in counts.into_iter().flatten() {
        *number = f32::from_le_bytes(bytes.take()?);
        if !(number.is_finite() && *number >= 0.0) {
            return Err(UnreadableLearned::Damaged);
        }
    }
    Ok(())
}

/// Bytes still to be read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], UnreadableLearned> {
        let (taken, left) = self.0.split_first_chunk().ok_or(UnreadableLearned::Damaged)?;
        self.0 = left;
        Ok(*taken)
    }
}
