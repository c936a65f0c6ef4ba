//! Reads an app's credential off the runtime, one reading at a time.

use std::time::Duration;

use crate::sys::Blocking;
use crate::usersig::{CredentialRead, Reading, Signer};

/// After so long a reading is given up; the credential read before stays in use.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where the credential of one app is read; made anew for another credential, so that one that hangs holds up no other.
pub(super) struct CredentialReader {
    blocking: Blocking,
    /// A reading is on its way.
    is_reading: bool,
}

/// A reading that is to be done.
pub(super) struct CredentialReading {
    blocking: Blocking,
    reading: Reading,
}

impl Default for CredentialReader {
    fn default() -> CredentialReader {
        CredentialReader { blocking: Blocking::new(DEADLINE), is_reading: false }
    }
}

impl CredentialReader {
    /// The reading of what `signer` signs with, where none is on its way.
    pub fn begin(&mut self, signer: &Signer) -> Option<CredentialReading> {
        if std::mem::replace(&mut self.is_reading, true) {
            return None;
        }
        Some(CredentialReading { blocking: self.blocking.clone(), reading: signer.reading() })
    }

    /// The reading has ended.
    pub fn end(&mut self) {
        self.is_reading = false;
    }
}

impl CredentialReading {
    pub async fn run(self) -> CredentialRead {
        let again = self.reading.clone();
        let reading = self.reading;
        let read = self.blocking.run(move || reading.run()).await;
        read.unwrap_or_else(|hung| again.hung(hung))
    }
}
