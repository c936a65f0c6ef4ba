//! Who must act on a failure: a closed set, from (stage, platform, code, text) through a data file.

use serde::{Deserialize, Serialize};

/// The value of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    NoToken,
    InvalidToken,
    Credential,
    Quota,
    Payload,
    UserBlocked,
    AppBlocked,
    ContentBlocked,
    NoCertificate,
    VendorDown,
    Unknown,
}

impl Reason {
    pub const ALL: [Reason; 11] = [
        Reason::NoToken,
        Reason::InvalidToken,
        Reason::Credential,
        Reason::Quota,
        Reason::Payload,
        Reason::UserBlocked,
        Reason::AppBlocked,
        Reason::ContentBlocked,
        Reason::NoCertificate,
        Reason::VendorDown,
        Reason::Unknown,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::NoToken => "no_token",
            Reason::InvalidToken => "invalid_token",
            Reason::Credential => "credential",
            Reason::Quota => "quota",
            Reason::Payload => "payload",
            Reason::UserBlocked => "user_blocked",
            Reason::AppBlocked => "app_blocked",
            Reason::ContentBlocked => "content_blocked",
            Reason::NoCertificate => "no_certificate",
            Reason::VendorDown => "vendor_down",
            Reason::Unknown => "unknown",
        }
    }
}
