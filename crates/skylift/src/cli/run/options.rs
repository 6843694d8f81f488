//! What may be said of a file of code in front of it. Names are those of `POST /v1/runs`.

use std::collections::BTreeMap;
use std::env::{self, VarError};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};
use skylift_model::meant::nearest;
use skylift_model::run::LimitsAsked;

use crate::cli::problem::Problem;

#[derive(Args, Default)]
#[command(next_help_heading = "Options for a file of code")]
pub(super) struct CodeOptions {
    /// What a file is written in, where its name does not say so
    #[arg(long)]
    pub(super) language: Option<String>,
    /// Send this file, too, or all of a folder; each lies where it lies below the current folder. May be repeated
    #[arg(long, value_name = "PATH")]
    pub(super) with: Vec<PathBuf>,
    /// What the program reads, in place of what is typed or piped in
    #[arg(long, value_name = "FILE")]
    pub(super) stdin: Option<PathBuf>,
    /// A variable; `NAME` alone has the value that it has here. May be repeated
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(super) env: Vec<String>,
    /// Tell its compiler this, such as `-std=c++20`, of what its language allows. May be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(super) compile_option: Vec<String>,
    /// What it may use, such as `wall_ms=3000`: `wall_ms`, `cpu_ms`, `memory_bytes`, `pids`, `output_bytes`, `disk_bytes`, `nofile`. May be repeated
    #[arg(long, visible_alias = "limits", value_name = "NAME=NUMBER", value_parser = limit)]
    pub(super) limit: Vec<(String, u64)>,
    /// Bring back files that it leaves, such as `*.png`; `**` goes through folders. May be repeated
    #[arg(long, value_name = "GLOB")]
    pub(super) output: Vec<String>,
    /// Where those files are put
    #[arg(long, value_name = "DIR", requires = "output")]
    pub(super) output_dir: Option<PathBuf>,
    /// Let it see this set of packages, of those that `skylift languages` has for its language
    #[arg(long, value_name = "NAME")]
    pub(super) packages: Option<String>,
    /// Let it ask models, at the address in its variable AI_URL
    #[arg(long)]
    pub(super) ai: bool,
    /// Queue it, and print its id; `skylift runs show ID` tells what came of it
    #[arg(long, conflicts_with = "output_dir")]
    pub(super) detach: bool,
    /// Have it go before others that wait, from -100 to 100; left out: 0
    #[arg(long, value_name = "NUMBER", requires = "detach", allow_negative_numbers = true)]
    pub(super) priority: Option<i32>,
    /// Keep what came of it for so many seconds; left out: a day, where it is queued, and not at all, where it is waited for
    #[arg(long, value_name = "SECONDS")]
    pub(super) ttl: Option<u64>,
    /// Tell this address once it has ended
    #[arg(long, value_name = "URL", requires = "detach")]
    pub(super) callback: Option<String>,
}

impl CodeOptions {
    /// One of those that were given.
    pub(super) fn first(&self) -> Option<&'static str> {
        [
            ("--language", self.language.is_some()),
            ("--with", !self.with.is_empty()),
            ("--stdin", self.stdin.is_some()),
            ("--env", !self.env.is_empty()),
            ("--compile-option", !self.compile_option.is_empty()),
            ("--limit", !self.limit.is_empty()),
            ("--output", !self.output.is_empty()),
            ("--output-dir", self.output_dir.is_some()),
            ("--packages", self.packages.is_some()),
            ("--ai", self.ai),
            ("--detach", self.detach),
            ("--priority", self.priority.is_some()),
            ("--ttl", self.ttl.is_some()),
            ("--callback", self.callback.is_some()),
        ]
        .into_iter()
        .find_map(|(name, is_given)| is_given.then_some(name))
    }

    /// What it may use; of a limit that was given twice, the last.
    pub(super) fn limits(&self) -> Result<LimitsAsked, Problem> {
        let limits: Map<String, Value> = self.limit.iter().map(|(name, most)| (name.clone(), (*most).into())).collect();
        serde_json::from_value(Value::Object(limits)).map_err(|error| Problem::usage(format!("--limit: {error}")))
    }

    /// Its variables.
    pub(super) fn variables(&self) -> Result<BTreeMap<String, String>, Problem> {
        let variable = |given: &String| match given.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => match env::var(given) {
                Ok(value) => Ok((given.clone(), value)),
                Err(VarError::NotPresent) => {
                    Err(Problem::usage(format!("--env: `{given}` is not set here; write `{given}=VALUE`")))
                }
                Err(VarError::NotUnicode(_)) => {
                    Err(Problem::usage(format!("--env: the value of `{given}` is no text")))
                }
            },
        };
        self.env.iter().map(variable).collect()
    }
}

/// The names of the API, which refuses all others.
fn limits_known() -> Vec<String> {
    match serde_json::to_value(LimitsAsked::default()) {
        Ok(Value::Object(limits)) => limits.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let (name, number) = text.split_once('=').ok_or("as in `wall_ms=3000`")?;
    let known = limits_known();
    if !known.iter().any(|one| one == name) {
        let meant = nearest(name, known.iter().map(String::as_str));
        let meant = meant.map_or(".".to_owned(), |meant| format!("; did you mean `{meant}`?"));
        return Err(format!("there is no limit `{name}`{meant} There are {}", known.join(", ")));
    }
    let number = number.parse().map_err(|_| {
        let unit = if name.ends_with("_ms") {
            " of milliseconds"
        } else if name.ends_with("_bytes") {
            " of bytes"
        } else {
            ""
        };
        let example = if name.ends_with("_bytes") { 64 << 20 } else { 3000 };
        format!("a whole number{unit} is expected, as in `{name}={example}`")
    })?;
    Ok((name.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_api_and_a_wrong_one_is_told_what_there_is() {
        let given = ["wall_ms=3000", "pids=7", "wall_ms=4000"].map(|text| limit(text).unwrap()).to_vec();
        let asked = CodeOptions { limit: given, ..CodeOptions::default() }.limits().unwrap();
        assert_eq!(asked, LimitsAsked { wall_ms: Some(4000), pids: Some(7), ..LimitsAsked::default() });
        let huge = CodeOptions { limit: vec![limit("pids=99999999999").unwrap()], ..CodeOptions::default() };
        assert!(huge.limits().is_err());
        for (text, told) in [
            ("3", "as in `wall_ms=3000`"),
            ("wal_ms=3", "there is no limit `wal_ms`; did you mean `wall_ms`?"),
            ("xyzxyzxyz=3", "there is no limit `xyzxyzxyz`. There are cpu_ms"),
            ("time=3", "nofile, output_bytes"),
            ("wall_ms=3s", "a whole number of milliseconds is expected"),
            ("memory_bytes=1G", "a whole number of bytes"),
            ("pids=-1", "a whole number is expected"),
        ] {
            let refused = limit(text).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn variables_come_with_their_value_or_from_here() {
        let of = |env: &[&str]| {
            CodeOptions { env: env.iter().map(|text| (*text).to_owned()).collect(), ..CodeOptions::default() }
                .variables()
        };
        let here = env::var("PATH").unwrap();
        let all = of(&["A=1=2", "EMPTY=", "PATH"]).unwrap();
        assert_eq!((&*all["A"], &*all["EMPTY"], &all["PATH"]), ("1=2", "", &here));
        assert!(of(&["SKYLIFT_NOBODY_SETS_THIS"]).is_err());
    }
}
