//! A submission as it is sent: read field by field, every fault told at once, and made into a run.

mod given;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skylift_model::RunId;
use skylift_model::run::{Encoding, InvalidRun, Job, LimitsAsked, LimitsKnown};
use skylift_model::wire::{Language, RunFile, RunRequest};

use super::words;
use given::Given;

pub(super) use given::{decode, encode};

/// What Judge0 takes at most, and what it takes where nothing is said. Times in seconds, sizes in KB.
pub(super) const CPU: (f64, f64) = (5.0, 15.0);
pub(super) const CPU_EXTRA: (f64, f64) = (1.0, 5.0);
pub(super) const WALL: (f64, f64) = (10.0, 20.0);
pub(super) const MEMORY: (f64, f64) = (128_000.0, 512_000.0);
pub(super) const STACK: (f64, f64) = (64_000.0, 128_000.0);
pub(super) const PROCESSES: (f64, f64) = (60.0, 120.0);
pub(super) const FILE_SIZE: (f64, f64) = (1024.0, 4096.0);
pub(super) const RUNS: (f64, f64) = (1.0, 20.0);
const MEMORY_MIN: f64 = 2048.0;
/// Less than this starts nothing here.
const OUR_MEMORY_MIN: u64 = 8 << 20;
const WORDS_CHARACTERS_MAX: usize = 512;

/// What of a submission no run of ours knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) language_id: u32,
    /// Whether there was an input, be it empty.
    pub(super) has_stdin: bool,
    /// In base 64.
    pub(super) expected_output: Option<String>,
    pub(super) number_of_runs: u32,
    pub(super) cpu_time_limit: f64,
    pub(super) cpu_extra_time: f64,
    pub(super) wall_time_limit: f64,
    pub(super) memory_limit: u64,
    pub(super) stack_limit: u64,
    pub(super) processes: u32,
    pub(super) max_file_size: u64,
    pub(super) compiler_options: Option<String>,
    pub(super) command_line_arguments: Option<String>,
    pub(super) redirect_stderr_to_stdout: bool,
    pub(super) callback_url: Option<String>,
}

impl Note {
    /// That of a job that was submitted so.
    pub(super) fn of(job: &Job) -> Option<Self> {
        serde_json::from_str(job.note.as_deref()?).ok()
    }

    /// What the program should print.
    pub(super) fn expected(&self) -> Option<Vec<u8>> {
        self.expected_output.as_deref().map(decode)
    }
}

/// What a submission is read with.
pub(super) struct Reading<'r> {
    pub(super) base64: bool,
    pub(super) known: &'r LimitsKnown,
    /// The language of its number, where that is here.
    pub(super) language: Option<&'r Language>,
    /// Why nothing may be told to its address.
    pub(super) may_be_told: &'r (dyn Fn(&str) -> Result<(), String> + Send + Sync),
}

/// The number of its language, as far as it is one.
pub(super) fn language_id(sent: &Map<String, Value>) -> Option<u32> {
    match sent.get("language_id")? {
        Value::Number(number) => u32::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

impl Reading<'_> {
    /// The run that it asks for, with the id.
    ///
    /// # Errors
    /// What is wrong with which field, in Judge0's words.
    pub(super) fn read(&self, sent: &Map<String, Value>, id: RunId) -> Result<(Job, Note), Map<String, Value>> {
        let mut given = Given::new(sent, self.base64);
        let source = given.bytes("source_code").filter(|source| !source.is_empty());
        if source.is_none() {
            given.wrong("source_code", "can't be blank");
        }
        let note = self.note(&mut given);
        self.check(&mut given, &note);
        let stdin = given.bytes("stdin");
        let (Some(language), Some(source)) = (self.language, source) else { return Err(given.faults()) };
        if let Some(faults) = given.faults_if_any() {
            return Err(faults);
        }
        let note = Note { has_stdin: stdin.is_some(), ..note };
        let asked = self.asked(language, &source, &note);
        let mut job = asked.into_job(id, language, self.known).map_err(|why| given.refused(&why))?;
        let runs = usize::try_from(note.number_of_runs).unwrap_or(1);
        job.stdins = vec![stdin.unwrap_or_default(); runs];
        // A plain struct: serialising it cannot fail.
        job.note = serde_json::to_string(&note).ok();
        Ok((job, note))
    }

    fn note(&self, given: &mut Given<'_>) -> Note {
        let known = self.known;
        let most = |(usual, most): (f64, f64), ours: f64| (usual.min(ours), most.min(ours));
        let cpu = most(CPU, seconds(known.most.cpu_ms));
        let wall = most(WALL, seconds(known.most.wall_ms));
        let memory = most(MEMORY, whole(known.most.memory_bytes / 1024));
        let expected = given.bytes("expected_output");
        Note {
            language_id: language_id(given.sent()).unwrap_or_default(),
            has_stdin: false,
            expected_output: expected.map(|bytes| encode(&bytes)),
            number_of_runs: to_u32(given.whole("number_of_runs", RUNS, 1.0)),
            cpu_time_limit: given.number("cpu_time_limit", cpu, 0.0),
            cpu_extra_time: given.number("cpu_extra_time", CPU_EXTRA, 0.0),
            wall_time_limit: given.number("wall_time_limit", wall, 1.0_f64.min(wall.1)),
            memory_limit: given.whole("memory_limit", memory, MEMORY_MIN),
            stack_limit: given.whole("stack_limit", STACK, 0.0),
            processes: to_u32(given.whole("max_processes_and_or_threads", PROCESSES, 1.0)),
            max_file_size: given.whole("max_file_size", FILE_SIZE, 0.0),
            compiler_options: given.text("compiler_options"),
            command_line_arguments: given.text("command_line_arguments"),
            redirect_stderr_to_stdout: given.flag("redirect_stderr_to_stdout"),
            callback_url: given.text("callback_url").filter(|url| !url.trim().is_empty()),
        }
    }

    fn check(&self, given: &mut Given<'_>, note: &Note) {
        if self.language.is_none() {
            let id = given.sent().get("language_id").map(said).unwrap_or_default();
            given.wrong("language_id", &format!("language with id {id} doesn't exist"));
        }
        for (name, words) in
            [("compiler_options", &note.compiler_options), ("command_line_arguments", &note.command_line_arguments)]
        {
            if words.as_ref().is_some_and(|words| words.chars().count() > WORDS_CHARACTERS_MAX) {
                given.wrong(name, &format!("is too long (maximum is {WORDS_CHARACTERS_MAX} characters)"));
            }
        }
        let is_compiled = self.language.is_none_or(|language| language.compiled);
        if !is_compiled && note.compiler_options.as_ref().is_some_and(|options| !options.trim().is_empty()) {
            given.wrong("compiler_options", "setting compiler options is only allowed for compiled languages");
        }
        if given.flag("enable_network") {
            given.wrong("enable_network", "enabling network is not allowed");
        }
        for name in ["enable_per_process_and_thread_time_limit", "enable_per_process_and_thread_memory_limit"] {
            if given.flag(name) {
                given.wrong(name, "this option cannot be enabled");
            }
        }
        if given.text("additional_files").is_some_and(|files| !files.is_empty()) {
            given.wrong("additional_files", "setting additional files is not allowed");
        }
        if let Some(url) = &note.callback_url
            && let Err(why) = (self.may_be_told)(url)
        {
            given.wrong("callback_url", &why);
        }
    }

    /// The same as a request of ours. What a limit of 0 is to Judge0, the most is to us.
    fn asked(&self, language: &Language, source: &[u8], note: &Note) -> RunRequest {
        let most = &self.known.most;
        let cpu_ms = match millis(note.cpu_time_limit) {
            0 => most.cpu_ms,
            limit => limit.saturating_add(millis(note.cpu_extra_time)).min(most.cpu_ms),
        };
        let output_bytes = match note.max_file_size {
            0 => most.output_bytes,
            kilobytes => (kilobytes * 1024).min(most.output_bytes),
        };
        let limits = LimitsAsked {
            wall_ms: Some(millis(note.wall_time_limit).clamp(1, most.wall_ms)),
            cpu_ms: Some(cpu_ms),
            memory_bytes: Some((note.memory_limit * 1024).max(OUR_MEMORY_MIN)),
            pids: Some(note.processes.min(most.pids)),
            output_bytes: Some(output_bytes),
            ..LimitsAsked::default()
        };
        RunRequest {
            language: language.name.clone(),
            files: vec![RunFile { name: None, content: Encoding::Base64.encode(source), encoding: Encoding::Base64 }],
            args: words::split(note.command_line_arguments.as_deref().unwrap_or_default()),
            compile_options: words::split(note.compiler_options.as_deref().unwrap_or_default()),
            limits,
            ..RunRequest::default()
        }
    }
}

impl Given<'_> {
    /// What is told of a run that we refuse.
    fn refused(&mut self, why: &InvalidRun) -> Map<String, Value> {
        let field = match why {
            InvalidRun::Option { .. } => "compiler_options",
            InvalidRun::Nul { .. } => "command_line_arguments",
            InvalidRun::TooMany { field: "args", .. } | InvalidRun::TooLong { field: "args", .. } => {
                "command_line_arguments"
            }
            InvalidRun::TooMany { .. } | InvalidRun::TooLong { .. } => "source_code",
            _ => "base",
        };
        self.wrong(field, &why.to_string());
        self.faults()
    }
}

/// A value as it is told back.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn whole(number: u64) -> f64 {
    number as f64
}

fn seconds(millis: u64) -> f64 {
    whole(millis) / 1000.0
}

fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
