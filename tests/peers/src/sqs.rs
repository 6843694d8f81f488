//! Two servers that speak SQS's protocol, by different people: moto, in Python, and fauxqs, in JavaScript. Both keep their queues in
//! memory; neither checks signatures.

use std::path::PathBuf;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dynamo::{Dynamo, beside};
use crate::process::Process;
use crate::{free_port, skipped};

/// Listens here alone, which the program that comes with it does not.
const FAUXQS: &str = "
const { buildApp } = await import(process.argv[1]);
await buildApp({ logger: false, defaultRegion: process.argv[3] }).listen({ port: Number(process.argv[2]), host: '127.0.0.1' });
";

pub struct Sqs {
    port: u16,
    /// As it says that its queue is called.
    queue_url: String,
    program: Program,
    process: Option<Process>,
}

enum Program {
    /// The Python that has it.
    Moto(PathBuf),
    /// The module.
    Fauxqs(PathBuf),
}

impl Sqs {
    pub const REGION: &str = "us-east-1";
    pub const ACCESS_KEY_ID: &str = "test-key";
    pub const SECRET_ACCESS_KEY: &str = "test-secret";
    const QUEUE: &str = "runs";

    /// Starts moto with a queue; `None` where it is not installed.
    pub async fn moto() -> Option<Self> {
        Some(Self::start(Program::Moto(Dynamo::python()?)).await)
    }

    /// Starts fauxqs with a queue; `None` where it is not installed.
    pub async fn fauxqs() -> Option<Self> {
        let Some(module) = beside("npm/node_modules/fauxqs/dist/app.js") else {
            skipped("fauxqs");
            return None;
        };
        Some(Self::start(Program::Fauxqs(module)).await)
    }

    async fn start(program: Program) -> Self {
        let mut sqs = Self { port: free_port(), queue_url: String::new(), program, process: None };
        sqs.run().await;
        sqs
    }

    /// Starts it again, with an empty queue, where it was killed.
    pub async fn run(&mut self) {
        let port = self.port;
        let mut command = match &self.program {
            Program::Moto(python) => {
                let mut command = Command::new(python);
                command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
                command
            }
            Program::Fauxqs(module) => {
                let mut command = Command::new("node");
                command.args(["--input-type=module", "-e", FAUXQS]).arg(module);
                command.args([&port.to_string(), Self::REGION]);
                command
            }
        };
        let mut process = Process::start(&mut command);
        let create = format!(r#"{{"QueueName": "{}"}}"#, Self::QUEUE);
        process.until("the SQS", async || queue_url(port, &create).await.is_some()).await;
        self.queue_url = queue_url(port, &create).await.expect("it has a queue");
        self.process = Some(process);
    }

    /// Whether it is moto, which takes its time, the more so the more ask at once.
    pub fn is_moto(&self) -> bool {
        matches!(self.program, Program::Moto(_))
    }

    /// What the queue is called; not where it is reached.
    pub fn queue_url(&self) -> String {
        self.queue_url.clone()
    }

    /// Where it is reached.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it; what it knew is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Removes every message.
    pub async fn purge(&self) {
        let body = format!(r#"{{"QueueUrl": "{}"}}"#, self.queue_url());
        let answer = ask(self.port, "PurgeQueue", &body).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

async fn queue_url(port: u16, create: &str) -> Option<String> {
    let answer = ask(port, "CreateQueue", create).await?;
    let url = answer.split_once("QueueUrl")?.1.split_once(':')?.1.split('"').nth(1)?;
    Some(url.to_owned())
}

async fn ask(port: u16, operation: &str, body: &str) -> Option<String> {
    let scope = format!("{}/20300101/{}/sqs/aws4_request", Sqs::ACCESS_KEY_ID, Sqs::REGION);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/x-amz-json-1.0\r\nx-amz-target: AmazonSQS.{operation}\r\n\
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
