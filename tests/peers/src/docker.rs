//! A real Docker engine of its own: no bridge, no firewall rules, no registry. Images are made from nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command as Client;

use crate::process::Process;
use crate::skipped;

/// The engine, where Debian puts it.
const DOCKERD: &str = "/usr/sbin/dockerd";

pub struct Docker {
    process: Option<Process>,
    folder: TempDir,
}

impl Docker {
    /// Starts one; `None` where that cannot be: not root, or not installed (`make peers` installs it).
    pub async fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new(DOCKERD).exists() {
            skipped("a Docker engine (docker.io, as root)");
            return None;
        }
        let mut docker = Self { process: None, folder: TempDir::with_prefix("skylift-docker-").unwrap() };
        docker.up().await;
        Some(docker)
    }

    /// Starts it, where it was stopped.
    pub async fn up(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new(DOCKERD);
        command.args(["--bridge=none", "--iptables=false", "--shutdown-timeout=1", "--log-level=error"]);
        for (option, below) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(option).arg(folder.join(below));
        }
        command.arg("--config-file").arg(self.write("daemon.json", "{}"));
        command.arg("-H").arg(format!("unix://{}", self.socket().display()));
        let mut process = Process::start(&mut command);
        process.until("dockerd", async || self.docker(&["version"]).await.is_some()).await;
        self.process = Some(process);
    }

    /// Stops it where it is: its containers go on, and it answers nobody.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it was started").signal(signal);
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// The settings of a platform that uses it.
    pub fn settings(&self) -> String {
        format!("[docker]\nsocket = \"{}\"\n", self.socket().display())
    }

    /// Runs Docker's own client; what it prints where it ends well.
    pub async fn docker(&self, arguments: &[&str]) -> Option<String> {
        let host = format!("unix://{}", self.socket().display());
        let ran = Client::new("/usr/bin/docker").args(["-H", &host]).args(arguments).output().await.ok()?;
        ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    }

    /// The ids of all containers, whatever they are doing.
    pub async fn containers(&self) -> Vec<String> {
        self.list(&["ps", "-aq", "--no-trunc"]).await
    }

    /// The names of all images that have one.
    pub async fn images(&self) -> Vec<String> {
        self.list(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).await
    }

    async fn list(&self, arguments: &[&str]) -> Vec<String> {
        let printed = self.docker(arguments).await.expect("the engine answers");
        printed.lines().map(str::to_owned).collect()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It ends its containers and containerd, which a killed one would leave.
            process.signal(Signal::TERM);
            // A frozen one would not hear it.
            process.signal(Signal::CONT);
            process.wait();
        }
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.stop();
        // Its mounts are gone with it, but for what a kernel lets go of late.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = self.folder.path().to_string_lossy().into_owned();
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|at| at.starts_with(&own)) {
            let _ = rustix::mount::unmount(mount, rustix::mount::UnmountFlags::DETACH);
        }
    }
}
