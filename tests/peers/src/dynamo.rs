//! Two servers that speak DynamoDB's protocol, by different people: moto, in Python, and dynalite, in JavaScript. Both keep
//! their tables in memory; neither checks signatures.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::{free_port, skipped};

pub struct Dynamo {
    port: u16,
    _process: Process,
}

impl Dynamo {
    pub const REGION: &str = "us-east-1";
    pub const ACCESS_KEY_ID: &str = "test-key";
    pub const SECRET_ACCESS_KEY: &str = "test-secret";

    /// Starts moto; `None` where it is not installed.
    pub async fn moto() -> Option<Self> {
        let port = free_port();
        let mut command = Command::new(Self::python()?);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        Some(Self::start("moto", port, &mut command).await)
    }

    /// Starts dynalite; `None` where it is not installed.
    pub async fn dynalite() -> Option<Self> {
        let Some(program) = beside("npm/node_modules/dynalite/cli.js") else {
            skipped("dynalite");
            return None;
        };
        let port = free_port();
        let mut command = Command::new("node");
        command.arg(program).args(["--host", "127.0.0.1", "--port", &port.to_string(), "--createTableMs", "0"]);
        Some(Self::start("dynalite", port, &mut command).await)
    }

    async fn start(what: &str, port: u16, command: &mut Command) -> Self {
        let mut process = Process::start(command);
        process
            .until(what, async || ask(port, "ListTables", "{}").await.is_some_and(|said| said.contains("200")))
            .await;
        Self { port, _process: process }
    }

    /// A Python that has moto and what the Visitor Board uses; `None` where it is not installed.
    pub fn python() -> Option<PathBuf> {
        let python = beside("bin/python");
        let has = |python: &PathBuf| {
            let ran = Command::new(python).args(["-c", "import boto3, flask, moto.server"]).output();
            ran.is_ok_and(|ran| ran.status.success())
        };
        let python = python.filter(has);
        if python.is_none() {
            skipped("moto");
        }
        python
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What boto3 reads, but for the table.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint()),
            ("AWS_DEFAULT_REGION", Self::REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET_ACCESS_KEY.to_owned()),
        ]
    }

    /// The document that an operation is answered with.
    pub async fn ask(&self, operation: &str, body: &str) -> String {
        let answer = ask(self.port, operation, body).await.expect("an answer");
        answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
    }
}

/// In the folder beside what was built, where `scripts/setup.sh` installs.
pub(crate) fn beside(path: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().map(|folder: &Path| folder.join("peers").join(path)).find(|path| path.exists())
}

async fn ask(port: u16, operation: &str, body: &str) -> Option<String> {
    let scope = format!("{}/20300101/{}/dynamodb/aws4_request", Dynamo::ACCESS_KEY_ID, Dynamo::REGION);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/x-amz-json-1.0\r\nx-amz-target: DynamoDB_20120810.{operation}\r\n\
         x-amz-date: 20300101T000000Z\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}
