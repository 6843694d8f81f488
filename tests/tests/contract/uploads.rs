//! Blobs: only what was announced is taken, and nothing is acknowledged that is not what it claims to be.

use serde_json::json;
use skylift_model::Digest;
use skylift_tests::{Platform, Request, Response};

async fn put(platform: &Platform, upload: &str, digest: Digest, bytes: &[u8]) -> Response {
    platform.api(Request::new("PUT", &format!("/v1/uploads/{upload}/blobs/{digest}")).body(bytes)).await
}

async fn bundle(platform: &Platform, upload: &str, blobs: &[&[u8]]) -> Response {
    let mut body = Vec::new();
    for blob in blobs {
        body.extend(u32::try_from(blob.len()).unwrap().to_be_bytes());
        body.extend(*blob);
    }
    platform.api(Request::post(&format!("/v1/uploads/{upload}/blobs")).body(body)).await
}

/// Opens an upload of one file with those contents; its id.
async fn open(platform: &Platform, text: &[u8]) -> String {
    let files = json!([{ "path": "a", "sha256": Digest::of(text).to_string(), "size": text.len(), "mode": "100644" }]);
    let app = platform.existing("sent");
    let opened = app.api("POST", "/uploads", Some(&json!({ "files": files }))).await;
    opened.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn bytes_that_are_not_what_they_claim_are_never_acknowledged() {
    let platform = Platform::start().await;
    platform.app("sent").await;
    let (upload, digest) = (open(&platform, b"right").await, Digest::of(b"right"));
    put(&platform, &upload, digest, b"wrong").await.is_error(422, "invalid");
    assert_eq!(put(&platform, &upload, digest, b"right").await.status, 204);
    // Here already: the repetition is checked all the same.
    assert_eq!(put(&platform, &upload, digest, b"right").await.status, 204);
    put(&platform, &upload, digest, b"wrong").await.is_error(422, "invalid");
    // Not in the list: whatever it is, nobody waits for it.
    put(&platform, &upload, Digest::of(b"stray"), b"stray").await.is_error(422, "invalid");
    put(&platform, &upload, Digest::of(b"stray"), b"other").await.is_error(422, "invalid");
}

#[tokio::test]
async fn a_bundle_with_a_stray_blob_is_refused_whole() {
    let platform = Platform::start().await;
    platform.app("sent").await;
    let upload = open(&platform, b"right").await;
    bundle(&platform, &upload, &[b"right", b"stray"]).await.is_error(422, "invalid");
    let deploy = json!({ "upload": upload });
    let app = platform.existing("sent");
    app.api("POST", "/deployments", Some(&deploy)).await.is_error(409, "conflict");
    assert_eq!(bundle(&platform, &upload, &[b"right"]).await.status, 204, "control");
    assert_eq!(bundle(&platform, &upload, &[b"right"]).await.status, 204, "again");
    assert_eq!(app.api("POST", "/deployments", Some(&deploy)).await.status, 202);
}
