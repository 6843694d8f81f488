//! One call of Git: what it prints, what it complains of, how it ended.

use std::io::{self, Read, Write};
use std::process::{ChildStdout, Command, Stdio};

use super::super::trouble::explain;
use super::{Clone, unable};
use crate::frames::Refusal;

/// How much of Git's own words is kept to find out what went wrong.
const WORDS_BYTES_MAX: u64 = 64 << 10;

impl Clone<'_> {
    /// Runs Git and returns the beginning of what it prints.
    pub(super) fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, Refusal> {
        self.git_read_by(arguments, |printed| Ok(beginning(printed)))
    }

    /// Runs Git for a reader that may refuse to read on; Git's complaints also go to our standard error, which is the
    /// build's log.
    pub(super) fn git_read_by<T>(
        &self,
        arguments: &[&str],
        read: impl FnOnce(ChildStdout) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut command = Command::new("git");
        if arguments.first() != Some(&"init") {
            command.arg("-C").arg(&self.spec.folder);
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().envs(&self.env);
        let mut running = command.spawn().map_err(|error| unable(&error))?;
        let (stdout, stderr) = (running.stdout.take(), running.stderr.take());
        // Both at once: whichever is not read stops Git when its pipe is full.
        let (read, words) = std::thread::scope(|scope| {
            let complaints = scope.spawn(|| stderr.map(beginning).unwrap_or_default());
            (stdout.map(read), complaints.join().unwrap_or_default())
        });
        let ended = running.wait().map_err(|error| unable(&error))?;
        // Whoever is no longer read ends with an error of its own, which is not the cause.
        let read = read.ok_or_else(|| unable(&io::ErrorKind::BrokenPipe.into()))??;
        if ended.success() {
            return Ok(read);
        }
        let _ = io::stderr().write_all(&words);
        Err(explain(&String::from_utf8_lossy(&words), self.spec.reference.as_deref(), self.spec.stall_seconds))
    }
}

/// The beginning of what a pipe carries; the rest is read and dropped.
fn beginning(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // What ends early ends the process, whose status tells.
    let _ = pipe.by_ref().take(WORDS_BYTES_MAX).read_to_end(&mut kept);
    let _ = io::copy(&mut pipe, &mut io::sink());
    kept
}
