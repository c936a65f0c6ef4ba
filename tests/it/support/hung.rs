//! Files that block whoever reads them: a pipe without a writer, and a mount that never answers.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Puts a pipe that nobody writes to in the place of a file.
pub fn pipe_in_place_of(path: &Path) {
    let beside = path.with_extension("pipe");
    rustix::fs::mkfifoat(CWD, &beside, Mode::RUSR | Mode::WUSR).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// A folder whose files hang whoever looks at them, until this is dropped.
pub struct HungMount {
    folder: PathBuf,
    /// The side of the file system; whoever waits for an answer gets an error once it is closed.
    _device: File,
}

impl HungMount {
    /// Covers a folder; `None` where this process may not mount.
    pub fn over(folder: &Path) -> Option<HungMount> {
        let mut device = OpenOptions::new().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        mount("hung", folder, "fuse", MountFlags::empty(), options.as_c_str()).ok()?;
        greet(&mut device);
        Some(HungMount { folder: folder.to_owned(), _device: device })
    }
}

impl Drop for HungMount {
    fn drop(&mut self) {
        unmount(&self.folder, UnmountFlags::DETACH).unwrap();
    }
}

/// Threads of a process that wait for a mount.
pub fn waiting_threads(process: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let places = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("wchan")).ok());
    // The first one waits for the answer, those behind it for the first.
    places.filter(|place| ["request_wait_answer", "d_alloc_parallel"].contains(&place.as_str())).count()
}

/// Answers the first request, which opens the protocol (version 7.31), and none after it.
fn greet(device: &mut File) {
    let mut request = vec![0; 1 << 16];
    let length = device.read(&mut request).unwrap();
    assert!(length >= 16);
    let body: Vec<u8> = [7, 31, 1 << 16, 0, 0, 1 << 16].into_iter().flat_map(u32::to_le_bytes).collect();
    let mut answer = Vec::new();
    answer.extend((16 + 64_u32).to_le_bytes());
    answer.extend(0_u32.to_le_bytes());
    answer.extend(&request[8..16]);
    answer.extend(&body);
    answer.resize(16 + 64, 0);
    device.write_all(&answer).unwrap();
}
