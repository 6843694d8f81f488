//! Why a body is not what an endpoint takes, by the field that is wrong: for people, in the words of JSON.

use serde::de::IgnoredAny;
use skylift_model::meant::{listed, nearest, shown};
use skylift_model::wire::Code;

use crate::error::ApiError;

/// What is wrong with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Which field, and what about it.
    pub(crate) message: String,
    /// What to do about it; `None` where an example says most.
    pub(crate) hint: Option<String>,
}

/// Names that other services have for what has another one here; those with a dot lie below the first part.
const ELSEWHERE: [(&[&str], &str); 14] = [
    (&["code", "source_code", "script", "content", "program"], "source"),
    (&["lang", "runtime", "language_id"], "language"),
    (&["input"], "stdin"),
    (&["inputs", "tests"], "stdins"),
    (&["arguments", "argv", "command_line_arguments"], "args"),
    (&["environment", "env_vars", "variables"], "env"),
    (&["compiler_options", "compile_flags", "flags"], "compile_options"),
    (&["timeout", "timeout_ms", "run_timeout", "time", "time_limit", "wall_time_limit", "wall_ms"], "limits.wall_ms"),
    (&["cpu", "cpu_time", "cpu_time_limit", "run_cpu_time", "cpu_ms"], "limits.cpu_ms"),
    (&["memory", "memory_limit", "run_memory_limit", "memory_bytes"], "limits.memory_bytes"),
    (&["webhook", "callback_url"], "callback"),
    (&["main", "main_file"], "entry"),
    (&["artifacts", "output_files"], "outputs"),
    (&["dependencies", "requirements"], "packages"),
];
const SCHEMA: &str = "/v1/openapi.json describes every field";

impl Misfit {
    /// That it is something else altogether.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// The refusal of the body; the example is one of what the endpoint takes.
    pub(crate) fn told(self, example: &str) -> ApiError {
        let hint = self.hint.unwrap_or_else(|| example.to_owned());
        ApiError::new(Code::BadRequest, self.message, hint)
    }

    /// From what serde says at a path of a body. A path that begins within a list is told below `list`.
    pub(super) fn of(bytes: &[u8], (path, list): (&str, &str), error: &serde_json::Error) -> Self {
        // Where one of a few words is expected, another kind of value is said to be no JSON.
        let is_json = error.is_data() || serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
        if !is_json {
            return Self::whole(format!("the body is not JSON: {error}"));
        }
        let path = shown(&match path {
            "." => list.to_owned(),
            path if path.starts_with('[') => format!("{list}{path}"),
            path => path.to_owned(),
        });
        if !error.is_data() {
            let hint = "write it in quotes; /v1/openapi.json describes every field";
            return Self { message: format!("{}expected a string", at(&path)), hint: Some(hint.to_owned()) };
        }
        let said = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        explained(&path, said.strip_suffix(&place).unwrap_or(&said))
    }
}

fn explained(path: &str, said: &str) -> Misfit {
    let known = || in_marks(said.rsplit_once(", expected ").map_or("", |(_, known)| known));
    let says = |message: String, hint: String| Misfit { message, hint: Some(hint) };
    if said.starts_with("unknown field `") {
        let known = known();
        return says(format!("`{path}`: there is no such field"), hint_for(path, &known));
    }
    if let Some(word) = said.strip_prefix("unknown variant `") {
        let word = word.split('`').next().unwrap_or_default();
        return says(format!("{}there is no `{}`", at(path), shown(word)), those(word, &known()));
    }
    if let Some(name) = said.strip_prefix("missing field `") {
        let path = below(path, name.trim_end_matches('`'));
        return says(format!("`{path}` is missing"), format!("send `{path}`; /v1/openapi.json describes every field"));
    }
    if let Some(name) = said.strip_prefix("duplicate field `") {
        let path = below(path, name.trim_end_matches('`'));
        return says(format!("`{path}` is there twice"), "send it once".to_owned());
    }
    if said.starts_with("invalid length ") && said.contains(", expected struct ") {
        return says(format!("{}expected an object, got a list", at(path)), SCHEMA.to_owned());
    }
    let kinds = said.strip_prefix("invalid type: ").or(said.strip_prefix("invalid value: "));
    match kinds.and_then(|kinds| kinds.rsplit_once(", expected ")) {
        Some((got, expected)) => {
            let (got, expected) = (Got::of(got), Expected::of(expected));
            says(format!("{}expected {}, got {}", at(path), expected.told, got.told), hint_of(&got, &expected))
        }
        None => Misfit::whole(format!("{}{said}", at(path))),
    }
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("`{path}`: ") }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The words that are in code marks.
fn in_marks(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What a field is called that there is not, and which there are.
fn hint_for(path: &str, known: &[&str]) -> String {
    let (above, name) = path.rsplit_once('.').map_or(("", path), |(above, name)| (above, name));
    let theirs = ELSEWHERE.iter().find(|(theirs, _)| theirs.contains(&name)).map(|(_, ours)| *ours);
    let ours = theirs.and_then(|ours| {
        let first = ours.split('.').next().unwrap_or_default();
        let last = ours.rsplit('.').next().unwrap_or_default();
        if known.contains(&last) { Some(last) } else { known.contains(&first).then_some(ours) }
    });
    match ours.or_else(|| nearest(name, known.iter().copied())) {
        Some(meant) => meant_of(&below(above, meant), known),
        None => there(known),
    }
}

fn those(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => meant_of(meant, known),
        None => there(known),
    }
}

fn meant_of(meant: &str, known: &[&str]) -> String {
    format!("did you mean `{meant}`? {}", there(known).replacen('t', "T", 1))
}

fn there(known: &[&str]) -> String {
    match known {
        [] => "there are none, leave it out".to_owned(),
        [only] => format!("there is `{only}` alone"),
        all => format!("there are {}", listed(all.iter().copied())),
    }
}

/// What was sent, in the words of JSON: never a whole text, which may be long.
struct Got {
    told: String,
    is_text: bool,
    is_null: bool,
}

impl Got {
    fn of(said: &str) -> Self {
        let value = in_marks(said).first().map(|value| shown(value));
        let told = match (said.split([' ', ',']).next().unwrap_or_default(), value) {
            ("string", _) => "a string".to_owned(),
            ("integer" | "floating" | "number", Some(value)) => value,
            ("boolean", Some(value)) => value,
            ("null" | "unit", _) => "null".to_owned(),
            ("map", _) => "an object".to_owned(),
            ("sequence", _) => "a list".to_owned(),
            (other, _) => shown(other),
        };
        Self { told, is_text: said.starts_with("string"), is_null: matches!(said, "null" | "unit" | "unit value") }
    }
}

struct Expected {
    told: String,
    is_number: bool,
    is_text: bool,
}

impl Expected {
    fn of(said: &str) -> Self {
        let number = match said {
            "u8" => Some("an integer from 0 to 255".to_owned()),
            "u16" => Some(format!("an integer from 0 to {}", u16::MAX)),
            "u32" => Some(format!("an integer from 0 to {}", u32::MAX)),
            "u64" | "usize" => Some("an integer from 0 on".to_owned()),
            "i8" | "i16" | "i32" | "i64" | "isize" => Some("an integer".to_owned()),
            "f32" | "f64" => Some("a number".to_owned()),
            _ => None,
        };
        let is_number = number.is_some();
        let told = number.unwrap_or_else(|| match said {
            "a sequence" => "a list".to_owned(),
            "a map" => "an object".to_owned(),
            "a boolean" => "true or false".to_owned(),
            said if said.starts_with("struct ") || said.starts_with("map") => "an object".to_owned(),
            said if said.starts_with("enum ") || said == "string or map" => "a string".to_owned(),
            said => said.to_owned(),
        });
        let is_text = told == "a string";
        Self { told, is_number, is_text }
    }
}

fn hint_of(got: &Got, expected: &Expected) -> String {
    let hint = if got.is_null {
        "leave the field out where there is nothing to say"
    } else if got.is_text && expected.is_number {
        "write it as a number, without quotes"
    } else if expected.is_text {
        "write it in quotes"
    } else {
        SCHEMA
    };
    hint.to_owned()
}

#[cfg(test)]
mod tests;
