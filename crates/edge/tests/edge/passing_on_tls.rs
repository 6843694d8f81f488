//! Other hosts that speak TLS.

use std::process::Command;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::dsl::{server, site};

/// A certificate of a server that vouches for nobody else.
const REQUEST: &str = "[req]\ndistinguished_name = name\nx509_extensions = extensions\n[name]\n[extensions]\n\
                       basicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
async fn a_host_has_to_prove_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let request = folder.path().join("request.cnf");
    std::fs::write(&request, REQUEST).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=origin", "-config"])
        .arg(&request)
        .arg("-out")
        .arg(&cert)
        .arg("-keyout")
        .arg(&key)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("SKIPPED a_host_has_to_prove_who_it_is: needs openssl");
        return;
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let own = vec![CertificateDer::from_pem_file(&cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(own, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(tls.read_u8().await.unwrap());
                }
                tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await.unwrap();
                tls.flush().await.unwrap();
            });
        }
    });
    // By a name that the certificate does not have, too.
    let lines = format!("/a https://127.0.0.1:{port}/ 200\n/b https://localhost:{port}/ 200\n");
    let allowed = ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}").parse().unwrap()).to_vec();
    let allow = allowed.clone();
    let trusting = server().app("shop", site().redirects(&lines)).configure(move |config| {
        config.proxy.allow.clone_from(&allow);
        config.proxy.ca_file = Some(cert.clone());
    });
    let trusting = trusting.start().await;
    assert_eq!(trusting.get("shop.localhost", "/a").await.short(), "200 secret");
    assert_eq!(trusting.get("shop.localhost", "/b").await.status, 502);
    let doubting = server().app("shop", site().redirects(&lines)).configure(move |config| {
        config.proxy.allow.clone_from(&allowed);
    });
    let doubting = doubting.start().await;
    assert_eq!(doubting.get("shop.localhost", "/a").await.status, 502, "nobody known vouches for it");
}
