//! What the file says (raw), and what the program uses (checked): every fault at once, with its key path.

mod checked;

pub use checked::{App, Config};
