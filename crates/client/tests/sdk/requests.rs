//! One request each, uploads, and what happens when connections fail.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use http::Method;
use skylift_client::upload::{OnSent, UploadProgress};
use skylift_client::{ArchiveKind, Client, ClientError, Folder, upload};
use skylift_model::wire::{Code, EnvChange};
use skylift_model::{AppName, DeploymentState, Digest};

use crate::fake::{Fake, TOKEN};

fn client(fake: &Fake) -> Client {
    Client::new(fake.url().parse().unwrap(), Some(TOKEN)).unwrap()
}

fn app() -> AppName {
    "hello".parse().unwrap()
}

fn folder(root: &Path) -> Folder {
    Folder::read(root, None, SystemTime::now(), &()).unwrap()
}

/// Counts what an upload tells.
#[derive(Default)]
struct Told {
    missing: Mutex<Vec<(u64, u64)>>,
    sent: Arc<AtomicU64>,
}

impl UploadProgress for Told {
    fn missing(&self, files: u64, bytes: u64) {
        self.missing.lock().unwrap().push((files, bytes));
    }

    fn sent(&self) -> OnSent {
        let sent = Arc::clone(&self.sent);
        Arc::new(move |count| {
            sent.fetch_add(count, Ordering::Relaxed);
        })
    }

    fn file_done(&self) {}
}

#[tokio::test]
async fn only_what_the_app_never_sent_travels() {
    let fake = Fake::start();
    fake.create_app("hello");
    let root = tempfile::tempdir().unwrap();
    let large = vec![7; 1 << 20];
    fs::write(root.path().join("large"), &large).unwrap();
    for number in 0..50 {
        fs::write(root.path().join(number.to_string()), number.to_string()).unwrap();
    }
    let (client, told) = (client(&fake), Told::default());
    upload::send(&client, &app(), &folder(root.path()), &told).await.unwrap();
    assert_eq!(fake.seen(Method::PUT, "/v1/uploads/*/blobs/*").len(), 1, "the large file alone");
    assert_eq!(fake.seen(Method::POST, "/v1/uploads/*/blobs").len(), 1, "the small ones together");
    assert_eq!(told.sent.load(Ordering::Relaxed), folder(root.path()).bytes());

    fs::write(root.path().join("7"), "changed").unwrap();
    let id = upload::send(&client, &app(), &folder(root.path()), &told).await.unwrap();
    let deployment = client.deploy_upload(&app(), &id, Some("sub")).await.unwrap();

    let sent = fake.seen(Method::PUT, "/v1/uploads/*/blobs/*").split_off(1);
    assert_eq!(sent.len(), 1);
    assert_eq!(&sent[0].body[..], b"changed");
    assert_eq!(told.missing.lock().unwrap().last(), Some(&(1, 7)));
    assert_eq!(deployment.state, DeploymentState::Queued);
    let asked = fake.seen(Method::POST, "/v1/apps/hello/deployments")[0].json();
    assert_eq!(asked, serde_json::json!({ "upload": id, "dir": "sub" }));
}

#[tokio::test]
async fn an_upload_whose_connections_keep_breaking_asks_again_what_is_missing() {
    let fake = Fake::start();
    fake.create_app("hello");
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "a").unwrap();
    fake.state().script.drops = Some(("/blobs/", 3));

    upload::send(&client(&fake), &app(), &folder(root.path()), &Told::default()).await.unwrap();

    assert_eq!(fake.seen(Method::POST, "/v1/apps/hello/uploads").len(), 2);
    assert_eq!(fake.seen(Method::PUT, "/v1/uploads/*/blobs/*").len(), 4);
}

#[tokio::test]
async fn a_file_that_changes_after_it_was_hashed_is_not_sent_as_if_it_had_not() {
    for size in [10, 1 << 20] {
        let fake = Fake::start();
        fake.create_app("hello");
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a");
        fs::write(&file, vec![1; size]).unwrap();
        let hashed = folder(root.path());
        fs::write(&file, vec![1; size - 1]).unwrap();
        let error = upload::send(&client(&fake), &app(), &hashed, &Told::default()).await.unwrap_err();
        assert!(matches!(&error, ClientError::FileChanged { path } if path.ends_with("a")), "{size}: {error:?}");
    }
}

#[tokio::test]
async fn a_repeated_mutation_is_the_same_request_to_the_server() {
    let fake = Fake::start();
    fake.state().script.drops = Some(("/v1/apps", 2));

    client(&fake).create_app(&app()).await.unwrap();
    client(&fake).change_env(&app(), &EnvChange::default()).await.unwrap();

    let made = fake.seen(Method::POST, "/v1/apps");
    let keys: Vec<_> = made.iter().map(|seen| seen.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0] && key.len() == 32), "{keys:?}");
    let other = fake.seen(Method::PATCH, "/v1/apps/hello/env");
    assert_ne!(other[0].header("idempotency-key"), Some(keys[0]));
}

#[tokio::test]
async fn reading_carries_no_key_and_gives_up_after_three_attempts() {
    let fake = Fake::start();
    fake.state().script.drops = Some(("/v1/apps", 9));
    let error = client(&fake).apps().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    let asked = fake.seen(Method::GET, "/v1/apps");
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].header("idempotency-key"), None);
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_asked_again() {
    for status in [429, 503] {
        let fake = Fake::start();
        fake.state().script.busy = Some(("/v1/apps", 2, status, "0"));
        client(&fake).create_app(&app()).await.unwrap();
        let asked = fake.seen(Method::POST, "/v1/apps");
        let key = |at: usize| asked[at].header("idempotency-key");
        assert_eq!((asked.len(), key(0)), (3, key(2)), "one request, to the server");
    }
    let fake = Fake::start();
    fake.state().script.busy = Some(("/v1/apps", 9, 503, "3600"));
    let error = client(&fake).create_app(&app()).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Unavailable), "nobody waits for an hour");
    assert!(matches!(error, ClientError::Api { body, .. } if body.retry_after_s == Some(3600)), "but is told");
    assert_eq!(fake.seen(Method::POST, "/v1/apps").len(), 1);
}

#[tokio::test]
async fn a_server_without_tls_is_not_taken_for_no_server() {
    let fake = Fake::start();
    let url = fake.url().replace("http://", "https://");
    let Ok(client) = Client::new(url.parse().unwrap(), Some(TOKEN)) else { return };
    let error = client.apps().await.unwrap_err();
    assert!(matches!(error, ClientError::NoTls { .. }), "{error:?}");
}

#[tokio::test]
async fn an_archive_is_streamed_with_its_type_length_and_folder() {
    let fake = Fake::start();
    fake.create_app("hello");
    let root = tempfile::tempdir().unwrap();
    let archive = root.path().join("site.tar.gz");
    fs::write(&archive, vec![3; 300_000]).unwrap();
    let told = Told::default();

    client(&fake).deploy_archive(&app(), &archive, ArchiveKind::TarGzip, Some("a b"), told.sent()).await.unwrap();

    let seen = &fake.seen(Method::POST, "/v1/apps/hello/deployments")[0];
    assert_eq!(seen.header("content-type"), Some("application/gzip"));
    assert_eq!(seen.header("content-length"), Some("300000"));
    assert!(seen.path.ends_with("?dir=a%20b"), "{}", seen.path);
    assert_eq!(Digest::of(&seen.body), Digest::of(&[3; 300_000]));
    assert_eq!(told.sent.load(Ordering::Relaxed), 300_000);
}

#[tokio::test]
async fn errors_are_told_apart() {
    let fake = Fake::start();
    let missing = client(&fake).app(&app()).await.unwrap_err();
    assert!(missing.is_not_found());
    assert_eq!(missing.to_string(), "there is no such app");

    let stranger = Client::new(fake.url().parse().unwrap(), Some("wrong")).unwrap();
    assert_eq!(stranger.apps().await.unwrap_err().code(), Some(Code::Unauthorized));

    fake.state().script.says = Some(("/v1/status", 200, "<html>".to_owned()));
    assert!(matches!(client(&fake).status().await, Err(ClientError::Protocol { .. })));
    fake.state().script.says = Some(("/v1/status", 404, "not here".to_owned()));
    assert!(matches!(client(&fake).status().await, Err(ClientError::Protocol { .. })));
    fake.state().script.says = Some(("/v1/status", 502, "gateway".to_owned()));
    assert!(client(&fake).status().await.unwrap_err().is_connection());

    let nobody = Client::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    assert!(matches!(nobody.apps().await, Err(ClientError::Unreachable { .. })));
    assert!(matches!(Client::new(fake.url().parse().unwrap(), Some("a b\n c")), Err(ClientError::InvalidToken)));
}

#[tokio::test]
async fn every_name_below_localhost_is_this_machine() {
    let fake = Fake::start();
    let url = format!("http://some.app.localhost:{}", fake.address.port());
    Client::new(url.parse().unwrap(), Some(TOKEN)).unwrap().apps().await.unwrap();
    let host = format!("some.app.localhost:{}", fake.address.port());
    assert_eq!(fake.seen(Method::GET, "/v1/apps")[0].header("host"), Some(&*host));
}
