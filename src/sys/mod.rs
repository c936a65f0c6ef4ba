//! What the system gives: the time since boot, files with a cap, work that may block with a deadline, gzip with a cap, what TLS needs.

mod blocking;
mod boot;
mod file;
mod gunzip;
mod lock;
mod tls;

pub use blocking::{Blocking, Hung, run_blocking};
pub use boot::{boot_id, millis_since_boot};
pub use file::{ReadError, open, read, read_opened, without_waiting};
pub use gunzip::{GunzipError, gunzip};
pub use lock::lock;
pub use tls::{install_tls_provider, no_certificates};
