//! A real Redis that keeps nothing on disk.

use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::{free_port, skipped};

const REQUEST: &str = "[req]
distinguished_name = name
x509_extensions = extensions
[name]
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
";

pub struct Redis {
    port: u16,
    folder: TempDir,
    password: Option<String>,
    /// Where it speaks TLS as well.
    tls_port: Option<u16>,
    /// Whether it writes what it knows to a file.
    keeps: bool,
    process: Option<Process>,
}

impl Redis {
    /// Starts one; `None` where Redis is not installed.
    pub async fn start() -> Option<Self> {
        Self::with_password(None).await
    }

    /// Starts one that wants a password.
    pub async fn with_password(password: Option<&str>) -> Option<Self> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            skipped("redis-server");
            return None;
        }
        let folder = TempDir::with_prefix("skylift-redis-").unwrap();
        let password = password.map(str::to_owned);
        let mut redis = Self { port: free_port(), folder, password, tls_port: None, keeps: false, process: None };
        redis.run().await;
        Some(redis)
    }

    /// Starts one that speaks TLS, with a certificate for `localhost` and 127.0.0.1 that is its own authority.
    pub async fn with_tls() -> Option<Self> {
        let mut redis = Self::start().await?;
        std::fs::write(redis.folder.path().join("request.cnf"), REQUEST).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ]);
        openssl.args([
            "-config",
            "request.cnf",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
        ]);
        openssl.current_dir(redis.folder.path());
        if !openssl.output().is_ok_and(|ran| ran.status.success()) {
            skipped("openssl");
            return None;
        }
        redis.kill();
        redis.tls_port = Some(free_port());
        redis.run().await;
        Some(redis)
    }

    /// Starts one that writes what it knows to a file, and reads it when it starts.
    pub async fn that_keeps() -> Option<Self> {
        let mut redis = Self::start().await?;
        redis.kill();
        redis.keeps = true;
        redis.run().await;
        Some(redis)
    }

    /// Cuts the end off the file of one that keeps what it knows; how many bytes are left.
    pub fn cut_file(&self) -> usize {
        let folder = self.folder.path().join("appendonlydir");
        let folder = if folder.is_dir() { folder } else { self.folder.path().to_owned() };
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "aof")).collect();
        files.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
        let last = files.pop().expect("it has written");
        let mut bytes = std::fs::read(&last).unwrap();
        bytes.truncate(bytes.len().saturating_sub(20));
        std::fs::write(last, &bytes).unwrap();
        bytes.len()
    }

    /// The certificate of one that speaks TLS.
    pub fn certificate(&self) -> std::path::PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The address at which it speaks TLS.
    pub fn tls_url(&self, host: &str) -> String {
        format!("rediss://{host}:{}", self.tls_port.expect("it speaks TLS"))
    }

    /// Starts it again, empty, where it was killed.
    pub async fn run(&mut self) {
        let mut command = Command::new("redis-server");
        let keeps = if self.keeps { "yes" } else { "no" };
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", keeps, "--appendfsync", "always"]);
        command.args(["--port", &self.port.to_string()]).arg("--dir").arg(self.folder.path());
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        if let Some(tls_port) = self.tls_port {
            command.args(["--tls-port", &tls_port.to_string(), "--tls-auth-clients", "no"]);
            command.args(["--tls-cert-file", "certificate.pem", "--tls-key-file", "key.pem"]);
            command.args(["--tls-ca-cert-file", "certificate.pem"]).current_dir(self.folder.path());
        }
        let mut process = Process::start(&mut command);
        let port = self.port;
        process.until("redis-server", async || ping(port).await.is_some()).await;
        self.process = Some(process);
    }

    /// Kills it; what it knew is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it in its tracks: connections stay, nothing answers.
    pub fn freeze(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::CONT);
    }

    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Sends one command in its inline form; what comes back, as it comes.
    pub async fn command(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let auth = self.password.as_ref().map_or(String::new(), |password| format!("AUTH {password}\r\n"));
        stream.write_all(format!("{auth}{line}\r\nQUIT\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

async fn ping(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(b"PING\r\n").await.ok()?;
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.ok()?;
    Some(())
}
