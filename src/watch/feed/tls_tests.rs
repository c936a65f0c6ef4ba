//! Tests of `tls_config`: whom the client trusts, by which name, and how it names itself.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

use super::super::ClientTls;
use super::http_tests::{ONE, feed, source};
use super::peer::{Peer, ok};

// Made for these tests, good until 2124: a root, and under it a server named watch.test and a client.
const ROOT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjjCCATWgAwIBAgIUfOA9kO9DRmZMGB78iof2HZnmDkwwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJVGVzdCByb290MCAXDTI2MTEyNDAzMjQzNFoYDzIxMjYxMDMx
MDMyNDM0WjAUMRIwEAYDVQQDDAlUZXN0IHJvb3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR8w1hz4SrOAjnnu/ykIV7htU2op1LJQ0Mx8rsllCPLG9pdeT+xqWjJ
pDAUsrw6qFlTK5U5Z+yah7PIgyWYsFaqo2MwYTAdBgNVHQ4EFgQUGzVMVrp9wAnn
e8gFz76I+fXWklUwHwYDVR0jBBgwFoAUGzVMVrp9wAnne8gFz76I+fXWklUwDwYD
VR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAgQwCgYIKoZIzj0EAwIDRwAwRAIg
eIQ7zsZJs5vABhiZCZxh+Z85BHirgeLob+tElHtkY3sCIH7JNeYBg0Q1tD6DnzPt
NWa73kwTkrMO77EKESCjaLLS
-----END CERTIFICATE-----";
const SERVER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBoTCCAUigAwIBAgIUVyUlBNPCc3L56NTA/AgcNYLiU+YwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJVGVzdCByb290MCAXDTI2MTEyNDAzMjQzNFoYDzIxMjYxMDMx
MDMyNDM0WjARMQ8wDQYDVQQDDAZzZXJ2ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAATBKkgRVd5R8Qv1KWDyzbMq9EYq4nmNxz1QlEdQh4JsxngW51oTo80cR1oO
f/R4SXKfgQuzhBxoLtK51PspLiEro3kwdzAJBgNVHRMEAjAAMBUGA1UdEQQOMAyC
CndhdGNoLnRlc3QwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFB+pYy7W
u2CATE/n4ouo3ZQCeCtIMB8GA1UdIwQYMBaAFBs1TFa6fcAJ53vIBc++iPn11pJV
MAoGCCqGSM49BAMCA0cAMEQCIF2I0czpYmFVxMkYeMg21G3kzQc0B0GJLks45A2u
mdnYAiB0TJarnyJXd1SHmyGxCZXQgUMC15JrwUkXuoTmPMDSgw==
-----END CERTIFICATE-----";
const SERVER_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQuYKDzfS74WpVtyr
arqolLwk9ObJkH95rX2AbhA6b/yhRANCAATBKkgRVd5R8Qv1KWDyzbMq9EYq4nmN
xz1QlEdQh4JsxngW51oTo80cR1oOf/R4SXKfgQuzhBxoLtK51PspLiEr
-----END PRIVATE KEY-----";
const CLIENT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjDCCATGgAwIBAgIUaoTpeZrq6l9QNVEy8BqJyUeWnwswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJVGVzdCByb290MCAXDTI2MTEyNDAzMjQzNFoYDzIxMjYxMDMx
MDMyNDM0WjARMQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAATvbaqcNQC7s9kP7cQ9HYYcU6euvQCaucxrdjIaC5BP/bzLcFwnMu0StJyl
f4pTpMYqfK4rN1Q35tRgTGKFECF2o2IwYDAJBgNVHRMEAjAAMBMGA1UdJQQMMAoG
CCsGAQUFBwMCMB0GA1UdDgQWBBTNa7nmtuT0lwUuz0H7SH1EoguUYjAfBgNVHSME
GDAWgBQbNUxWun3ACed7yAXPvoj59daSVTAKBggqhkjOPQQDAgNJADBGAiEAkKf3
x79SB7pOXIggmaExk5bmUpOB7ZWIvYuckIj4QeECIQC9H4yLplEbXBw88opb3XXM
/Z+5Es78eFcOonriiYhaDw==
-----END CERTIFICATE-----";
const CLIENT_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgK7fIo9b5Me3kxu3X
nPHZz5XiMvrDeg4rCN+8BSUGvzuhRANCAATvbaqcNQC7s9kP7cQ9HYYcU6euvQCa
ucxrdjIaC5BP/bzLcFwnMu0StJylf4pTpMYqfK4rN1Q35tRgTGKFECF2
-----END PRIVATE KEY-----";

fn server(asks_for_client: bool) -> Arc<ServerConfig> {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if asks_for_client {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(ROOT)).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(vec![certificate(SERVER)], key).unwrap())
}

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        for (name, text) in [("ca", ROOT), ("cert", CLIENT), ("key", CLIENT_KEY), ("empty", " ")] {
            fs::write(files.path(name), text).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Trusts the root and expects the name in the certificate.
    fn trusting(&self) -> ClientTls {
        ClientTls {
            ca_file: Some(self.path("ca")),
            server_name: Some("watch.test".to_owned()),
            ..ClientTls::default()
        }
    }
}

/// The error of one look at the peer, if any.
async fn error(peer: &Peer, tls: ClientTls) -> Option<String> {
    let mut source = source(peer);
    source.tls = tls;
    let refreshed = feed(source).look(0).await;
    let [report] = &refreshed.reports[..] else { panic!("{refreshed:?}") };
    assert_eq!(report.figures.entries, u64::from(report.error.is_none()));
    report.error.clone()
}

#[tokio::test]
async fn a_server_is_trusted_by_ca_file_under_the_name_of_server_name() {
    let (peer, files) = (Peer::start(Some(server(false))), Files::new());
    peer.answer(&ok(ONE));
    assert_eq!(error(&peer, files.trusting()).await, None);
    assert_eq!(peer.server_names(), [Some("watch.test".to_owned())]);
    let host = format!("\r\nhost: 127.0.0.1:{}\r\n", peer.port());
    assert!(peer.heads()[0].contains(&host), "{:?}", peer.heads());

    let mut tls = files.trusting();
    tls.server_name = None;
    let text = error(&peer, tls).await.unwrap();
    assert!(text.contains("certificate not valid for name"), "{text}");

    let mut tls = files.trusting();
    tls.ca_file = None;
    let text = error(&peer, tls).await.unwrap();
    assert!(text.contains("invalid peer certificate"), "{text}");
    assert_eq!(peer.heads().len(), 1, "nothing was sent to a server that is not trusted");
}

#[tokio::test]
async fn insecure_skip_verify_trusts_anybody() {
    let peer = Peer::start(Some(server(false)));
    peer.answer(&ok(ONE));
    let tls = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    assert_eq!(error(&peer, tls).await, None);
}

#[tokio::test]
async fn a_client_names_itself_by_cert_file_and_key_file() {
    let (peer, files) = (Peer::start(Some(server(true))), Files::new());
    peer.answer(&ok(ONE));
    let mut tls = files.trusting();
    assert!(error(&peer, tls.clone()).await.is_some());
    tls.cert_file = Some(files.path("cert"));
    tls.key_file = Some(files.path("key"));
    assert_eq!(error(&peer, tls).await, None);
}

#[tokio::test]
async fn files_that_are_replaced_are_read_again() {
    let (peer, files) = (Peer::start(Some(server(false))), Files::new());
    peer.answer(&ok(ONE));
    let mut source = source(&peer);
    source.tls = files.trusting();
    let mut feed = feed(source);
    // Another root that is none of the server's: its own certificate.
    fs::write(files.path("new"), SERVER).unwrap();
    fs::rename(files.path("new"), files.path("ca")).unwrap();
    let report = feed.look(0).await.reports.remove(0);
    assert!(report.error.unwrap().contains("invalid peer certificate"));

    fs::write(files.path("new"), "rubbish").unwrap();
    fs::rename(files.path("new"), files.path("ca")).unwrap();
    let report = feed.look(60_000).await.reports.remove(0);
    let ca_file = files.path("ca");
    let expected = format!(
        "tls_config.ca_file {}: holds no certificate; expected certificates as PEM",
        ca_file.display()
    );
    assert!(report.error.as_ref().unwrap().ends_with(&expected), "{report:?}");

    fs::write(files.path("new"), ROOT).unwrap();
    fs::rename(files.path("new"), files.path("ca")).unwrap();
    let refreshed = feed.look(120_000).await;
    assert_eq!((refreshed.changed, &refreshed.reports[0].error), (true, &None));
}

#[tokio::test]
async fn settings_that_cannot_work_are_told_before_anything_is_asked() {
    let (peer, files) = (Peer::start(Some(server(false))), Files::new());
    let with = |change: &dyn Fn(&mut ClientTls)| {
        let mut source = source(&peer);
        source.url.push_str("?token=hidden");
        change(&mut source.tls);
        super::http_tests::try_feed(source).unwrap_err().to_string()
    };
    let prefix = format!("watch.http[0]: https://127.0.0.1:{}/watch?...: tls_config.", peer.port());
    let name = |name: &str| with(&|tls| tls.server_name = Some(name.to_owned()));
    let no_name = format!("{prefix}server_name: is no DNS name; expected one such as watch.example.com");
    assert_eq!(name("10.0.0.1"), no_name);
    assert_eq!(name("[::1]"), no_name);
    assert_eq!(name("a b"), no_name);
    let text = with(&|tls| tls.ca_file = Some(files.path("none")));
    assert!(
        text.starts_with(&format!("{prefix}ca_file {}: cannot be read (", files.path("none").display())),
        "{text}"
    );
    let text = with(&|tls| {
        tls.cert_file = Some(files.path("cert"));
        tls.key_file = Some(files.path("empty"));
    });
    let path = files.path("cert");
    assert!(
        text.starts_with(&format!("{prefix}cert_file {}: with its key_file is no identity", path.display())),
        "{text}"
    );
    assert!(!text.contains("BEGIN") && !text.contains("hidden"));
    assert!(peer.heads().is_empty());
}
