//! One process of the platform: the real executable.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::executable;
use crate::wait::PATIENCE;

/// A process of the platform, running or not. Killed when it is dropped.
pub struct Server {
    /// What it is asked to do, such as `up`, or `serve --roles edge`.
    pub(crate) words: Vec<String>,
    pub(crate) data: PathBuf,
    pub(crate) config: PathBuf,
    /// The executable, where it is not the usual one.
    pub(crate) executable: Option<PathBuf>,
    /// What goes before the command.
    pub(crate) before: Vec<String>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) child: Option<Child>,
    /// When the process started, in ticks since boot: with its id it names one process for ever.
    pub(crate) began: Option<u64>,
}

impl Server {
    /// One that has not been started, in no place of its own.
    pub(crate) fn new(words: &[&str], data: PathBuf, config: PathBuf) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let (before, environment) = (Vec::new(), Vec::new());
        let (executable, listen, child, began) = (None, None, None, None);
        Self { words, data, config, executable, before, listen, environment, child, began }
    }

    /// Starts it; what it says when it is ready, or `None` where it ended before.
    pub(crate) async fn start(&mut self, log: &Path, environment: &[(String, String)]) -> Option<String> {
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let executable = self.executable.clone().unwrap_or_else(executable::path);
        let mut words = self.before.iter().map(PathBuf::from).chain([executable]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(&self.words).arg("--data").arg(&self.data).arg("--config").arg(&self.config);
        if let Some(listen) = self.listen {
            command.args(["--listen", &listen.to_string()]);
        }
        for name in ["SKYLIFT_URL", "SKYLIFT_TOKEN"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command.envs(self.environment.iter().chain(environment).cloned());
        let mut child = command.spawn().expect("start the executable");
        self.began = child.id().and_then(began);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("ready in time").unwrap();
        self.child = Some(child);
        line
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("it runs");
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits until it has ended, at most so long; it can still be asked how.
    pub(crate) async fn is_gone(&mut self, within: Duration) {
        if let Some(child) = self.child.as_mut() {
            let _ = timeout(within, child.wait()).await;
        }
    }

    /// Waits until it has ended; `None` where that takes too long.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let mut child = self.child.take().expect("it runs");
        Some(timeout(within, child.wait()).await.ok()?.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended before its folder goes, or it would write there again.
        if let Some(mut child) = self.child.take()
            && let Some(pid) = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
            && child.start_kill().is_ok()
        {
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

/// The 20th field after the name, which is in parentheses and may hold anything. One that has ended has it until it is
/// waited for.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
