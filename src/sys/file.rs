//! Reads whole files with a cap, and regular ones only: a pipe, a device or a socket may block for ever.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Why a file was not read; a phrase that follows its name. Never quotes the content.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot be read ({0})")]
    Io(#[from] io::Error),
    /// What it is, with its article.
    #[error("is {0}, not a regular file")]
    NotRegular(&'static str),
    /// The cap in bytes.
    #[error("is longer than {0} bytes")]
    TooLong(u64),
}

/// Opens a regular file for reading, symbolic links followed. Does not wait for a writer of a pipe; a file system that
/// hangs still blocks, see [`super::Blocking`].
///
/// # Errors
/// There is no such file, it may not be read, or it is not a regular file.
pub fn open(path: &Path) -> Result<(File, Metadata), ReadError> {
    let file = without_waiting(OpenOptions::new().read(true)).open(path)?;
    // Of what was opened: the path may name another file by now.
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(ReadError::NotRegular(kind(metadata.file_type())))
    }
}

/// Has a pipe opened without waiting for its other end, and read or written without waiting for what comes. On a regular file
/// this changes nothing.
pub fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    options.custom_flags(flags.bits().cast_signed())
}

/// All of a regular file of at most `cap` bytes.
///
/// # Errors
/// As [`open`], or the file is longer.
pub fn read(path: &Path, cap: u64) -> Result<Vec<u8>, ReadError> {
    let (mut file, metadata) = open(path)?;
    read_opened(&mut file, &metadata, cap)
}

/// What is left of an opened file, at most `cap` bytes; `metadata` says how many to expect.
///
/// # Errors
/// It cannot be read, or holds more.
pub fn read_opened(file: &mut File, metadata: &Metadata, cap: u64) -> Result<Vec<u8>, ReadError> {
    let expected = metadata.len().min(cap).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    file.take(cap.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > cap { Err(ReadError::TooLong(cap)) } else { Ok(bytes) }
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_regular_files_up_to_the_cap_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let told = |path: &Path| read(path, 4).unwrap_err().to_string();
        assert_eq!(told(&path), "cannot be read (No such file or directory (os error 2))");
        fs::write(&path, "1234").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"1234");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link, 4).unwrap(), b"1234");
        fs::write(&path, "12345").unwrap();
        assert_eq!(told(&path), "is longer than 4 bytes");
        assert_eq!(told(folder.path()), "is a directory, not a regular file");
        assert_eq!(told(Path::new("/dev/zero")), "is a device, not a regular file");
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        assert_eq!(read(&path, 4).unwrap_err().to_string(), "is a named pipe, not a regular file");
        let path = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(read(&path, 4), Err(ReadError::Io(_))));
    }
}
