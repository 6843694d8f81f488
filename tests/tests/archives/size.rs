//! Archives that are too much (threats 1 and 5).

use std::time::{Duration, Instant};

use skylift_tests::archive::{Tar, bomb};
use skylift_tests::{App, Platform, Request, Response, process, site};

/// A body in chunks, without its length being announced.
async fn post_chunked(app: &App<'_>, bytes: &[u8]) -> Response {
    let mut body = Vec::new();
    for chunk in bytes.chunks(64 << 10) {
        body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let target = format!("/v1/apps/{}/deployments", app.name);
    app.platform.api(Request::post(&target).header("transfer-encoding", "chunked").body(body)).await
}

/// Bytes that no compression makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut random = skylift_tests::random::Random::seeded();
    (0..bytes).map(|_| u8::try_from(random.below(256)).unwrap()).collect()
}

#[tokio::test]
async fn an_archive_over_the_limit_is_refused_with_and_without_its_length() {
    let platform = Platform::configured("[upload]\narchive_bytes_max = 1000000").await;
    let app = platform.app("large").await;
    let large = Tar::new().file("index.html", "x").file("noise", noise(1_200_000)).gzip();
    app.post_archive(large.clone()).await.is_error(413, "too_large");
    post_chunked(&app, &large).await.is_error(413, "too_large");
    let announced = Request::post("/v1/apps/large/deployments").announcing(6 << 30);
    platform.api(announced).await.is_error(413, "too_large");
    assert!(app.deployments().await.is_empty());

    let small = Tar::new().file("index.html", "x").file("noise", noise(800_000)).gzip();
    assert_eq!(post_chunked(&app, &small).await.status, 202, "control: below the limit");
    assert_eq!(app.post_archive(small).await.status, 202, "control: below the limit");
}

#[tokio::test]
async fn a_huge_archive_costs_no_memory_and_leaves_no_file() {
    let platform = Platform::configured("[upload]\narchive_bytes_max = 67108864").await;
    let app = platform.app("huge").await;
    let noise = noise(1 << 20).repeat(192);
    let huge = Tar::new().file("index.html", "x").file("noise", &noise).bytes();
    let status = platform.client().status().await.unwrap();
    let before = process::peak_memory_bytes(platform.pid());
    app.post_archive(huge.clone()).await.is_error(413, "too_large");
    post_chunked(&app, &huge).await.is_error(413, "too_large");
    let grown = process::peak_memory_bytes(platform.pid()) - before;
    assert!(grown < 32 << 20, "{grown} bytes more of memory for 192 MiB twice");
    assert_eq!(platform.client().status().await.unwrap().disk.used_bytes, status.disk.used_bytes);
    // The control: below the limit the bytes do pass.
    let below = Tar::new().file("index.html", "x").file("noise", &noise[..48 << 20]).bytes();
    assert_eq!(post_chunked(&app, &below).await.status, 202);
    let grown = process::peak_memory_bytes(platform.pid()) - before;
    assert!(grown < 32 << 20, "{grown} bytes more of memory for 48 MiB that are taken");
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_before_it_is_sent() {
    let platform = Platform::configured("[upload]\nfile_bytes_max = 1000\nsource_bytes_max = 3000").await;
    let app = platform.app("files").await;
    let one = app.cli_deploy(&site("x").file("large", "a".repeat(1001)), &[]).await.ends_with(5);
    assert!(one.stderr.contains("`large` is larger than 1000 bytes"), "{}", one.stderr);
    let folder = site("x");
    for number in 0..4 {
        folder.write(&number.to_string(), format!("{number}").repeat(900));
    }
    app.cli_deploy(&folder, &[]).await.ends_with(5);
    assert!(app.deployments().await.is_empty());
    app.deploy(&site("x").file("fits", "a".repeat(1000))).await;
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_limit_and_costs_little() {
    let platform = Platform::configured("[upload]\nsource_bytes_max = 268435456\nfile_bytes_max = 268435456").await;
    let app = platform.app("bomb").await;
    app.deploy(&site("unharmed")).await;
    let bytes = bomb(5);
    assert!(bytes.len() < 8 << 20, "{} bytes stand for 5 GiB", bytes.len());
    let used = platform.client().status().await.unwrap().disk.used_bytes;

    let began = Instant::now();
    app.post_archive(bytes).await.is_error(413, "too_large");
    let took = began.elapsed();

    assert!(took < Duration::from_secs(10), "{took:?}");
    let status = platform.client().status().await.unwrap();
    assert!(status.memory.resident_bytes < 256 << 20, "{} bytes", status.memory.resident_bytes);
    assert_eq!(status.disk.used_bytes, used, "nothing of it stays");
    assert_eq!(app.deployments().await.len(), 1);
    assert_eq!(app.get("/").await.brief(), "200 unharmed");
}

#[tokio::test]
async fn more_files_than_the_limit_are_refused() {
    let platform = Platform::start().await;
    let app = platform.app("many").await;
    let mut tar = Tar::new().file("index.html", "x");
    for number in 0..120_000 {
        tar = tar.file(&number.to_string(), "");
    }
    app.post_archive(tar.gzip()).await.is_error(413, "too_large");
    assert!(app.deployments().await.is_empty());
}
