//! Checks a UserSig as the official verifier does (the manual, section 7.2).
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Decompress, FlushDecompress, Status};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// A signature inflates to a few hundred bytes; what is larger is not one.
const MAX_INFLATED_BYTES: usize = 16 * 1024;

/// What a request says about itself, and the key it should have been signed with.
pub(super) struct Claim<'a> {
    pub(super) sdk_app_id: u64,
    pub(super) identifier: &'a str,
    pub(super) key: &'a str,
    pub(super) now_unix_seconds: i64,
}

/// Why a signature does not hold, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Empty,
    Malformed,
    OtherApp,
    OtherIdentifier,
    Expired,
    Userbuf,
    Forged,
}

impl Flaw {
    /// The upstream's code and words.
    pub(super) fn answer(self) -> (i64, &'static str) {
        match self {
            Flaw::Empty => (70002, "UserSig is empty"),
            Flaw::Malformed => (70003, "UserSig is malformed"),
            Flaw::OtherApp => (70014, "SDKAppID does not match the UserSig"),
            Flaw::OtherIdentifier => (70013, "UserID does not match the UserSig"),
            Flaw::Expired => (70001, "UserSig has expired"),
            Flaw::Userbuf => (70003, "UserSig carries a userbuf"),
            Flaw::Forged => (70009, "UserSig verification failed"),
        }
    }
}

#[derive(Deserialize)]
struct Ticket {
    #[serde(rename = "TLS.identifier")]
    identifier: String,
    #[serde(rename = "TLS.sdkappid")]
    sdk_app_id: u64,
    #[serde(rename = "TLS.time")]
    time: i64,
    #[serde(rename = "TLS.expire")]
    expire: i64,
    #[serde(rename = "TLS.sig")]
    sig: String,
    #[serde(rename = "TLS.userbuf")]
    userbuf: Option<String>,
}

pub(super) fn verify(usersig: &str, claim: &Claim) -> Result<(), Flaw> {
    if usersig.is_empty() {
        return Err(Flaw::Empty);
    }
    let ticket = open(usersig).ok_or(Flaw::Malformed)?;
    if ticket.sdk_app_id != claim.sdk_app_id {
        return Err(Flaw::OtherApp);
    }
    if ticket.identifier != claim.identifier {
        return Err(Flaw::OtherIdentifier);
    }
    // The last second itself is still valid.
    if claim.now_unix_seconds > ticket.time.saturating_add(ticket.expire) {
        return Err(Flaw::Expired);
    }
    if ticket.userbuf.is_some() {
        return Err(Flaw::Userbuf);
    }
    let Ticket { identifier, sdk_app_id, time, expire, .. } = &ticket;
    let text = format!(
        "TLS.identifier:{identifier}\nTLS.sdkappid:{sdk_app_id}\nTLS.time:{time}\nTLS.expire:{expire}\n"
    );
    let mut mac =
        Hmac::<Sha256>::new_from_slice(claim.key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    let sig = BASE64_STANDARD.decode(&ticket.sig).map_err(|_| Flaw::Forged)?;
    mac.verify_slice(&sig).map_err(|_| Flaw::Forged)
}

/// Tencent's alphabet, base64, zlib, JSON.
fn open(usersig: &str) -> Option<Ticket> {
    let standard: String = usersig
        .chars()
        .map(|letter| match letter {
            '*' => '+',
            '-' => '/',
            '_' => '=',
            other => other,
        })
        .collect();
    let packed = BASE64_STANDARD.decode(standard).ok()?;
    let mut text = Vec::with_capacity(MAX_INFLATED_BYTES);
    // Anything but the end of the stream is a signature cut short, or one too large.
    match Decompress::new(true).decompress_vec(&packed, &mut text, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => serde_json::from_slice(&text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
        verification_cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        sdkappid: u64,
        identifier: String,
        key: String,
        time: i64,
        expire: i64,
        kind: String,
        usersig_examples: std::collections::BTreeMap<String, String>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        usersig: String,
        verify_with: Setting,
        plausible_rest_code_inferred: i64,
    }

    #[derive(Deserialize)]
    struct Setting {
        sdkappid: u64,
        identifier: String,
        key: String,
        now: i64,
    }

    fn vectors() -> Vectors {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/usersig-vectors.json"));
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn judges_every_published_case_as_published() {
        let cases = vectors().verification_cases;
        assert_eq!(cases.len(), 15);
        for case in cases {
            let Setting { sdkappid, identifier, key, now } = &case.verify_with;
            let claim = Claim { sdk_app_id: *sdkappid, identifier, key, now_unix_seconds: *now };
            let code = verify(&case.usersig, &claim).err().map_or(0, |flaw| flaw.answer().0);
            assert_eq!(code, case.plausible_rest_code_inferred, "{}", case.name);
        }
    }

    #[test]
    fn accepts_every_published_signature_from_its_first_to_its_last_second() {
        for vector in vectors().vectors {
            let Vector { name, sdkappid, identifier, key, time, expire, kind, usersig_examples } = &vector;
            assert!(!usersig_examples.is_empty(), "{name}");
            for (made_by, usersig) in usersig_examples {
                let judged = |now| {
                    let claim = Claim { sdk_app_id: *sdkappid, identifier, key, now_unix_seconds: now };
                    verify(usersig, &claim)
                };
                let wanted = if kind == "usersig" { Ok(()) } else { Err(Flaw::Userbuf) };
                assert_eq!(judged(*time), wanted, "{name} by {made_by}");
                assert_eq!(judged(time + expire), wanted, "{name} by {made_by}");
                assert_eq!(judged(time + expire + 1), Err(Flaw::Expired), "{name} by {made_by}");
            }
        }
    }
}
