//! Tests of the web configuration: what is taken, the exact text of each fault, secrets, hostile files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// A folder with `web.yaml` and, as `server.pem` and `server.key`, a certificate of its own.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        folder.write("server.pem", &certificate.pem());
        folder.write("server.key", &key.serialize_pem());
        folder.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn load(&self, text: &str) -> Result<WebConfig, String> {
        self.write("web.yaml", text);
        let folder = format!("{}/", self.0.path().display());
        load(&self.path("web.yaml")).0.map_err(|faults| faults.to_string().replace(&folder, ""))
    }

    /// The faults, without the name of the file before each.
    fn faults(&self, text: &str) -> Vec<String> {
        let faults = self.load(text).expect_err(text);
        let lines = faults.lines().map(|line| line.strip_prefix("web.yaml: ").expect(line).to_owned());
        lines.collect()
    }
}

/// `tls_server_config` with the certificate and these keys beside it.
fn tls(more: &str) -> String {
    format!("tls_server_config: {{cert_file: server.pem, key_file: server.key, {more}}}")
}

fn one_line(pem: &str) -> String {
    serde_json::to_string(pem).unwrap()
}

#[test]
fn the_sample_of_the_toolkit_is_taken_whole() {
    let folder = Folder::new();
    let text = format!(
        "
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: server.pem
  client_allowed_sans: [example.com, 10.0.0.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256, X25519, CurveP384]
http_server_config:
  http2: true
  headers:
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    Strict-Transport-Security: max-age=31536000
    X-XSS-Protection: ''
basic_auth_users:
  alice: {HASH}
  bob: {HASH}
rate_limit: {{interval: 1s, burst: 20}}
"
    );
    fs::set_permissions(folder.path("server.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let config = folder.load(&text).unwrap();
    let security = &config.security;
    assert!(security.tls.is_some() && security.rate.is_some());
    assert_eq!((security.users.len(), security.headers.len()), (2, 3), "a blank header is none");
    assert_eq!(
        config.warnings,
        [
            "http_server_config.http2: this program serves HTTP/1.1 only, with TLS too",
            "tls_server_config.key_file: every user of this machine can read the file; expected mode 0600 or 0640"
        ]
    );
    let summary = config.summary(std::path::Path::new("web.yaml"));
    assert!(summary.contains("client certificates: RequireAndVerifyClientCert"), "{summary}");
    assert!(summary.contains("basic auth: on, users: 2"), "{summary}");
}

#[test]
fn a_file_that_asks_for_nothing_is_taken_but_not_an_empty_one() {
    let folder = Folder::new();
    for text in ["{}", "tls_server_config:\nbasic_auth_users:\n", "http_server_config: {http2: false}"] {
        let config = folder.load(text).unwrap();
        assert!(config.security.tls.is_none() && config.security.users.is_empty(), "{text}");
        assert!(config.warnings.is_empty(), "{text}");
    }
    let keys =
        "expected a mapping with tls_server_config, http_server_config, basic_auth_users or rate_limit";
    assert_eq!(folder.faults("# nothing"), [format!("is empty; {keys}")]);
    assert_eq!(folder.faults(""), ["is empty; expected a readable YAML file"]);
    assert_eq!(folder.faults("[]"), [format!("is a list; {keys}")]);
}

#[test]
fn certificate_and_key_may_stand_in_the_file_itself() {
    let folder = Folder::new();
    let read = |name: &str| one_line(&fs::read_to_string(folder.path(name)).unwrap());
    let (cert, key) = (read("server.pem"), read("server.key"));
    let text = format!(
        "tls_server_config: {{cert: {cert}, key: {key}, client_ca: {cert}, client_auth_type: VerifyClientCertIfGiven}}"
    );
    assert!(folder.load(&text).unwrap().security.tls.is_some());
    let other = read("other.key");
    let faults = folder.faults(&format!("tls_server_config: {{cert: {cert}, key: {other}}}"));
    let right = "is not the private key of the certificate; expected the two that were made together";
    assert_eq!(faults, [format!("tls_server_config.key: {right}")]);
    let faults =
        folder.faults(&format!("tls_server_config: {{cert: {cert}, cert_file: server.pem, key: {key}}}"));
    assert_eq!(faults, ["tls_server_config.cert_file: stands beside cert; expected one of the two"]);
}

#[test]
fn every_fault_is_told_at_once_by_its_key_path() {
    let folder = Folder::new();
    let faults = folder.faults(
        "
tls_server_config:
  cert_file: nowhere.pem
  client_auth_type: Sometimes
  min_version: TLS11
  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]
  curve_preferences: [CurveP521]
  cert_fil: x
http_server_config:
  http2: perhaps
  headers: {X-Frame-Options: allow, Server: me}
basic_auth_users:
  alice: hunter2-hunter2-hunter2-hunter2
  bob: $2y$31$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi
rate_limit: {interval: 1s}
",
    );
    let starts = [
        "tls_server_config.cert_file: nowhere.pem cannot be read (No such file or directory",
        "tls_server_config.key_file: is missing; ",
        "tls_server_config.client_auth_type: is \"Sometimes\"; expected NoClientCert, RequestClientCert, ",
        "tls_server_config.min_version: is TLS11, which is broken and not served; expected TLS12 or TLS13",
        "tls_server_config.cipher_suites[0]: is \"TLS_RSA_WITH_RC4_128_SHA\"; expected TLS_AES_256_GCM_SHA384, ",
        "tls_server_config.curve_preferences[0]: is \"CurveP521\"; expected X25519, CurveP256, CurveP384",
        "tls_server_config.cert_fil: is no known key; did you mean cert_file? ",
        "http_server_config.http2: is text; expected true or false",
        "http_server_config.headers.X-Frame-Options: is no value for this header; expected deny or sameorigin",
        "http_server_config.headers.Server: is no known key; known here: Content-Security-Policy ",
        "basic_auth_users.alice: is no bcrypt hash; ",
        "basic_auth_users.bob: has the cost 31; expected one from 4 to 16",
        "rate_limit.burst: is missing; ",
    ];
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault}\nshould start with\n{start}");
    }
    assert!(!faults.concat().contains("hunter2") && !faults.concat().contains("$31"), "{faults:#?}");
}

#[test]
fn parts_of_tls_that_do_not_go_together_are_refused() {
    let folder = Folder::new();
    folder.write("rubbish.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let cases = [
        ("min_version: TLS13, max_version: TLS12", "min_version: is above max_version"),
        ("client_ca_file: server.pem", "client_ca_file: has no effect with client_auth_type NoClientCert"),
        ("client_allowed_sans: [a]", "client_allowed_sans: has no effect with client_auth_type NoClientCert"),
        (
            "client_auth_type: RequireAndVerifyClientCert",
            "client_ca_file: is missing; client_auth_type Require",
        ),
        (
            "client_auth_type: RequestClientCert, client_allowed_sans: []",
            "client_allowed_sans: holds 0 names",
        ),
        (
            "max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]",
            "cipher_suites: leaves TLS 1.2 without",
        ),
        (
            "client_auth_type: VerifyClientCertIfGiven, client_ca_file: rubbish.pem",
            "client_ca_file: holds a certificate that is no root",
        ),
        (
            "client_ca_file: server.key, client_auth_type: NoClientCert",
            "client_ca_file: holds no certificate",
        ),
    ];
    for (more, start) in cases {
        let faults = folder.faults(&tls(more));
        let wanted = format!("tls_server_config.{start}");
        assert!(faults[0].starts_with(&wanted), "{more}: {faults:#?}");
    }
    for (pair, start) in [
        ("cert_file: server.key, key_file: server.key", "cert_file: holds no certificate"),
        ("cert_file: server.pem, key_file: server.pem", "key_file: holds no private key"),
        ("cert_file: server.pem, key_file: other.key", "key_file: is not the private key of the certificate"),
        ("cert_file: rubbish.pem, key_file: server.key", "cert_file: is no X.509 certificate"),
        ("min_version: TLS13", "cert_file: is missing"),
    ] {
        let faults = folder.faults(&format!("tls_server_config: {{{pair}}}"));
        assert!(faults[0].starts_with(&format!("tls_server_config.{start}")), "{pair}: {faults:#?}");
    }
}

#[test]
fn every_policy_version_and_name_of_the_toolkit_is_known() {
    let folder = Folder::new();
    for policy in ["NoClientCert", "RequestClientCert", "RequireAnyClientCert", "RequireClientCert", "''"] {
        folder.load(&tls(&format!("client_auth_type: {policy}"))).unwrap();
    }
    for policy in ["VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] {
        folder.load(&tls(&format!("client_auth_type: {policy}, client_ca_file: server.pem"))).unwrap();
    }
    let suites = [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ];
    assert_eq!(crate::http::cipher_suites().count(), suites.len());
    for suite in suites {
        folder.load(&tls(&format!("cipher_suites: [{suite}]"))).unwrap();
    }
    for version in ["TLS12", "TLS13"] {
        folder.load(&tls(&format!("min_version: {version}, max_version: {version}"))).unwrap();
    }
}

#[test]
fn a_rate_of_zero_is_none_and_a_burst_of_zero_is_a_fault() {
    let folder = Folder::new();
    for off in ["{}", "{interval: 0, burst: 5}", "{interval: 0s}", "{burst: 0}"] {
        assert!(folder.load(&format!("rate_limit: {off}")).unwrap().security.rate.is_none(), "{off}");
    }
    for wrong in [
        "{interval: 1s, burst: 0}",
        "{interval: 1s, burst: -1}",
        "{interval: 1, burst: 1}",
        "{interval: 2h, burst: 1}",
    ] {
        assert_eq!(folder.faults(&format!("rate_limit: {wrong}")).len(), 1, "{wrong}");
    }
}

#[test]
fn passwords_without_tls_are_warned_about() {
    let folder = Folder::new();
    let config = folder.load(&format!("basic_auth_users: {{alice: {HASH}}}")).unwrap();
    assert_eq!(config.warnings, ["basic_auth_users: passwords travel unencrypted without tls_server_config"]);
    let faults =
        folder.faults(&format!("basic_auth_users: {{'a:b': {HASH}, '': {HASH}, c: {HASH}, c: {HASH}}}"));
    assert_eq!(faults.len(), 3, "{faults:#?}");
}

#[test]
fn a_change_of_any_file_is_seen() {
    let folder = Folder::new();
    folder.write("web.yaml", &tls("min_version: TLS13"));
    let seen = load(&folder.path("web.yaml")).1;
    assert!(seen.is_current());
    for name in ["server.pem", "server.key", "web.yaml"] {
        let before = fs::read(folder.path(name)).unwrap();
        fs::write(folder.path(name), [&before[..], b"\n"].concat()).unwrap();
        assert!(!seen.is_current(), "{name}");
        fs::remove_file(folder.path(name)).unwrap();
        assert!(!seen.is_current(), "{name}");
        fs::write(folder.path(name), &before).unwrap();
        assert!(seen.is_current(), "{name}");
    }
}

#[test]
fn hostile_files_end_in_a_fault() {
    let folder = Folder::new();
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let above = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![above; 10].join(",")));
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let users = (0..=MAX_USERS).map(|user| format!("u{user}: {HASH}")).collect::<Vec<_>>().join(", ");
    for (text, right) in [
        (bomb, "too large or too deep"),
        (deep, "too large or too deep"),
        (format!("basic_auth_users: {{{users}}}"), "expected at most 1000"),
        ("x".repeat(2 << 20), "is longer than"),
        ("basic_auth_users: {alice: !hunter2 x}\n".to_owned(), "has a tag"),
        (
            "tls_server_config: {cert_file: /dev/zero, key_file: server.key}".to_owned(),
            "is a device, not a regular file",
        ),
    ] {
        let faults = folder.faults(&text);
        assert!(faults[0].contains(right), "{faults:#?}");
    }
    folder.write("latin.yaml", "");
    fs::write(folder.path("latin.yaml"), b"basic_auth_users: {\xe4: x}").unwrap();
    assert!(load(&folder.path("latin.yaml")).0.unwrap_err().to_string().contains("is not UTF-8"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_changed_file_panics(cut in 0usize..1000, insert in "[\\x00-\\x7f]{0,6}", drop in 0usize..8) {
        let whole = format!(
            "tls_server_config: {{cert: a, key: b, client_auth_type: NoClientCert, cipher_suites: [x]}}\n\
             http_server_config: {{http2: true, headers: {{X-Frame-Options: deny}}}}\n\
             basic_auth_users: {{alice: {HASH}}}\nrate_limit: {{interval: 1s, burst: 3}}\n"
        );
        let (start, rest) = whole.split_at(cut % whole.len());
        let text = format!("{start}{insert}{}", &rest[drop.min(rest.len())..]);
        if let Err(faults) = parse(&text, Path::new("web.yaml"), &Reader::default()) {
            prop_assert!(faults.lines().iter().all(|line| !line.contains('\n')));
        }
    }
}
