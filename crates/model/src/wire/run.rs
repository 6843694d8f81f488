use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CallbackAsked, RunCallback};
use crate::run::{Encoding, Limits, LimitsAsked, RunState, RunStatus, Usage, Warmth};
use crate::{RunId, Timestamp};

/// `POST /v1/runs`, `POST /run`: code to be run once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// What it is written in, such as `python`; `GET /v1/languages` has them all.
    pub language: String,
    /// The version, or the first parts of it (`3`, `3.11`); left out: whichever is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The code, where it is one file. Else `files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its files. Else `source`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<RunFile>,
    /// Which file is run; left out: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// What the program is given after its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// What the program reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Several inputs, in place of `stdin`: what is compiled is compiled once and run once for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stdins: Vec<String>,
    /// Variables besides those that every run has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Words for the compiler, of those that the language allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compile_options: Vec<String>,
    /// What it may use; what is left out is as usual.
    #[serde(default)]
    pub limits: LimitsAsked,
    /// What it may reach. There is `none`: its own loopback.
    #[serde(default)]
    pub network: RunNetwork,
    /// Whether it may ask models, at the address in its variable `AI_URL`. Its key needs the scope `ai`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ai: bool,
    /// The set of packages that it sees, by a name that `GET /v1/languages` has for its language. Its key needs the scope `packages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<String>,
    /// Which files that it leaves are to be returned, as globs such as `*.png`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// How what it prints is told.
    #[serde(default)]
    pub encoding: Encoding,
    /// Whether the answer waits for the end.
    #[serde(default)]
    pub mode: RunMode,
    /// How long it is kept once it has settled, in seconds; left out: a day. What is answered with its end is kept only where this is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// What has more goes first, from -100 to 100.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Whom to tell once it has settled; only of what is not waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackAsked>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// One file of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Where it lies, such as `main.py`; left out: as the language calls its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is in it.
    pub content: String,
    /// How `content` is written.
    #[serde(default)]
    pub encoding: Encoding,
}

/// What a run may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunNetwork {
    /// Its own loopback.
    #[default]
    None,
}

/// When a run is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// Once it has ended.
    #[default]
    Sync,
    /// Once it is on disk that it is to be run: ask for it later by its id.
    Async,
    /// At once, as a stream of events: what it prints, as it does, and how it ended.
    Stream,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: RunId,
    /// What it is written in.
    pub language: String,
    /// The version that ran it; none before it has run.
    pub version: Option<String>,
    /// Where it is in its life.
    pub state: RunState,
    /// How it ended; of several inputs, of the first that did not go well. None before it has.
    pub status: Option<RunStatus>,
    /// What it exited with; as shells tell it (128 and the signal), where a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed; where it did not compile, what the compiler printed.
    pub stdout: String,
    /// What it complained; where it did not compile, what the compiler complained.
    pub stderr: String,
    /// Whether it printed more than its limit.
    pub stdout_truncated: bool,
    /// Whether it complained more than its limit.
    pub stderr_truncated: bool,
    /// How bytes are written here.
    pub encoding: Encoding,
    /// What compiling came to, where the language is compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile: Option<RunCompiled>,
    /// One for each input, where there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunStep>,
    /// The files that it left, of those that were wanted, by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<RunOutput>,
    /// Whether it left more of those than are told: 64 files of 8 MiB in all are, by their names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub files_truncated: bool,
    /// What it used; none before it has ended.
    pub usage: Option<RunUsage>,
    /// What held for it.
    pub limits: Limits,
    /// How often a worker took it.
    pub attempts: u64,
    /// Why the last worker that took it did not bring it to an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it waits for besides its turn: its key, which has as many runs under way as it may, or has used up the processor time of its day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// When it was asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub finished_at: Option<Timestamp>,
    /// Until when it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
    /// Whom it is told to, and how far that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<RunCallback>,
}

/// `GET /v1/runs`: runs that are kept, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunList {
    /// Those of this key; the owner sees all.
    pub runs: Vec<RunBrief>,
}

/// What a list says of a run; `GET /v1/runs/{id}` says the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunBrief {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: RunId,
    /// What it is written in.
    pub language: String,
    /// Where it is in its life.
    pub state: RunState,
    /// How it ended, as in [`Run`]; none before it has.
    pub status: Option<String>,
    /// How often a worker took it.
    pub attempts: u64,
    /// Why the last worker that took it did not bring it to an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// As in [`Run`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// When it was asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub finished_at: Option<Timestamp>,
    /// Until when it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
}

/// `POST /v1/runs/batch`: several runs, each as [`RunRequest`], all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunBatch {
    /// At most 1,000. They are never waited for, whatever their `mode`.
    pub runs: Vec<RunRequest>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunBatchTaken {
    /// Their ids, in the order in which they were sent.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub ids: Vec<RunId>,
}

/// What one start of a program came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunStep {
    /// How it ended.
    pub status: RunStatus,
    /// What it exited with.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
    /// Whether it printed more than its limit.
    pub stdout_truncated: bool,
    /// Whether it complained more than its limit.
    pub stderr_truncated: bool,
    /// What it used.
    pub usage: Usage,
}

/// What compiling came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunCompiled {
    /// How the compiler ended.
    #[serde(flatten)]
    pub step: RunStep,
    /// Whether the same had been compiled before.
    pub cached: bool,
}

/// A file that a run left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunOutput {
    /// Where it lay.
    pub name: String,
    /// What is in it, in base 64 where it is no text.
    pub content: String,
    /// How `content` is written.
    pub encoding: Encoding,
    /// Which of several inputs it is of, from 0.
    pub run: usize,
}

/// What a run used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunUsage {
    /// Of processors, in microseconds, compiling left out.
    pub cpu_us: u64,
    /// From the program's start to its end, in microseconds.
    pub wall_us: u64,
    /// The most memory at one time, in bytes.
    pub peak_memory_bytes: u64,
    /// How long it waited for a worker, in microseconds.
    pub queue_us: u64,
    /// From the moment a worker took it until its program ran, in microseconds.
    pub dispatch_us: u64,
    /// Out of what its sandbox was made.
    pub start: Warmth,
}
