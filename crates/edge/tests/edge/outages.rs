//! What the edge needs is away: the truth about routes, or the object store.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use skylift_blob::{Blobs, S3Settings};
use skylift_model::Digest;
use skylift_peers::{FakeS3, Trouble};

use crate::dsl::{id, server, site};

async fn open(fake: &FakeS3, cache: &std::path::Path) -> Blobs {
    let settings = S3Settings {
        endpoint: fake.endpoint(),
        bucket: FakeS3::BUCKET.to_owned(),
        access_key_id: "key".into(),
        secret_access_key: "secret".to_owned().into(),
        attempts: 2,
        ..S3Settings::default()
    };
    Blobs::open_s3(settings, cache).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_object_store_what_was_fetched_is_served_and_the_rest_is_told_to_wait() {
    let fake = FakeS3::start().await;
    let (cache, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let large: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    // Sent by another process: this edge has none of it.
    let sent = open(&fake, other.path()).await;
    let files = site().file("index.html", "home").file("later.html", "later").file("large.bin", &large);
    files.store(&sent).await;
    let old = site().file("index.html", "old").store(&sent).await;
    let server = server().blobs(&open(&fake, cache.path()).await).app("hello", files).start().await;
    // What `start` itself sent is forgotten.
    std::fs::remove_dir_all(cache.path()).unwrap();
    let get = async |path: &str| server.get("hello.localhost", path).await;
    assert_eq!(get("/").await.short(), "200 home");
    assert!(get("/large.bin").await.body == large);

    for trouble in [Trouble::Reset, Trouble::Status(503, "SlowDown")] {
        fake.trouble("", &vec![trouble; 10_000]);
        for _ in 0..3 {
            assert_eq!(get("/").await.short(), "200 home");
            assert!(get("/large.bin").await.body == large);
            let away = get("/later").await;
            assert_eq!((away.status, away.header("retry-after")), (503, Some("5")), "{}", away.short());
            assert_eq!((away.header("cache-control"), away.header("etag")), (Some("no-store"), None));
        }
        // A whole site is out of reach in the same way.
        let routed = skylift_model::route::RoutedDeployment::new(id(9), old);
        let mut routes = server.source.routes(&crate::dsl::name("hello"));
        if routes.deployments.len() == 1 {
            routes.deployments.push(routed);
            routes.generation += 1;
            server.source.set(routes.clone());
            server.change(&routes).await;
        }
        assert_eq!(server.get(&format!("{}.localhost", id(9)), "/").await.status, 503);
        fake.recover();
    }
    assert_eq!(get("/later").await.short(), "200 later");
    assert_eq!(server.get(&format!("{}.localhost", id(9)), "/").await.short(), "200 old");
    // Damage is not an outage: it does not pass by itself.
    let artifact = site().file("index.html", "damaged").store(&sent).await;
    let routes = server
        .source
        .go_live(&crate::dsl::name("other"), skylift_model::route::RoutedDeployment::new(id(20), artifact));
    server.change(&routes).await;
    let name = Digest::of(b"damaged").to_string();
    fake.damage(&format!("sha256/{}/{name}", &name[..2]), |bytes| bytes[0] ^= 1);
    assert_eq!(server.get("other.localhost", "/").await.status, 502);
}

/// A request by a thread that knows nothing of the simulated clock.
fn status(address: SocketAddr) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: hello.localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    format!("{} {body}", &head[9..12])
}

#[tokio::test(start_paused = true)]
async fn without_the_truth_the_edge_serves_for_hours_and_takes_it_up_again_when_it_is_back() {
    let first = server().app("hello", site().file("index.html", "one")).start().await;
    let get = async |address: SocketAddr| tokio::task::spawn_blocking(move || status(address)).await.unwrap();
    assert_eq!(get(first.address).await, "200 one");
    first.source.fail(true);
    let asked = first.source.asked();
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(get(first.address).await, "200 one");
    }
    assert!(first.source.asked() - asked > 12 * 60, "it went on asking");

    // Even a new start does without: for hours.
    let (folder, source) = first.stop().await;
    let second = server().on(folder, source).start().await;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(get(second.address).await, "200 one");
    }
    let artifact = site().file("index.html", "two").store(&second.blobs).await;
    let two = skylift_model::route::RoutedDeployment::new(id(2), artifact);
    let routes = second.source.go_live(&crate::dsl::name("hello"), two);
    assert_eq!(get(second.address).await, "200 one", "control: nobody told it");
    second.source.fail(false);
    let within = tokio::time::Instant::now() + Duration::from_secs(60);
    while second.applied.generation(&routes.app) != Some(routes.generation) {
        assert!(tokio::time::Instant::now() < within, "found by itself within a minute");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(get(second.address).await, "200 two");
}
