//! A client that speaks TLS and trusts one certificate, and that certificate.

use rcgen::{CertificateParams, KeyPair};
use tokio::runtime::{Builder, Runtime};

use super::USER;
use crate::support::{Page, Place};

/// Puts a new certificate of 127.0.0.1 with its key in place, each file at once, and gives a client that trusts no other.
pub fn certify(place: &Place) -> Client {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    for (name, text) in [("server.pem", certificate.pem()), ("server.key", key.serialize_pem())] {
        place.write("new", &text);
        std::fs::rename(place.path("new"), place.path(name)).unwrap();
    }
    // Fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let trusted = reqwest::Certificate::from_pem(certificate.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    // A thread of its own sees connections end between two requests.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    Client { client, runtime }
}

/// Asks over TLS, and over plain HTTP where the URL says so.
pub struct Client {
    client: reqwest::Client,
    runtime: Runtime,
}

impl Client {
    /// A page with that password of [`USER`], or why there is none.
    pub fn get(&self, url: &str, password: Option<&str>) -> Result<Page, String> {
        let page = self.runtime.block_on(page(&self.client, url, password));
        page.map_err(|error| format!("{error:?}"))
    }

    pub fn status(&self, url: &str, password: &str) -> Result<u16, String> {
        self.get(url, Some(password)).map(|page| page.status)
    }
}

async fn page(client: &reqwest::Client, url: &str, password: Option<&str>) -> reqwest::Result<Page> {
    let mut request = client.get(url);
    if let Some(password) = password {
        request = request.basic_auth(USER, Some(password));
    }
    let answer = request.send().await?;
    let mut head = format!("{:?} {}", answer.version(), answer.status());
    for (name, value) in answer.headers() {
        head += &format!("\r\n{name}: {}", value.to_str().unwrap());
    }
    Ok(Page { status: answer.status().as_u16(), head, body: answer.bytes().await?.into() })
}
