//! Damaged bytes are served from nowhere.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use skylift_model::Digest;

use crate::dsl::{Server, server, site};

/// Larger than what goes through memory.
fn large() -> Vec<u8> {
    (0..700_000_u32).map(|n| (n % 253) as u8).collect()
}

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

async fn start() -> Server {
    server()
        .app("hello", site().file("index.html", "hi").file("small.txt", "small").file("large.bin", large()))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_never_served() {
    for (path, bytes) in [("/small.txt", b"small".to_vec()), ("/large.bin", large())] {
        let server = start().await;
        let file = server.blob_file(&Digest::of(&bytes));
        damage(&file, |bytes| *bytes.last_mut().unwrap() ^= 1);
        // The damage is real, and a reader that does not check would pass it on.
        let unchecked = std::fs::read(&file).unwrap();
        assert!(unchecked != bytes && unchecked.len() == bytes.len());

        for headers in [&[][..], &[("range", "bytes=0-1")][..]] {
            let answer = server.get_with("hello.localhost", path, headers).await;
            assert_eq!(answer.status, 502, "{path}");
            assert!(answer.text().contains("cannot be read"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("etag"), None);
        }
        assert_eq!(server.get("hello.localhost", "/").await.short(), "200 hi", "the rest goes on");

        damage(&file, |bytes| *bytes.last_mut().unwrap() ^= 1);
        assert!(server.get("hello.localhost", path).await.body == bytes, "repaired");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_that_was_fine_is_checked_again_when_it_was_touched() {
    let server = start().await;
    let bytes = large();
    assert!(server.get("hello.localhost", "/large.bin").await.body == bytes);
    damage(&server.blob_file(&Digest::of(&bytes)), |bytes| bytes[1000] ^= 4);
    assert_eq!(server.get("hello.localhost", "/large.bin").await.status, 502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_cut_and_swapped_blobs_are_never_served() {
    for (path, bytes) in [("/small.txt", b"small".to_vec()), ("/large.bin", large())] {
        let server = start().await;
        let file = server.blob_file(&Digest::of(&bytes));
        damage(&file, |bytes| bytes.truncate(bytes.len() / 2));
        assert_eq!(server.get("hello.localhost", path).await.status, 502, "{path} cut");
        damage(&file, |bytes| *bytes = b"something else entirely".to_vec());
        assert_eq!(server.get("hello.localhost", path).await.status, 502, "{path} swapped");
        damage(&file, |bytes| bytes.resize(2_000_000, 0));
        assert_eq!(server.get("hello.localhost", path).await.status, 502, "{path} grown");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(server.get("hello.localhost", path).await.status, 502, "{path} lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_manifest_is_never_served_from() {
    let server = start().await;
    let old = server.source.routes(&crate::dsl::name("hello"));
    server.deploy("hello", 2, site().file("index.html", "two")).await;
    // The first deployment is not live any more, so its manifest is read when it is asked for.
    damage(&server.blob_file(&old.deployments[0].artifact), |bytes| {
        let at = bytes.windows(5).position(|five| five == b"small").unwrap();
        bytes[at] = b'S';
    });
    let restarted = {
        let (folder, source) = server.stop().await;
        crate::dsl::server().on(folder, source).start().await
    };
    let host = format!("{}.localhost", crate::dsl::id(1));
    assert_eq!(restarted.get(&host, "/").await.status, 502);
    assert_eq!(restarted.get("hello.localhost", "/").await.short(), "200 two");
}

/// Whoever got to write there could not have another file served (threat 54): what is behind a name is checked, whatever it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_became_a_link_is_never_followed_to_other_bytes() {
    for (path, bytes) in [("/small.txt", b"small".to_vec()), ("/large.bin", large())] {
        let server = start().await;
        let file = server.blob_file(&Digest::of(&bytes));
        // Of the same length: nothing but its bytes tells it apart. Once before it was ever read, and once while it is served.
        let secret = server.folder.path().join("secret");
        std::fs::write(&secret, vec![b'!'; bytes.len()]).unwrap();
        let aside = file.with_extension("aside");
        let is_served = async |what: &str| {
            let answer = server.get("hello.localhost", path).await;
            assert!(answer.body == bytes, "{path} {what}: {}", answer.status);
        };
        for target in [secret.as_path(), Path::new("/etc/passwd"), Path::new("/nowhere"), server.folder.path()] {
            std::fs::rename(&file, &aside).unwrap();
            std::os::unix::fs::symlink(target, &file).unwrap();
            for range in [&[][..], &[("range", "bytes=0-3")][..]] {
                let answer = server.get_with("hello.localhost", path, range).await;
                // Small ones may be in memory by then: the right bytes are right.
                let right = answer.status < 300 && bytes.starts_with(&answer.body);
                assert!(right || matches!(answer.status, 404 | 502), "{path} → {target:?}: {}", answer.status);
                let told = String::from_utf8_lossy(&answer.body);
                assert!(!told.contains("!!!!") && !told.contains("root:x:"), "{path} → {target:?}: {}", answer.short());
            }
            std::fs::remove_file(&file).unwrap();
            std::fs::rename(&aside, &file).unwrap();
            is_served("repaired").await;
        }
        // The control: a reader that follows the link and looks at the length alone.
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&secret, &file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), vec![b'!'; bytes.len()]);
    }
}
