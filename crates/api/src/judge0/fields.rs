//! What is told of a submission: the fields that were asked for.

use serde_json::{Map, Value, json};
use skylift_model::run::{Ending, Job};
use skylift_store::RunRow;

use super::languages;
use super::refusal::Refusal;
use super::status;
use super::submission::{Note, encode};
use super::verdict::Verdict;

/// Every field, in their order.
const ALL: [&str; 37] = [
    "source_code",
    "language_id",
    "stdin",
    "expected_output",
    "stdout",
    "status_id",
    "created_at",
    "finished_at",
    "time",
    "memory",
    "stderr",
    "token",
    "number_of_runs",
    "cpu_time_limit",
    "cpu_extra_time",
    "wall_time_limit",
    "memory_limit",
    "stack_limit",
    "max_processes_and_or_threads",
    "enable_per_process_and_thread_time_limit",
    "enable_per_process_and_thread_memory_limit",
    "max_file_size",
    "compile_output",
    "exit_code",
    "exit_signal",
    "message",
    "wall_time",
    "compiler_options",
    "command_line_arguments",
    "redirect_stderr_to_stdout",
    "callback_url",
    "additional_files",
    "enable_network",
    "started_at",
    "queued_at",
    "status",
    "language",
];
const USUAL: [&str; 8] = ["stdout", "time", "memory", "stderr", "token", "compile_output", "message", "status"];

/// Which fields are told.
pub(super) struct Fields(Vec<&'static str>);

impl Default for Fields {
    fn default() -> Self {
        Self(USUAL.to_vec())
    }
}

impl Fields {
    /// Names with commas between, or `*`.
    ///
    /// # Errors
    /// Names those that are none.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Refusal> {
        let names: Vec<&str> = text.unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect();
        let strange: Vec<&str> = names.iter().filter(|name| **name != "*" && !ALL.contains(name)).copied().collect();
        if !strange.is_empty() {
            return Err(Refusal::bad(format!("invalid fields: [{}]", strange.join(", "))));
        }
        if names.contains(&"*") {
            return Ok(Self(ALL.to_vec()));
        }
        let asked: Vec<&'static str> = ALL.iter().filter(|name| names.contains(name)).copied().collect();
        Ok(if asked.is_empty() { Self::default() } else { Self(asked) })
    }
}

/// Something that is to be told as text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotText;

/// A submission as it is kept.
pub(super) struct Submission<'s> {
    row: &'s RunRow,
    job: &'s Job,
    note: &'s Note,
    verdict: Verdict,
    /// Of its language, once it has run.
    version: Option<&'s str>,
}

impl<'s> Submission<'s> {
    pub(super) fn new(row: &'s RunRow, job: &'s Job, note: &'s Note, ending: Option<&'s Ending>) -> Self {
        let version = ending.map(|ending| ending.version.as_str());
        Self { row, job, note, verdict: Verdict::of(row, note, ending), version }
    }

    pub(super) fn status(&self) -> u8 {
        self.verdict.status
    }

    /// What is told of it.
    ///
    /// # Errors
    /// Where a field is not UTF-8 and not to be told in base 64.
    pub(super) fn render(&self, fields: &Fields, base64: bool) -> Result<Map<String, Value>, NotText> {
        let field = |name: &&'static str| Ok(((*name).to_owned(), self.field(name, base64)?));
        fields.0.iter().map(field).collect()
    }

    fn field(&self, name: &str, base64: bool) -> Result<Value, NotText> {
        let Self { row, job, note, verdict, version } = self;
        Ok(match name {
            "source_code" => bytes(job.files.first().map(|file| file.bytes.as_slice()), base64)?,
            "stdin" => bytes(job.stdins.first().map(Vec::as_slice).filter(|_| note.has_stdin), base64)?,
            "expected_output" => bytes(note.expected().as_deref(), base64)?,
            "stdout" => bytes(verdict.stdout.as_deref(), base64)?,
            "stderr" => bytes(verdict.stderr.as_deref(), base64)?,
            "compile_output" => bytes(verdict.compile_output.as_deref(), base64)?,
            "message" => bytes(verdict.message.as_deref().map(str::as_bytes), base64)?,
            "language_id" => json!(note.language_id),
            "language" => languages::told(note.language_id, *version),
            "status_id" => json!(verdict.status),
            "status" => status::told(verdict.status),
            "created_at" | "queued_at" => json!(row.created_at),
            "finished_at" => json!(row.finished_at),
            "time" => json!(verdict.time_us.map(seconds)),
            "wall_time" => json!(verdict.wall_us.map(seconds)),
            "memory" => json!(verdict.memory_kb),
            "token" => json!(row.id),
            "exit_code" => json!(verdict.exit_code),
            "exit_signal" => json!(verdict.exit_signal),
            name => self.as_sent(name),
        })
    }

    fn as_sent(&self, name: &str) -> Value {
        let note = self.note;
        match name {
            "number_of_runs" => json!(note.number_of_runs),
            "cpu_time_limit" => json!(decimal(note.cpu_time_limit)),
            "cpu_extra_time" => json!(decimal(note.cpu_extra_time)),
            "wall_time_limit" => json!(decimal(note.wall_time_limit)),
            "memory_limit" => json!(note.memory_limit),
            "stack_limit" => json!(note.stack_limit),
            "max_processes_and_or_threads" => json!(note.processes),
            "max_file_size" => json!(note.max_file_size),
            "compiler_options" => json!(note.compiler_options),
            "command_line_arguments" => json!(note.command_line_arguments),
            "redirect_stderr_to_stdout" => json!(note.redirect_stderr_to_stdout),
            "callback_url" => json!(note.callback_url),
            "enable_per_process_and_thread_time_limit"
            | "enable_per_process_and_thread_memory_limit"
            | "enable_network" => json!(false),
            // Of these nothing is kept.
            _ => Value::Null,
        }
    }
}

fn bytes(bytes: Option<&[u8]>, base64: bool) -> Result<Value, NotText> {
    let Some(bytes) = bytes else { return Ok(Value::Null) };
    if base64 {
        return Ok(json!(encode(bytes)));
    }
    std::str::from_utf8(bytes).map(|text| json!(text)).map_err(|_| NotText)
}

/// Seconds to three digits, as a text.
fn seconds(micros: u64) -> String {
    let millis = (micros + 500) / 1000;
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn decimal(number: f64) -> String {
    format!("{number:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_asked_for_by_name() {
        assert_eq!(Fields::parse(None).unwrap().0, USUAL);
        assert_eq!(Fields::parse(Some("")).unwrap().0, USUAL);
        assert_eq!(Fields::parse(Some("token,stdout")).unwrap().0, ["stdout", "token"]);
        assert_eq!(Fields::parse(Some("token,*")).unwrap().0, ALL);
        let Err(Refusal::Says(_, why)) = Fields::parse(Some("token,x,y")) else { panic!("they are none") };
        assert_eq!(why, "invalid fields: [x, y]");
    }

    #[test]
    fn times_are_seconds_in_a_text_and_bytes_are_told_only_in_base_64() {
        assert_eq!([seconds(2_000), seconds(1_234_567), seconds(0)], ["0.002", "1.235", "0.000"]);
        assert_eq!([decimal(5.0), decimal(0.5)], ["5.0", "0.5"]);
        assert_eq!(bytes(Some(b"\xff"), false), Err(NotText));
        assert_eq!(bytes(Some(b"\xff"), true), Ok(json!("/w==\n")));
        assert_eq!(bytes(None, false), Ok(Value::Null));
    }
}
