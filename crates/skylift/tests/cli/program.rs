//! Runs the program in a home of its own.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::fake::{Fake, TOKEN};

/// A user: a home folder with nothing in it, and a server.
pub(crate) struct User {
    pub(crate) home: tempfile::TempDir,
    pub(crate) fake: Fake,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl User {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), fake: Fake::start() }
    }

    /// The program with these arguments, told of no server.
    pub(crate) fn lost(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skylift"));
        command.args(arguments).env_clear().env("HOME", self.home.path()).env("PATH", "/nowhere");
        command.current_dir(self.home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The program with these arguments, told of the server by environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lost(arguments);
        command.env("SKYLIFT_URL", self.fake.url()).env("SKYLIFT_TOKEN", TOKEN);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        end(self.command(arguments).spawn().unwrap())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        end(child)
    }

    /// Writes a file in the home folder.
    pub(crate) fn write(&self, path: impl AsRef<OsStr>, content: &str) {
        let path = self.home.path().join(Path::new(path.as_ref()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

pub(crate) fn end(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ended {
    /// The result, after making sure that the command was successful.
    #[track_caller]
    pub(crate) fn result(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:#?}");
        &self.stdout
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.result()).unwrap()
    }
}
