//! SeaweedFS, an S3 server that checks signatures.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::{free_port, skipped};

const IDENTITIES: &str = r#"{"identities": [{"name": "test", "credentials": [
    {"accessKey": "test-key", "secretKey": "test-secret"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"#;

pub struct Seaweed {
    port: u16,
    filer: u16,
    folder: TempDir,
    _process: Process,
}

impl Seaweed {
    pub const ACCESS_KEY_ID: &str = "test-key";
    pub const SECRET_ACCESS_KEY: &str = "test-secret";
    pub const BUCKET: &str = "skylift";

    /// Starts one with a bucket; `None` where it is not installed.
    pub async fn start() -> Option<Self> {
        let Some(program) = program() else {
            skipped("SeaweedFS");
            return None;
        };
        let folder = TempDir::with_prefix("skylift-seaweed-").unwrap();
        let identities = folder.path().join("identities.json");
        std::fs::write(&identities, IDENTITIES).unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command
            .arg("server")
            .arg(format!("-dir={}", folder.path().display()))
            .arg("-ip=127.0.0.1")
            .arg("-ip.bind=127.0.0.1");
        command.args(["-filer", "-s3", "-volume.max=8", "-master.volumeSizeLimitMB=256", "-master.electionTimeout=1s"]);
        command.arg(format!("-s3.config={}", identities.display())).arg(format!("-s3.port={port}"));
        let filer = free_port();
        command.arg(format!("-filer.port={filer}")).arg(format!("-filer.port.grpc={}", free_port()));
        for part in ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "s3.port.grpc"] {
            command.arg(format!("-{part}={}", free_port()));
        }
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        let mut process = Process::start(command.current_dir(folder.path()));
        // Anonymous requests are refused, but only once it runs.
        process.until("SeaweedFS", async || says(port, "GET /", "403").await).await;
        let bucket = format!("POST /buckets/{}/", Self::BUCKET);
        process.until("SeaweedFS's filer", async || says(filer, &bucket, "201").await).await;
        let seaweed = Self { port, filer, folder, _process: process };
        Some(seaweed)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts other bytes in the place of an object's, or none, behind everybody's back.
    pub async fn damage(&self, key: &str, bytes: Option<Vec<u8>>) {
        let path = format!("/buckets/{}/{key}", Self::BUCKET);
        let gone = answer(self.filer, &format!("DELETE {path}"), &[]).await.unwrap_or_default();
        assert!(gone.starts_with("HTTP/1.1 204"), "{gone}");
        if let Some(bytes) = bytes {
            let put = answer(self.filer, &format!("PUT {path}"), &bytes).await.unwrap_or_default();
            assert!(put.starts_with("HTTP/1.1 201"), "{put}");
        }
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// Beside what was built, where `scripts/setup.sh` puts it.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let beside = own.ancestors().map(|folder| folder.join("peers/bin/weed")).find(|path| path.exists());
    beside.or_else(|| Command::new("weed").arg("version").output().is_ok().then(|| "weed".into()))
}

async fn says(port: u16, request: &str, status: &str) -> bool {
    answer(port, request, &[]).await.is_some_and(|answer| answer.starts_with(&format!("HTTP/1.1 {status}")))
}

async fn answer(port: u16, request: &str, body: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let length = body.len();
    let head =
        format!("{request} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}
