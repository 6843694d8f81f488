//! What a file of code reads.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use super::sent::STDIN;
use crate::cli::problem::Problem;

/// The most that a run reads where all of it is sent at once: a request has no more.
const BYTES_MAX: u64 = 8 << 20;

pub(super) enum Input {
    /// What is typed or piped in.
    Ours,
    File(File),
    /// The code came from there.
    Nothing,
}

impl Input {
    /// By what was said, else ours.
    pub(super) fn open(path: Option<&Path>, what: &str) -> Result<Self, Problem> {
        match path {
            Some(path) if path.as_os_str() != STDIN => {
                let file = File::open(path).map_err(|error| Problem::read(path, error))?;
                if file.metadata().is_ok_and(|data| data.is_dir()) {
                    return Err(Problem::read(path, io::ErrorKind::IsADirectory.into()));
                }
                Ok(Self::File(file))
            }
            Some(_) if what == STDIN => Err(Problem::usage("standard input is the code or what it reads, not both")),
            None if what == STDIN => Ok(Self::Nothing),
            _ => Ok(Self::Ours),
        }
    }

    /// Who reads a terminal from the background is stopped by it.
    pub(super) fn may_be_read(&self) -> bool {
        let stdin = io::stdin();
        match self {
            Self::Ours if stdin.is_terminal() => {
                rustix::termios::tcgetpgrp(&stdin).is_ok_and(|front| front == rustix::process::getpgrp())
            }
            Self::Ours | Self::File(_) => true,
            Self::Nothing => false,
        }
    }

    /// All of it; a person's terminal is not waited for.
    pub(super) fn whole(self) -> Result<String, Problem> {
        if matches!(self, Self::Nothing) || (matches!(self, Self::Ours) && io::stdin().is_terminal()) {
            return Ok(String::new());
        }
        let mut text = String::new();
        match self.take(BYTES_MAX + 1).read_to_string(&mut text) {
            Ok(bytes) if bytes as u64 <= BYTES_MAX => Ok(text),
            Ok(_) => Err(Problem::refused(
                format!("the input is larger than {BYTES_MAX} bytes"),
                "send less, or wait for the run without `--json` and `--detach`: then it reads as much as there is",
            )),
            Err(error) => Err(Problem::refused(format!("the input cannot be read: {error}"), "send text")),
        }
    }
}

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Ours => io::stdin().lock().read(bytes),
            Self::File(file) => file.read(bytes),
            Self::Nothing => Ok(0),
        }
    }
}
