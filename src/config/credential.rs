//! The three keys that say where an app's proof comes from, and what can be known of that proof without the upstream.

use secrecy::ExposeSecret;

use super::around::{Around, CredentialCheck};
use super::secret::{read_secret, shown_path};
use super::values::line;
use crate::document::{Place, Table};
use crate::usersig::{Credential, Identity, KeyDoubt, credential_text, inspect, moment, signed};

/// A UserSig that was made elsewhere is warned about when it has less than this left, in seconds.
const EXPIRES_SOON_SECONDS: i64 = 24 * 3600;
/// How far the clock of whoever made a UserSig may be ahead of ours without a word, in seconds.
const CLOCK_SLACK_SECONDS: i64 = 300;
const KEYS: &str = "exactly one of secret_key_file, secret_key_env, usersig_file";
const NO_PLACE: &str = "is a secret, which has no place in this file; put it into a file and name that by";

/// What a file or variable holds, and how a message names it.
struct Held<'h> {
    place: &'h Place<'h>,
    name: String,
    bytes: &'h [u8],
}

/// Where the app's proof comes from: exactly one of three keys.
pub(super) fn read(app: &Table<'_>, identity: Option<&Identity>, around: &Around<'_>) -> Option<Credential> {
    let inline_key = app.refuse("secret_key", &format!("{NO_PLACE} secret_key_file"));
    let inline_sig = app.refuse("usersig", &format!("{NO_PLACE} usersig_file"));
    let key_file = app.get("secret_key_file");
    let key_env = app.get("secret_key_env");
    let usersig_file = app.get("usersig_file");
    let given = [key_file, key_env, usersig_file].iter().flatten().count();
    let key_file = key_file.map(|place| {
        let (path, bytes) = read_secret(&place, around)?;
        judge_key(&Held { place: &place, name: shown_path(&place, &path), bytes: &bytes }, around);
        Some(Credential::KeyFile(path))
    });
    let key_env = key_env.map(|place| read_env(&place, around).map(Credential::KeyEnv));
    let usersig_file = usersig_file.map(|place| {
        let (path, bytes) = read_secret(&place, around)?;
        let held = Held { place: &place, name: shown_path(&place, &path), bytes: &bytes };
        judge_usersig(&held, identity, around);
        Some(Credential::UserSigFile(path))
    });
    match given {
        1 => key_file.or(key_env).or(usersig_file).flatten(),
        // The fault of the secret written in the file says what is to be done.
        0 if inline_key || inline_sig => None,
        0 => {
            app.place().fault(format!("names no secret; expected {KEYS}"));
            None
        }
        _ => {
            app.place().fault(format!("names {given} secrets; expected {KEYS}"));
            None
        }
    }
}

fn read_env(place: &Place<'_>, around: &Around<'_>) -> Option<String> {
    const RIGHT: &str = "the name of an environment variable such as SHOP_SECRET_KEY";
    let name = line(place, RIGHT)?;
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
        place.fault(format!("is no name of a variable; expected {RIGHT}"));
        return None;
    }
    // The name is not shown: people paste the key itself here.
    let Some(value) = (around.env)(&name) else {
        place.fault("names an environment variable that is not set; expected one that holds the secret key");
        return None;
    };
    let bytes = value.into_encoded_bytes();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        place.fault("names an environment variable that is empty; expected one that holds the secret key");
        return None;
    }
    judge_key(&Held { place, name: "the variable it names".to_owned(), bytes: &bytes }, around);
    Some(name)
}

/// Notes what is wrong with what a credential holds.
fn wrong(held: &Held<'_>, around: &Around<'_>, text: &str) {
    let text = format!("{} {text}", held.name);
    match around.credentials {
        CredentialCheck::MustWork => held.place.fault(text),
        CredentialCheck::MayWork => held.place.warn(format!("{text}; the app pauses until it is replaced")),
    }
}

fn judge_key(held: &Held<'_>, around: &Around<'_>) {
    match credential_text(held.bytes) {
        Err(fault) => wrong(held, around, &format!("{fault}; expected the secret key as text")),
        Ok(key) => {
            if let Some(doubt) = KeyDoubt::of(key.expose_secret()) {
                held.place.warn(format!(
                    "the secret key looks pasted wrong: {doubt}; expected the 64 hex digits that the console shows"
                ));
            }
        }
    }
}

/// `identity` is `None` where the file says no usable one: then it is not compared.
fn judge_usersig(held: &Held<'_>, identity: Option<&Identity>, around: &Around<'_>) {
    let usersig = match credential_text(held.bytes) {
        Ok(usersig) => usersig,
        Err(fault) => return wrong(held, around, &format!("{fault}; expected a UserSig")),
    };
    let inspected = inspect(usersig.expose_secret()).ok();
    let own = inspected.as_ref().map(|inspected| inspected.identity.clone());
    let wanted = identity.cloned().or(own).unwrap_or_default();
    match signed(&usersig, &wanted, around.now) {
        Err(fault) => wrong(held, around, &fault.to_string()),
        Ok(signed) if signed.expires_at - around.now < EXPIRES_SOON_SECONDS => {
            held.place.warn(format!(
                "the UserSig expires at {}, in less than a day; put a new one into the file in time",
                moment(signed.expires_at)
            ));
        }
        Ok(_) => {}
    }
    let ahead = inspected.filter(|inspected| inspected.issued_at - around.now > CLOCK_SLACK_SECONDS);
    if let Some(inspected) = ahead {
        held.place.warn(format!(
            "the UserSig was made at {}, which lies ahead of this clock; expected a time in the past",
            moment(inspected.issued_at)
        ));
    }
}
