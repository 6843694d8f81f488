//! A real Git remote: bare repositories behind Git's own `http-backend`, on loopback.

pub mod hostile;
pub mod pack;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::folder::Folder;

/// A server of repositories; it ends when it is dropped.
pub struct Remote {
    root: TempDir,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Remote {
    /// Starts a server without repositories.
    pub async fn start() -> Self {
        let root = TempDir::with_prefix("skylift-remote-").unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = root.path().to_owned();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, folder.clone()));
            }
        });
        Self { root, address, serving }
    }

    /// The settings that let a platform clone from here.
    pub fn settings(&self) -> String {
        settings_for(self.address, "")
    }

    /// Where a repository is.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.address)
    }

    /// Commits a folder as it is to a repository, made where it does not exist; returns the commit's hash.
    pub async fn push(&self, name: &str, branch: &str, folder: &Folder, message: &str) -> String {
        self.push_as(name, branch, folder, message, "sha1").await
    }

    /// Like [`Self::push`], where the repository is made with objects named in that format.
    pub async fn push_as(&self, name: &str, branch: &str, folder: &Folder, message: &str, format: &str) -> String {
        let repository = self.root.path().join(format!("{name}.git"));
        if !repository.exists() {
            self.git(&[
                "init",
                "--quiet",
                "--bare",
                &format!("--object-format={format}"),
                "-b",
                branch,
                repository.to_str().unwrap(),
            ])
            .await;
        }
        let directory = format!("--git-dir={}", repository.display());
        let tree = format!("--work-tree={}", folder.path().display());
        let at = ["-c", "core.bare=false", directory.as_str(), tree.as_str()];
        let in_repository = async |arguments: &[&str]| self.git(&[&at, arguments].concat()).await;
        in_repository(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]).await;
        in_repository(&["add", "--all"]).await;
        in_repository(&["commit", "--quiet", "--allow-empty", "-m", message]).await;
        in_repository(&["rev-parse", "HEAD"]).await.trim().to_owned()
    }

    /// Runs Git in a repository.
    pub async fn git_in(&self, name: &str, arguments: &[&str]) -> String {
        let directory = format!("--git-dir={}", self.root.path().join(format!("{name}.git")).display());
        self.git(&[&[directory.as_str()], arguments].concat()).await
    }

    async fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).env("HOME", self.root.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ada Example").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
        }
        let ran = command.output().await.unwrap();
        assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }
}

/// The settings that let a platform clone from an address on loopback, and `more` of `[build.git]`.
fn settings_for(address: SocketAddr, more: &str) -> String {
    format!("[build.egress]\nallow = [\"{address}\"]\n[build.git]\nallow_insecure_hosts = [\"127.0.0.1\"]\n{more}\n")
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One request, given to `git http-backend` as a web server would (RFC 3875).
async fn answer(stream: TcpStream, root: PathBuf) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let request = line(&mut stream).await?;
    let mut words = request.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = backend(&root, method, path, query);
    let mut length = 0;
    loop {
        let header = line(&mut stream).await?;
        let Some((name, value)) = header.split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "content-type" => drop(backend.env("CONTENT_TYPE", value)),
            "content-encoding" => drop(backend.env("HTTP_CONTENT_ENCODING", value)),
            "git-protocol" => drop(backend.env("GIT_PROTOCOL", value)),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let mut child = backend.env("CONTENT_LENGTH", length.to_string()).spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    let sending = async {
        let _ = stdin.write_all(&body).await;
        drop(stdin);
    };
    let (_, output) = tokio::join!(sending, child.wait_with_output());
    let output = output.ok()?.stdout;
    let status =
        output.strip_prefix(b"Status: ").map_or(&b"200 OK"[..], |rest| rest.split(|b| *b == b'\r').next().unwrap());
    let head = [b"HTTP/1.1 ", status, b"\r\nConnection: close\r\n"].concat();
    stream.write_all(&head).await.ok()?;
    stream.write_all(&output).await.ok()?;
    stream.shutdown().await.ok()
}

fn backend(root: &Path, method: &str, path: &str, query: &str) -> Command {
    let mut backend = Command::new("git");
    backend.arg("http-backend").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    backend.env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1").env("HOME", root);
    backend.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    backend
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    Some(line.trim_end().to_owned())
}
