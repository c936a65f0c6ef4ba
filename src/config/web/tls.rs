//! The key `tls_server_config`: certificate and key, client certificates, versions, ciphers.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{NamedGroup, SupportedCipherSuite};

use super::material::Reader;
use crate::config::around::Around;
use crate::config::secret::{OPEN_SECRET, checked, file, is_open_secret};
use crate::config::values::{given, or};
use crate::document::{Place, Table, Value, shown};
use crate::http::{ClientAuth, Tls, TlsFault, TlsSettings, TlsVersion, cipher_suites, curves};

/// How many names clients may have.
const MAX_SANS: usize = 1000;
const CERTIFICATES: &str = "certificates as PEM";
const KEY: &str = "a private key as PEM, without a passphrase";

/// Where some PEM was written: in the file itself or in one that it names.
struct Pem<'t> {
    place: Place<'t>,
    bytes: Vec<u8>,
}

/// What the table says, ready to be spoken, and the policy for client certificates.
pub(super) fn read(table: &Table<'_>, around: &Around<'_>, reader: &Reader) -> Option<(Tls, ClientAuth)> {
    let pem = |inline, named| {
        read_pem(table, [inline, named], &|place| {
            let path = file(place, around)?;
            checked(place, &path, reader.read(&path))
        })
    };
    let cert = required(table, pem("cert", "cert_file"), ["cert", "cert_file"]);
    let key = required(table, pem("key", "key_file"), ["key", "key_file"]);
    if let Some(place) = blank(table, "key_file")
        && file(&place, around).is_some_and(|path| is_open_secret(&path))
    {
        place.warn(OPEN_SECRET);
    }
    let ca = pem("client_ca", "client_ca_file");
    let chain = cert.as_ref().and_then(certificates);
    let private = key.as_ref().and_then(private_key);
    let client_cas = ca.as_ref().and_then(|ca| match ca {
        Some(pem) => certificates(pem),
        None => Some(Vec::new()),
    });
    let client_auth = or(given(table, "client_auth_type"), ClientAuth::default(), client_auth);
    let allowed_sans = or(given(table, "client_allowed_sans"), Vec::new(), sans);
    let least = or(given(table, "min_version"), TlsVersion::Tls12, version);
    let most = or(given(table, "max_version"), TlsVersion::Tls13, version);
    let suites = or(given(table, "cipher_suites"), Vec::new(), suites);
    let curves = or(given(table, "curve_preferences"), Vec::new(), groups);
    let prefers_own_suites = or(given(table, "prefer_server_cipher_suites"), true, Place::truth);
    let (least, most) = (least?, most?);
    if least > most {
        table.fault("min_version", "is above max_version; expected one that is not");
        return None;
    }
    let policy = client_auth?;
    let has = [ca.is_some_and(|ca| ca.is_some()), allowed_sans.as_ref().is_some_and(|sans| !sans.is_empty())];
    if !go_together(table, policy, has) {
        return None;
    }
    let settings = TlsSettings {
        chain: chain?,
        key: private?,
        client_auth: policy,
        client_cas: client_cas?,
        allowed_sans: allowed_sans?,
        versions: least..=most,
        cipher_suites: suites?,
        curves: curves?,
        prefers_own_suites: prefers_own_suites?,
    };
    let made = Tls::new(settings);
    let name_of = |keys: [&'static str; 2]| keys.into_iter().find(|key| table.get(key).is_some());
    let tls = made.map_err(|fault| {
        let keys = match fault {
            TlsFault::Certificate => ["cert", "cert_file"],
            TlsFault::Key | TlsFault::OtherKey => ["key", "key_file"],
            TlsFault::ClientCa => ["client_ca", "client_ca_file"],
            TlsFault::NoSuite => ["cipher_suites", "cipher_suites"],
        };
        table.fault(name_of(keys).unwrap_or(keys[1]), fault.to_string());
    });
    Some((tls.ok()?, policy))
}

/// What stands under one of two keys. The outer `None` means a fault, noted already.
fn read_pem<'t>(
    table: &Table<'t>,
    [inline, named]: [&'static str; 2],
    read: &dyn Fn(&Place<'t>) -> Option<Vec<u8>>,
) -> Option<Option<Pem<'t>>> {
    match (blank(table, inline), blank(table, named)) {
        (None, None) => Some(None),
        (Some(place), None) => {
            let bytes = place.text("PEM as a text of several lines")?.as_bytes().to_vec();
            Some(Some(Pem { place, bytes }))
        }
        (None, Some(place)) => {
            let bytes = read(&place)?;
            Some(Some(Pem { place, bytes }))
        }
        (Some(_), Some(_)) => {
            table.fault(named, format!("stands beside {inline}; expected one of the two"));
            None
        }
    }
}

/// A key with an empty text is as good as none, in the toolkit too.
fn blank<'t>(table: &Table<'t>, key: &'static str) -> Option<Place<'t>> {
    given(table, key).filter(|place| !matches!(place.value(), Value::Text(text) if text.is_empty()))
}

fn required<'t>(
    table: &Table<'_>,
    pem: Option<Option<Pem<'t>>>,
    [inline, named]: [&'static str; 2],
) -> Option<Pem<'t>> {
    let pem = pem?;
    if pem.is_none() {
        table.fault(named, format!("is missing; expected the path of a file as PEM, or {inline}"));
    }
    pem
}

fn certificates(pem: &Pem<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.bytes).collect();
    match read {
        Ok(list) if !list.is_empty() => Some(list),
        _ => {
            pem.place.fault(format!("holds no certificate; expected {CERTIFICATES}"));
            None
        }
    }
}

fn private_key(pem: &Pem<'_>) -> Option<PrivateKeyDer<'static>> {
    let key = PrivateKeyDer::from_pem_slice(&pem.bytes);
    key.map_err(|_| pem.place.fault(format!("holds no private key; expected {KEY}"))).ok()
}

/// What is asked of clients must be what is checked: Go would take the system's authorities, or check nothing.
fn go_together(table: &Table<'_>, policy: ClientAuth, [has_ca, has_sans]: [bool; 2]) -> bool {
    let name = policy.as_str();
    let unused = |key: &str| {
        let right = "client_auth_type RequireAndVerifyClientCert";
        table.fault(key, format!("has no effect with client_auth_type {name}; expected {right}"));
        false
    };
    let ca = match (policy.verifies(), has_ca) {
        (true, false) => {
            let text = format!("is missing; client_auth_type {name} needs {CERTIFICATES} of the authorities");
            table.fault("client_ca_file", text);
            false
        }
        (false, true) if policy == ClientAuth::NoClientCert => unused("client_ca_file"),
        _ => true,
    };
    let sans = !has_sans || policy != ClientAuth::NoClientCert || unused("client_allowed_sans");
    ca && sans
}

fn client_auth(place: &Place<'_>) -> Option<ClientAuth> {
    let right = ClientAuth::ALL.map(ClientAuth::as_str).join(", ");
    one_of(place, &right, |text| match text {
        "" => Some(ClientAuth::NoClientCert),
        // Taken by the toolkit for the sake of older files.
        "RequireClientCert" => Some(ClientAuth::RequireAnyClientCert),
        text => ClientAuth::ALL.into_iter().find(|policy| policy.as_str() == text),
    })
}

fn version(place: &Place<'_>) -> Option<TlsVersion> {
    let old = ["TLS10", "TLS11"];
    if let Value::Text(text) = place.value()
        && old.contains(&&**text)
    {
        place.fault(format!("is {text}, which is broken and not served; expected TLS12 or TLS13"));
        return None;
    }
    let all = [TlsVersion::Tls12, TlsVersion::Tls13];
    one_of(place, "TLS12 or TLS13", |text| all.into_iter().find(|version| version.as_str() == text))
}

fn suites(place: &Place<'_>) -> Option<Vec<SupportedCipherSuite>> {
    let right = cipher_suites().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    list_of(place, &right, |text| cipher_suites().find(|(name, _)| name == text).map(|(_, suite)| suite))
}

fn groups(place: &Place<'_>) -> Option<Vec<NamedGroup>> {
    let right = curves().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    list_of(place, &right, |text| curves().find(|(name, _)| *name == text).map(|(_, curve)| curve))
}

fn sans(place: &Place<'_>) -> Option<Vec<Box<str>>> {
    const RIGHT: &str = "a DNS name, IP address, mail address or URI";
    let names = list_of(place, RIGHT, |text| (!text.is_empty()).then(|| text.into()))?;
    if names.is_empty() || names.len() > MAX_SANS {
        place.fault(format!("holds {} names; expected 1 to {MAX_SANS}", names.len()));
        return None;
    }
    Some(names)
}

fn one_of<T>(place: &Place<'_>, right: &str, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let text = place.text(right)?;
    let found = find(text);
    if found.is_none() {
        place.fault(format!("is {}; expected {right}", shown(text)));
    }
    found
}

fn list_of<T>(place: &Place<'_>, right: &str, find: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let items = place.items("a list of names")?;
    let count = items.len();
    let found: Vec<T> = items.filter_map(|item| one_of(&item, right, &find)).collect();
    (found.len() == count).then_some(found)
}
