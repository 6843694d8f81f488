//! The program of the images, compiled once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use skylift_tests::folder::Folder;

/// A project with a Dockerfile, of an image that has nothing but the program.
pub(crate) fn image(lines: &str) -> Folder {
    let dockerfile = format!("FROM scratch\nCOPY server /server\n{lines}\n");
    Folder::new().file("Dockerfile", dockerfile).program("server", bytes())
}

/// The usual one.
pub(crate) fn server() -> Folder {
    image("CMD [\"/server\"]")
}

fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(compiled()).unwrap())
}

fn compiled() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker/server.rs");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (done, partial) = (folder.join("docker-server"), folder.join(format!("docker-server-{}", std::process::id())));
    let made_at = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if made_at(&done) < made_at(&source) {
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"]);
        let ran = rustc.arg(&partial).arg(&source).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        std::fs::rename(&partial, &done).unwrap();
    }
    done
}
