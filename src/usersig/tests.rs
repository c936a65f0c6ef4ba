//! UserSig against the published vectors, and a signer whose credential comes, changes and goes.

use std::fs;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::text::Claims;
use super::*;

const NOW: i64 = 1_741_853_787;
const LIFETIME: i64 = LIFETIME_SECONDS as i64;

fn vectors() -> Value {
    let text = include_str!("../../tests/fixtures/usersig-vectors.json");
    serde_json::from_str(text).unwrap()
}

fn decoded(usersig: &str) -> Value {
    let standard = usersig.replace('*', "+").replace('-', "/").replace('_', "=");
    let folded = STANDARD.decode(standard).unwrap();
    let mut json = String::new();
    ZlibDecoder::new(folded.as_slice()).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn identity_of(vector: &Value) -> Identity {
    Identity {
        sdk_app_id: vector["sdkappid"].as_u64().unwrap(),
        admin: vector["identifier"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn every_published_vector_is_made_again() {
    let vectors = vectors();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 12);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let key = SecretString::from(vector["key"].as_str().unwrap());
        let (time, expire) = (vector["time"].as_i64().unwrap(), vector["expire"].as_u64().unwrap());
        let identity = identity_of(vector);
        let mut claims = Claims::new(&identity, time, expire);
        if vector["kind"] == "userbuf" {
            claims.userbuf = vector["decoded"]["TLS.userbuf"].as_str().map(str::to_owned);
            assert!(claims.userbuf.is_some(), "{name}");
        }
        assert_eq!(claims.content(), vector["content_to_be_signed"].as_str().unwrap(), "{name}");
        let usersig = match vector["kind"].as_str() {
            Some("usersig") => sign(&identity, &key, time, expire),
            _ => claims.seal(&key),
        };
        assert_eq!(decoded(usersig.expose_secret()), vector["decoded"], "{name}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "*-_".contains(c);
        assert!(usersig.expose_secret().chars().all(plain), "{name}");
    }
}

#[test]
fn signatures_of_three_official_libraries_are_read() {
    let vectors = vectors();
    for vector in vectors["vectors"].as_array().unwrap() {
        let expected = Inspected {
            identity: identity_of(vector),
            issued_at: vector["time"].as_i64().unwrap(),
            expires_at: vector["time"].as_i64().unwrap() + vector["expire"].as_i64().unwrap(),
        };
        for (library, usersig) in vector["usersig_examples"].as_object().unwrap() {
            let usersig = usersig.as_str().unwrap();
            assert_eq!(inspect(usersig), Ok(expected.clone()), "{} by {library}", vector["name"]);
            assert_eq!(expiry(usersig), Ok(expected.expires_at));
        }
    }
}

#[test]
fn texts_that_the_official_verifier_cannot_decode_are_malformed() {
    let vectors = vectors();
    let cases = vectors["verification_cases"].as_array().unwrap();
    let mut undecodable = 0;
    for case in cases {
        let inspected = inspect(case["usersig"].as_str().unwrap());
        let expected = case["expected"] == "undecodable";
        assert_eq!(inspected.is_err(), expected, "{}: {inspected:?}", case["name"]);
        undecodable += usize::from(expected);
    }
    assert_eq!(undecodable, 5);
}

#[test]
fn each_fault_of_a_usersig_has_its_word() {
    let fold = |json: &str| {
        use std::io::Write;
        let mut folder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        folder.write_all(json.as_bytes()).unwrap();
        text::url_alphabet(&STANDARD.encode(folder.finish().unwrap()))
    };
    assert_eq!(inspect("not base64!"), Err(MalformedUserSig::Base64));
    assert_eq!(inspect("AAAA"), Err(MalformedUserSig::Zlib));
    assert_eq!(inspect(&fold("[1]")), Err(MalformedUserSig::Claims));
    assert_eq!(inspect(&fold(&" ".repeat(64 * 1024 + 1))), Err(MalformedUserSig::TooLong));
    let endless = r#"{"TLS.ver":"2.0","TLS.identifier":"a","TLS.sdkappid":1,"TLS.expire":9223372036854775807,"TLS.time":1,"TLS.sig":""}"#;
    assert_eq!(inspect(&fold(endless)), Err(MalformedUserSig::Moment));
}

fn identity() -> Identity {
    Identity { sdk_app_id: 1_400_000_000, admin: "administrator".to_owned() }
}

/// Puts `content` in place as careful tools do: a new file, renamed over the old one.
fn replace(path: &Path, content: impl AsRef<[u8]>) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// Reads the credential, as its owner does once a second, and signs.
fn current(signer: &mut Signer, now: i64) -> Result<Signed, SignError> {
    signer.read_now();
    signer.current(now)
}

/// Of what the credential holds now.
fn generation(signer: &mut Signer) -> u64 {
    signer.read_now();
    signer.generation()
}

fn text(signed: &Signed) -> String {
    signed.text.expose_secret().to_owned()
}

#[test]
fn a_signature_is_kept_until_half_of_its_lifetime_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.key");
    fs::write(&path, "0123456789abcdef\n").unwrap();
    let mut signer = Signer::new(identity(), Credential::KeyFile(path));
    assert!(signer.can_renew());
    let first = current(&mut signer, NOW).unwrap();
    assert_eq!(first.expires_at, NOW + LIFETIME);
    let key = SecretString::from("0123456789abcdef");
    assert_eq!(text(&first), sign(&identity(), &key, NOW, LIFETIME_SECONDS).expose_secret());
    assert_eq!(text(&current(&mut signer, NOW + LIFETIME / 2).unwrap()), text(&first));
    let second = current(&mut signer, NOW + LIFETIME / 2 + 1).unwrap();
    assert_eq!(second.expires_at, NOW + LIFETIME / 2 + 1 + LIFETIME);
    let back = current(&mut signer, NOW).unwrap();
    assert_eq!(back.expires_at, NOW + LIFETIME, "a clock set back makes a new one");
    signer.renew();
    let again = current(&mut signer, NOW).unwrap();
    assert_ne!(text(&again), text(&back), "the upstream refused the one of this second");
    assert_eq!(again.expires_at, NOW + LIFETIME + 1);
    assert_eq!(generation(&mut signer), 1);
}

#[test]
fn a_replaced_key_is_noticed_by_the_next_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.key");
    fs::write(&path, "key-one").unwrap();
    let mut signer = Signer::new(identity(), Credential::KeyFile(path.clone()));
    let first = current(&mut signer, NOW).unwrap();
    replace(&path, "key-two\r\n");
    assert_eq!(text(&signer.current(NOW).unwrap()), text(&first), "nothing was read since");
    assert_eq!(generation(&mut signer), 2);
    let second = current(&mut signer, NOW + 1).unwrap();
    let key = SecretString::from("key-two");
    assert_eq!(text(&second), sign(&identity(), &key, NOW + 1, LIFETIME_SECONDS).expose_secret());
    replace(&path, "key-two");
    assert_eq!(generation(&mut signer), 2, "the same key in another file is no other key");
    assert_eq!(text(&current(&mut signer, NOW + 3).unwrap()), text(&second));
}

/// As where a configuration changes, or a signature is refused, while a reading is on its way.
#[test]
fn a_reading_of_before_is_not_taken_for_the_one_that_is_awaited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.key");
    fs::write(&path, "key-one").unwrap();
    let credential = Credential::KeyFile(path.clone());
    let mut signer = Signer::new(identity(), credential.clone());
    assert!(signer.awaits_reading());
    assert_eq!(signer.current(NOW).unwrap_err().fault, CredentialFault::NotRead);
    signer.read_now();
    assert!(!signer.awaits_reading());
    let unchanged = signer.reading();
    signer.renew();
    assert!(signer.take(unchanged.clone().run()) && signer.awaits_reading());
    let mut other = Signer::new(Identity { sdk_app_id: 9, ..identity() }, credential);
    assert!(other.take(unchanged.run()) && other.awaits_reading(), "it holds nothing yet");
    let elsewhere = Credential::KeyFile(folder.path().join("other.key"));
    assert!(!Signer::new(identity(), elsewhere).take(signer.reading().run()));
    let hung = signer.reading().hung(crate::sys::Hung(std::time::Duration::from_secs(5)));
    assert!(signer.take(hung) && !signer.awaits_reading());
    let told = signer.trouble().unwrap().to_string();
    assert!(told.ends_with("shop.key cannot be read: the file system gave no answer within 5 s"), "{told}");
    signer.current(NOW).expect("the key read before stays in use");
}

#[test]
fn a_key_that_vanishes_stays_in_use_and_the_trouble_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.key");
    fs::write(&path, "key-one").unwrap();
    let mut signer = Signer::new(identity(), Credential::KeyFile(path.clone()));
    let first = current(&mut signer, NOW).unwrap();
    assert_eq!(signer.trouble(), None);
    fs::remove_file(&path).unwrap();
    assert_eq!(text(&current(&mut signer, NOW + 1).unwrap()), text(&first));
    assert!(matches!(signer.trouble().unwrap().fault, CredentialFault::Unreadable(_)));
    replace(&path, "");
    assert_eq!(text(&current(&mut signer, NOW + 2).unwrap()), text(&first));
    assert!(matches!(signer.trouble().unwrap().fault, CredentialFault::Empty));
    replace(&path, "key-one");
    assert_eq!(generation(&mut signer), 1);
    assert_eq!(signer.trouble(), None);
}

#[test]
fn faults_name_the_place_and_never_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.key");
    let credential = Credential::KeyFile(path.clone());
    let mut signer = Signer::new(identity(), credential.clone());
    let place = format!("secret_key_file {}", path.display());
    let mut fault = |now| current(&mut signer, now).unwrap_err().to_string();
    assert_eq!(fault(NOW), format!("{place} cannot be read: entity not found"));
    fs::write(&path, " \n\t\n").unwrap();
    assert_eq!(fault(NOW + 1), format!("{place} is empty"));
    fs::write(&path, b"hush\xff").unwrap();
    assert_eq!(fault(NOW + 2), format!("{place} is not UTF-8 text but probably Latin-1 (Windows-1252)"));
    fs::write(&path, "hush".repeat(5000)).unwrap();
    let told = fault(NOW + 3);
    assert!(
        told.starts_with(&format!("{place} holds more than 16384 bytes")) && !told.contains("hush"),
        "{told}"
    );
    replace(&path, "\u{feff}hush-hush\n");
    current(&mut signer, NOW + 4).unwrap();
    let shown = format!("{signer:?}");
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn a_key_may_come_from_the_environment() {
    // Cargo sets it for every test; its value stands for a key.
    let mut signer = Signer::new(identity(), Credential::KeyEnv("CARGO_MANIFEST_DIR".to_owned()));
    let key = SecretString::from(env!("CARGO_MANIFEST_DIR"));
    let expected = sign(&identity(), &key, NOW, LIFETIME_SECONDS);
    assert_eq!(text(&current(&mut signer, NOW).unwrap()), expected.expose_secret());
    assert_eq!(generation(&mut signer), 1);
    let mut signer = Signer::new(identity(), Credential::KeyEnv("TIMPUSH_TEST_UNSET".to_owned()));
    let told = current(&mut signer, NOW).unwrap_err().to_string();
    assert!(told.starts_with("secret_key_env TIMPUSH_TEST_UNSET is not set"), "{told}");
}

#[test]
fn a_usersig_from_a_file_is_checked_before_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.usersig");
    let credential = Credential::UserSigFile(path.clone());
    let key = SecretString::from("a key of others");
    let made = |identity: &Identity, lifetime| sign(identity, &key, NOW, lifetime).expose_secret().to_owned();
    let mut signer = Signer::new(identity(), credential.clone());
    assert!(!signer.can_renew());
    let good = made(&identity(), 100);
    fs::write(&path, format!("{good}\n")).unwrap();
    let signed = current(&mut signer, NOW).unwrap();
    assert_eq!((text(&signed), signed.expires_at), (good.clone(), NOW + 100));
    assert_eq!(text(&current(&mut signer, NOW + 100).unwrap()), good, "the last second is still good");
    let late = current(&mut signer, NOW + 101).unwrap_err();
    assert_eq!(
        late,
        SignError { place: credential.clone(), fault: CredentialFault::Expired { at: NOW + 100 } }
    );
    let other = Identity { admin: "Administrator".to_owned(), ..identity() };
    replace(&path, made(&other, 1000));
    let fault = CredentialFault::OtherIdentity { found: other, wanted: identity() };
    let expected = SignError { place: credential, fault };
    assert_eq!(current(&mut signer, NOW + 102).unwrap_err(), expected);
    replace(&path, "no usersig");
    let told = current(&mut signer, NOW + 103).unwrap_err().to_string();
    assert!(told.contains("holds no UserSig: it is not base64") && !told.contains("no usersig"), "{told}");
    let standard = made(&identity(), 1000).replace('*', "+").replace('-', "/").replace('_', "=");
    replace(&path, standard);
    assert_eq!(text(&current(&mut signer, NOW + 104).unwrap()), made(&identity(), 1000));
}
