//! From what Piston's clients send to what is to be run. Pure, and in Piston's order and words where something is wrong.

use serde_json::Value;
use skylift_model::Timestamp;
use skylift_model::run::{Encoding, Limits, LimitsAsked, LimitsKnown};
use skylift_model::wire::{RunFile, RunRequest};

use super::PistonSettings;
use super::runtimes::{self, Runtime};
use crate::error::ApiError;
use crate::guard::{Authorized, Runs as MayRun};
use crate::routes::runs::{Asked, order};

/// Less memory than this starts nothing; who asks for less is told by what happens, not refused.
const MEMORY_BYTES_MIN: u64 = 8 << 20;

/// What is to be run.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) runtime: Runtime,
    pub(super) request: RunRequest,
    pub(super) compile_limits: Limits,
}

impl Wanted {
    /// The same, as any other run is asked for.
    pub(super) async fn asked(self, auth: &Authorized<MayRun>, now: Timestamp) -> Result<Asked, ApiError> {
        let mut asked = order::asked(auth, self.request, now, "").await?;
        asked.order.job.compile_limits = Some(self.compile_limits);
        Ok(asked)
    }
}

/// Reads what is asked for.
///
/// # Errors
/// What is wrong with it.
pub(super) fn wanted(
    asked: &Value,
    runtimes: Vec<Runtime>,
    known: &LimitsKnown,
    settings: &PistonSettings,
) -> Result<Wanted, String> {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let language = text("language").ok_or("language is required as a string")?;
    let version = text("version").ok_or("version is required as a string")?;
    let sent = asked.get("files").and_then(Value::as_array).ok_or("files is required as an array")?;
    if let Some(bad) = sent.iter().position(|file| !file.get("content").is_some_and(Value::is_string)) {
        return Err(format!("files[{bad}].content is required as a string"));
    }
    let here = runtimes::versions(&runtimes, language);
    let runtime = runtimes::pick(runtimes, language, version).ok_or_else(|| unknown(language, version, &here))?;
    let (files, entry) = files(sent, &runtime.own.file_name)?;
    let (most, compile) = (known.most, known.compile);
    let bounds = Bounds { asked };
    let compile_memory = bounds.memory("compile_memory_limit", settings.compile_memory_limit, compile.memory_bytes)?;
    let run_memory = bounds.memory("run_memory_limit", settings.run_memory_limit, most.memory_bytes)?;
    let compile_limits = Limits {
        memory_bytes: compile_memory,
        wall_ms: bounds.time("compile_timeout", settings.compile_timeout, compile.wall_ms)?,
        cpu_ms: bounds.time("compile_cpu_time", settings.compile_cpu_time, compile.cpu_ms)?,
        output_bytes: settings.output_max_size,
        ..compile
    };
    let limits = LimitsAsked {
        memory_bytes: Some(run_memory),
        wall_ms: Some(bounds.time("run_timeout", settings.run_timeout, most.wall_ms)?),
        cpu_ms: Some(bounds.time("run_cpu_time", settings.run_cpu_time, most.cpu_ms)?),
        output_bytes: Some(settings.output_max_size.min(most.output_bytes)),
        ..LimitsAsked::default()
    };
    let request = RunRequest {
        language: runtime.own.name.clone(),
        files,
        entry: Some(entry),
        args: args(asked.get("args"))?,
        stdin: stdin(asked.get("stdin"))?,
        limits,
        ..RunRequest::default()
    };
    Ok(Wanted { runtime, request, compile_limits })
}

/// Piston's words, and which versions there are where it is one of those alone that is not here.
fn unknown(language: &str, version: &str, here: &[String]) -> String {
    let unknown = format!("{language}-{version} runtime is unknown");
    match here {
        [] => unknown,
        here => format!("{unknown}; here is {}, and `*` takes any", here.join(", ")),
    }
}

/// What may be asked for, of what is asked for.
struct Bounds<'a> {
    asked: &'a Value,
}

impl Bounds<'_> {
    /// Milliseconds; what is configured is the most, and what holds where nothing is asked for.
    fn time(&self, name: &str, configured: u64, most: u64) -> Result<u64, String> {
        let configured = configured.min(most);
        Ok(self.number(name, configured)?.map_or(configured, |asked| asked.max(1)))
    }

    /// Bytes. Where nothing is configured, -1 stands for that, as Piston has it.
    fn memory(&self, name: &str, configured: Option<u64>, most: u64) -> Result<u64, String> {
        let is_none = |asked: &Value| asked.as_f64().is_some_and(|asked| asked < 0.0);
        if configured.is_none() && self.asked.get(name).is_some_and(is_none) {
            return Ok(most);
        }
        let configured = configured.unwrap_or(most).min(most);
        Ok(self.number(name, configured)?.map_or(configured, |asked| asked.max(MEMORY_BYTES_MIN)))
    }

    /// `None` for what Piston takes for nothing.
    fn number(&self, name: &str, configured: u64) -> Result<Option<u64>, String> {
        let asked = match self.asked.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(asked) => asked.as_f64().ok_or_else(|| format!("If specified, {name} must be a number"))?,
        };
        if asked < 0.0 {
            return Err(format!("{name} must be non-negative"));
        }
        #[expect(clippy::cast_precision_loss, reason = "limits are far below where numbers have gaps")]
        if asked > configured as f64 {
            return Err(format!("{name} cannot exceed the configured limit of {configured}"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and what is configured")]
        Ok(Some(asked as u64).filter(|asked| *asked > 0))
    }
}

/// The files, and the first that is text: that one is run.
fn files(sent: &[Value], usual_name: &str) -> Result<(Vec<RunFile>, String), String> {
    let mut files: Vec<RunFile> = Vec::with_capacity(sent.len());
    let mut entry = None;
    for (place, file) in sent.iter().enumerate() {
        let encoding = match file.get("encoding").and_then(Value::as_str) {
            Some("base64") => Encoding::Base64,
            Some("hex") => Encoding::Hex,
            _ => Encoding::Utf8,
        };
        let is_entry = entry.is_none() && encoding == Encoding::Utf8;
        let given = file.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = match given {
            Some(name) => plain(name).to_owned(),
            // A compiler goes by what a name ends in.
            None if is_entry && !sent.iter().any(|other| is_called(other, usual_name)) => usual_name.to_owned(),
            None => format!("file{place}.code"),
        };
        if is_entry {
            entry = Some(name.clone());
        }
        let content = file.get("content").and_then(Value::as_str).unwrap_or_default();
        let content = if encoding == Encoding::Base64 { usual_base64(content) } else { content.to_owned() };
        files.push(RunFile { name: Some(name), content, encoding });
    }
    let entry = entry.ok_or("files must include at least one utf8 encoded file")?;
    Ok((files, entry))
}

fn is_called(file: &Value, name: &str) -> bool {
    file.get("name").and_then(Value::as_str).is_some_and(|called| plain(called) == name)
}

/// `./main.py` is `main.py`.
fn plain(name: &str) -> &str {
    name.strip_prefix("./").unwrap_or(name)
}

/// Clients write base 64 as Node reads it: for URLs, without its end, over several lines.
fn usual_base64(text: &str) -> String {
    let usual = text.chars().filter(|c| !c.is_ascii_whitespace() && *c != '=').map(|c| match c {
        '-' => '+',
        '_' => '/',
        other => other,
    });
    let mut usual: String = usual.collect();
    while !usual.len().is_multiple_of(4) {
        usual.push('=');
    }
    usual
}

fn args(sent: Option<&Value>) -> Result<Vec<String>, String> {
    let words = match sent {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(words)) => words,
        Some(_) => return Err("If specified, args must be an array".to_owned()),
    };
    let word = |word: &Value| match word {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(word.to_string()),
        _ => Err("If specified, args must be an array of strings".to_owned()),
    };
    words.iter().map(word).collect()
}

fn stdin(sent: Option<&Value>) -> Result<Option<String>, String> {
    match sent {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err("If specified, stdin must be a string".to_owned()),
    }
}

#[cfg(test)]
mod tests;
