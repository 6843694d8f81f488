//! What a worker is given, and what it makes of it.

use serde::{Deserialize, Serialize};

use super::{Encoding, LIMITS, Limits, RunStatus};
use crate::{EnvName, FilePath, RunId, TokenId};

/// One file of a run.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where it lies below the run's folder.
    pub path: FilePath,
    /// What is in it.
    #[serde(with = "super::text::one")]
    pub bytes: Vec<u8>,
}

/// Everything that a worker needs to run code once, or once for each of several inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: RunId,
    /// Whose it is: what was compiled for one sender is never given to another. Of nobody's nothing is kept.
    #[serde(default)]
    pub sender: Option<TokenId>,
    /// The language's name, as the catalogue has it.
    pub language: String,
    /// Its files. At least one.
    pub files: Vec<File>,
    /// The one of them that is run, or compiled first.
    pub entry: FilePath,
    /// What the program is given after its name.
    pub args: Vec<String>,
    /// What it reads, once for each run; never empty.
    #[serde(with = "super::text::many")]
    pub stdins: Vec<Vec<u8>>,
    /// Variables besides those that every run has.
    pub env: Vec<(EnvName, String)>,
    /// Words for the compiler, each one that the language allows.
    pub compile_options: Vec<String>,
    /// What each run may use.
    pub limits: Limits,
    /// What compiling may use, where that is not as for every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile_limits: Option<Limits>,
    /// Which files it leaves are wanted, as globs.
    pub outputs: Vec<String>,
    /// How what it prints is to be told.
    pub encoding: Encoding,
    /// The key on whose behalf it may ask models; nobody's where it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<TokenId>,
    /// The set of packages that it sees, one of its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<String>,
    /// What an interface that is not our own has to remember of it; nothing to the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Job {
    /// One file that is run once, with nothing said of it: the usual limits, nobody's.
    pub fn new(id: RunId, language: &str, file: File) -> Self {
        Self {
            id,
            sender: None,
            language: language.to_owned(),
            entry: file.path.clone(),
            files: vec![file],
            args: Vec::new(),
            stdins: vec![Vec::new()],
            env: Vec::new(),
            compile_options: Vec::new(),
            limits: LIMITS.usual,
            compile_limits: None,
            outputs: Vec::new(),
            encoding: Encoding::Utf8,
            ai: None,
            packages: None,
            note: None,
        }
    }
}

/// What one start of the program came to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// How it ended.
    pub status: RunStatus,
    /// What it exited with; as shells tell it (128 and the signal), where a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed, up to the limit.
    #[serde(with = "super::text::one")]
    pub stdout: Vec<u8>,
    /// What it complained, up to the limit.
    #[serde(with = "super::text::one")]
    pub stderr: Vec<u8>,
    /// Whether there was more.
    pub stdout_truncated: bool,
    /// Whether there was more.
    pub stderr_truncated: bool,
    /// What it used.
    pub usage: Usage,
}

impl Step {
    /// One that exited with this, used nothing worth counting and printed nothing.
    pub fn exited(exit_code: i32) -> Self {
        Self {
            status: if exit_code == 0 { RunStatus::Ok } else { RunStatus::ExitNonzero },
            exit_code: Some(exit_code),
            signal: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            stdout_truncated: false,
            stderr_truncated: false,
            usage: Usage::default(),
        }
    }
}

/// What one start of the program used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Of processors, in microseconds.
    pub cpu_us: u64,
    /// From its start to its end, in microseconds.
    pub wall_us: u64,
    /// The most memory at one time, in bytes.
    pub peak_memory_bytes: u64,
}

/// Out of what a run's sandbox was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Warmth {
    /// One that waited, with the interpreter in it.
    Pool,
    /// One into which the interpreter was forked.
    Fork,
    /// One that waited, in which the interpreter had been started before.
    Prestarted,
    /// One in which the interpreter had to be started.
    Cold,
}

/// What compiling came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// As of a run.
    pub step: Step,
    /// Whether the program was there already.
    pub cached: bool,
}

/// A file that a run left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The file.
    pub file: File,
    /// Which start of the program left it, from 0.
    pub run: usize,
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Where the language is compiled.
    pub compile: Option<Compiled>,
    /// One for each input; none where it did not compile.
    pub steps: Vec<Step>,
    /// What it left of what was wanted.
    pub files: Vec<Taken>,
    /// Whether there was more of it than is handed back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub files_truncated: bool,
    /// Out of what its sandbox was made.
    pub start: Warmth,
    /// How long it waited for its turn, in microseconds.
    pub waited_us: u64,
    /// From the moment a worker took it until its program ran, in microseconds.
    pub dispatch_us: u64,
    /// The language's version.
    pub version: String,
}

impl Ending {
    /// What these starts came to in a sandbox that was made for them, where nothing was compiled and no file is told.
    pub fn of_steps(steps: Vec<Step>, version: &str) -> Self {
        Self {
            compile: None,
            steps,
            files: Vec::new(),
            files_truncated: false,
            start: Warmth::Cold,
            waited_us: 0,
            dispatch_us: 0,
            version: version.to_owned(),
        }
    }

    /// The start that tells how the whole went: the first that did not go well, else the first; where it did not compile, the
    /// compiler's.
    pub fn decisive(&self) -> Option<&Step> {
        let bad = self.steps.iter().find(|step| step.status != RunStatus::Ok);
        bad.or(self.steps.first()).or(self.compile.as_ref().map(|compiled| &compiled.step))
    }

    /// Processor time of its program and of its compiler, where that was not needed before, in microseconds.
    pub fn cpu_us(&self) -> u64 {
        let compiled = self.compile.iter().filter(|compiled| !compiled.cached).map(|done| &done.step);
        self.steps.iter().chain(compiled).map(|step| step.usage.cpu_us).sum()
    }
}

impl std::fmt::Debug for File {
    /// Without what is in it: that is the user's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("path", &self.path).field("bytes", &self.bytes.len()).finish()
    }
}

impl std::fmt::Debug for Step {
    /// Without what was printed: that is the user's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("status", &self.status)
            .field("exit_code", &self.exit_code)
            .field("signal", &self.signal)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}
