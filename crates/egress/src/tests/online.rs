//! One visit to the internet, where there is one: the package registry this machine's npm is set up for.

use std::io::Write;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Gateway, Policy, Sockets};

/// The registry's host and port.
fn registry() -> Option<(String, u16)> {
    let output = Command::new("npm").args(["config", "get", "registry"]).output().ok()?;
    let url = String::from_utf8(output.stdout).ok()?;
    let rest = url.trim().strip_prefix("https://")?;
    let authority = rest.split('/').next()?;
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((authority.to_owned(), 443)),
    }
}

#[tokio::test]
#[ignore = "needs the internet and npm"]
async fn the_package_registry_is_reached_through_the_real_gateway() {
    let Some((host, port)) = registry() else {
        writeln!(std::io::stderr(), "SKIPPED: npm names no registry").unwrap();
        return;
    };
    let connect = TcpListener::bind("127.0.0.1:0").await.unwrap().into_std().unwrap();
    let proxy = connect.local_addr().unwrap();
    let policy = Policy { ports: vec![port], ..Policy::default() };
    let gateway = Gateway::start(
        policy,
        Sockets { connect, tcp: Vec::new(), passages: Vec::new(), dns: Vec::new() },
        std::sync::Arc::default(),
        |refusal| {
            writeln!(std::io::stderr(), "{refusal}").unwrap();
        },
    )
    .unwrap();
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    assert_eq!(gateway.counters().refused, 0);
}
