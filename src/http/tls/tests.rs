//! TLS over real sockets: who gets through the handshake, and what those meet who do not.

use std::sync::Arc;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{NamedGroup, SupportedCipherSuite};

use super::*;
use crate::http::tests::{Running, SHORT, ask, parse, patiently, read_all, router, start, start_with};
use crate::http::{Limits, Security, ServerEvent};

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
struct Named {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    fn sign(&self, names: &[&str]) -> Named {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        Named { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Named {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

fn settings(server: &Named) -> TlsSettings {
    TlsSettings {
        chain: server.chain(),
        key: server.private_key(),
        client_auth: ClientAuth::NoClientCert,
        client_cas: Vec::new(),
        allowed_sans: Vec::new(),
        versions: TlsVersion::Tls12..=TlsVersion::Tls13,
        cipher_suites: Vec::new(),
        curves: Vec::new(),
        prefers_own_suites: true,
    }
}

/// A certificate of `localhost` served as the settings say, and a client that trusts its authority.
fn publish(running: &Running, authority: &Authority, change: impl FnOnce(&mut TlsSettings)) {
    let mut settings = settings(&authority.sign(&["localhost"]));
    change(&mut settings);
    let tls = Some(Tls::new(settings).unwrap());
    running.server.publish_security(Security { tls, ..Security::default() });
}

fn client(
    authority: &Authority,
    named: Option<&Named>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    match named {
        Some(named) => builder.with_client_auth_cert(named.chain(), named.private_key()).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// The answer to `GET /health`, or why there is none.
async fn healthy(running: &Running, config: ClientConfig) -> Result<u16, String> {
    let stream = TcpStream::connect(running.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let told = |error: std::io::Error| error.to_string();
    let connected = patiently(TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    let mut stream = connected.map_err(told)?;
    let request = b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.map_err(told)?;
    let mut all = Vec::new();
    patiently(stream.read_to_end(&mut all)).await.map_err(told)?;
    Ok(parse(&all).status)
}

/// A client may be done before the server has counted.
async fn expect_failed_handshakes(running: &Running, expected: usize) {
    let counted = async {
        while running.count(ServerEvent::HandshakeFailed) != expected {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    patiently(counted).await;
}

#[tokio::test]
async fn requests_are_answered_over_both_versions_and_protocols_are_agreed_on() {
    let (running, authority) = (start().await, Authority::new());
    publish(&running, &authority, |_| {});
    for version in BOTH {
        assert_eq!(healthy(&running, client(&authority, None, &[version])).await, Ok(200), "{version:?}");
    }
    let with = |protocols: &[&str]| {
        let mut config = client(&authority, None, BOTH);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    };
    assert_eq!(healthy(&running, with(&["h2", "http/1.1"])).await, Ok(200));
    assert!(healthy(&running, with(&["h2"])).await.is_err(), "HTTP/2 is not spoken");
    let stranger = client(&Authority::new(), None, BOTH);
    assert!(healthy(&running, stranger).await.unwrap_err().starts_with("invalid peer certificate"));
    expect_failed_handshakes(&running, 2).await;
}

#[tokio::test]
async fn versions_suites_and_curves_are_those_that_are_named() {
    let (running, authority) = (start().await, Authority::new());
    publish(&running, &authority, |settings| settings.versions = TlsVersion::Tls13..=TlsVersion::Tls13);
    assert_eq!(healthy(&running, client(&authority, None, &[&version::TLS13])).await, Ok(200));
    assert!(healthy(&running, client(&authority, None, &[&version::TLS12])).await.is_err());
    publish(&running, &authority, |settings| settings.versions = TlsVersion::Tls12..=TlsVersion::Tls12);
    assert!(healthy(&running, client(&authority, None, &[&version::TLS13])).await.is_err());

    let only = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let suite = cipher_suites().find(|(name, _)| name == only).unwrap().1;
    publish(&running, &authority, |settings| settings.cipher_suites = vec![suite]);
    let narrow = |keep: &dyn Fn(&SupportedCipherSuite) -> bool| {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites.retain(|suite| keep(suite));
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    let is_older = |suite: &SupportedCipherSuite| suite.version().version == rustls::ProtocolVersion::TLSv1_2;
    assert_eq!(healthy(&running, narrow(&|s| *s == suite)).await, Ok(200));
    assert!(healthy(&running, narrow(&|s| is_older(s) && *s != suite)).await.is_err());
    assert_eq!(healthy(&running, narrow(&|s| !is_older(s))).await, Ok(200), "TLS 1.3 is not narrowed");

    publish(&running, &authority, |settings| settings.curves = vec![NamedGroup::secp384r1]);
    assert_eq!(healthy(&running, client(&authority, None, BOTH)).await, Ok(200));
    let mut other = client(&authority, None, BOTH).crypto_provider().as_ref().clone();
    other.kx_groups.retain(|group| group.name() != NamedGroup::secp384r1);
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(other)).with_protocol_versions(BOTH).unwrap();
    let other = builder.with_root_certificates(roots).with_no_client_auth();
    assert!(healthy(&running, other).await.is_err());
}

/// Who gets in under each policy: without a certificate, with one of our authority, with one of another.
#[tokio::test]
async fn client_certificates_are_asked_for_as_the_policy_says() {
    let (running, authority, other) = (start().await, Authority::new(), Authority::new());
    let (ours, theirs) = (authority.sign(&["prometheus"]), other.sign(&["prometheus"]));
    let policies = [
        (ClientAuth::NoClientCert, [true, true, true]),
        (ClientAuth::RequestClientCert, [true, true, true]),
        (ClientAuth::RequireAnyClientCert, [false, true, true]),
        (ClientAuth::VerifyClientCertIfGiven, [true, true, false]),
        (ClientAuth::RequireAndVerifyClientCert, [false, true, false]),
    ];
    assert_eq!(policies.map(|(policy, _)| policy), ClientAuth::ALL);
    for (policy, wanted) in policies {
        publish(&running, &authority, |settings| {
            settings.client_auth = policy;
            settings.client_cas = vec![authority.certificate()];
        });
        for version in BOTH {
            for (named, wanted) in [None, Some(&ours), Some(&theirs)].into_iter().zip(wanted) {
                let got = healthy(&running, client(&authority, named, &[version])).await;
                let kind = named.map(|named| std::ptr::eq(named, &ours));
                assert_eq!(got.is_ok(), wanted, "{policy:?} {version:?} {kind:?}: {got:?}");
            }
        }
    }
}

#[tokio::test]
async fn clients_need_an_allowed_name() {
    let (running, authority) = (start().await, Authority::new());
    let allowed = ["prometheus.example.com", "10.1.2.3", "2001:db8::1"];
    for policy in [ClientAuth::RequireAndVerifyClientCert, ClientAuth::RequireAnyClientCert] {
        publish(&running, &authority, |settings| {
            settings.client_auth = policy;
            settings.client_cas = vec![authority.certificate()];
            settings.allowed_sans = allowed.iter().map(|name| (*name).into()).collect();
        });
        for (names, wanted) in [
            (&["prometheus.example.com"][..], true),
            (&["10.1.2.3"], true),
            (&["2001:0db8:0::1"], true),
            (&["other", "prometheus.example.com"], true),
            (&["other"], false),
            (&["*.example.com"], false),
            (&["10.1.2.4"], false),
            (&[], false),
        ] {
            let named = authority.sign(names);
            let got = healthy(&running, client(&authority, Some(&named), BOTH)).await;
            assert_eq!(got.is_ok(), wanted, "{policy:?} {names:?}: {got:?}");
        }
    }
    publish(&running, &authority, |settings| {
        settings.client_auth = ClientAuth::RequestClientCert;
        settings.allowed_sans = vec!["prometheus".into()];
    });
    assert_eq!(healthy(&running, client(&authority, None, BOTH)).await, Ok(200), "none was required");
    let named = authority.sign(&["other"]);
    assert!(healthy(&running, client(&authority, Some(&named), BOTH)).await.is_err());
}

#[tokio::test]
async fn a_client_of_plain_http_is_told_so() {
    let (running, authority) = (start().await, Authority::new());
    publish(&running, &authority, |_| {});
    let answer = ask(running.address, "GET", "/metrics", "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("HTTPS"), "{}", answer.text());
    assert!(!answer.text().contains("here"));
    let mut rubbish = TcpStream::connect(running.address).await.unwrap();
    rubbish.write_all(&[0x80; 100]).await.unwrap();
    let said = read_all(&mut rubbish).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    expect_failed_handshakes(&running, 2).await;
}

#[tokio::test]
async fn clients_that_stall_in_the_handshake_are_cut_and_make_room() {
    let limits = Limits { connections: 2, head_timeout: SHORT, ..Limits::default() };
    let (running, authority) = (start_with(limits, router()).await, Authority::new());
    publish(&running, &authority, |_| {});
    let began = Instant::now();
    for said in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1]] {
        let mut stalled = TcpStream::connect(running.address).await.unwrap();
        stalled.write_all(said).await.unwrap();
        assert_eq!(read_all(&mut stalled).await, b"");
    }
    assert!(began.elapsed() >= SHORT * 3);
    expect_failed_handshakes(&running, 3).await;
    // Honest clients get the usual deadline: they are slow, too, where the machine is busy.
    let limits = Limits { connections: 2, ..Limits::default() };
    let running = start_with(limits, router()).await;
    publish(&running, &authority, |_| {});
    let began = Instant::now();
    let mut held = Vec::new();
    for _ in 0..6 {
        let mut stalled = TcpStream::connect(running.address).await.unwrap();
        let _ = stalled.write_all(&[0x16, 3]).await;
        held.push(stalled);
        assert_eq!(healthy(&running, client(&authority, None, BOTH)).await, Ok(200));
    }
    assert!(began.elapsed() < limits.head_timeout, "they make room before their deadline");
}

#[tokio::test]
async fn a_new_certificate_is_for_connections_that_come_and_old_ones_go_on() {
    let (running, authority, next) = (start().await, Authority::new(), Authority::new());
    publish(&running, &authority, |_| {});
    let stream = TcpStream::connect(running.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client(&authority, None, BOTH)));
    let mut kept = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    publish(&running, &next, |_| {});
    assert!(healthy(&running, client(&authority, None, BOTH)).await.is_err());
    assert_eq!(healthy(&running, client(&next, None, BOTH)).await, Ok(200));
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    patiently(kept.read_to_end(&mut all)).await.expect("the end of the stream is told, not only cut");
    assert_eq!(parse(&all).status, 200);
}

#[test]
fn settings_show_no_key() {
    let server = Authority::new().sign(&["localhost"]);
    let shown = format!("{:?}", settings(&server));
    assert!(shown.contains("elided"), "{shown}");
    let tls = Tls::new(settings(&server)).unwrap();
    assert!(tls.expires_at() > 0 && format!("{tls:?}").len() < 60, "{tls:?}");
}
