//! A server as a process of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("start a server"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) {
        let _ = self.0.wait();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap()
    }

    /// Waits until `answers` does.
    pub(crate) async fn until(&mut self, what: &str, answers: impl AsyncFn() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !answers().await {
                assert!(matches!(self.0.try_wait(), Ok(None)), "{what} ended at once");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{what} does not answer"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process dies of this, too.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
