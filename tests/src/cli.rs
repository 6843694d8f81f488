//! What a command said and how it ended.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::executable;
use crate::wait::PATIENCE;

/// A command that ended.
#[derive(Debug)]
pub struct Ran {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            // A signal has no exit code; no command uses this one.
            exit: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test unless the command did what was asked.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ends_with(0)
    }

    /// Fails the test unless the command ended with that exit code.
    #[track_caller]
    pub fn ends_with(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// What was printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Runs the executable without any platform.
pub async fn run(arguments: &[&str]) -> Ran {
    let mut command = Command::new(executable::path());
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["SKYLIFT_URL", "SKYLIFT_TOKEN"] {
        command.env_remove(name);
    }
    Ran::new(timeout(PATIENCE, command.output()).await.expect("the command ends").unwrap())
}
