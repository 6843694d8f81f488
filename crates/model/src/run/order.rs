//! From what a client sent to what a worker is given.

use super::{Encoding, File, Job, LimitsAbove, LimitsKnown};
use crate::meant::shown;
use crate::name::InvalidName;
use crate::path::InvalidPath;
use crate::wire::{Language, RunFile, RunRequest};
use crate::{EnvName, FilePath, RunId};

/// How many bytes all files of a run may have together.
pub const SOURCE_BYTES_MAX: usize = 4 << 20;
/// How long a run is kept once it has settled, in seconds: the least, as usual, the most.
pub const TTL_S: [u64; 3] = [1, 24 * 3600, 30 * 24 * 3600];
/// How far a priority may be from 0.
pub const PRIORITY_MAX: i32 = 100;
const FILES_MAX: usize = 256;
const WORDS_MAX: usize = 256;
const WORDS_BYTES_MAX: usize = 64 << 10;
const STDINS_MAX: usize = 64;
const OUTPUTS_MAX: usize = 32;
/// What patterns cost grows with how long they are, and ours is the processor they are compiled on.
const OUTPUTS_BYTES_MAX: usize = 4 << 10;
/// The folder in which a run finds what was compiled of it. No file that is sent lies there.
pub const BUILT: &str = ".built";

/// Why a run is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRun {
    #[error("there is no code: neither `source` nor `files`")]
    NoCode,
    #[error("there are both `source` and `files`")]
    TwiceCode,
    #[error("there are both `stdin` and `stdins`")]
    TwiceStdin,
    #[error("the file `{name}`: {source}")]
    Path { field: String, name: String, source: InvalidPath },
    #[error("the file `{name}` is there twice, or is a folder of another")]
    TwicePath { place: usize, name: String },
    #[error("the file `{name}`: `{BUILT}` is where what was compiled lies")]
    Built { place: usize, name: String },
    #[error("the file `{name}` is not what its `encoding` says")]
    Encoding { place: usize, name: String },
    #[error("there is no file `{0}` to be run")]
    NoEntry(String),
    #[error("the variable `{name}`: {source}")]
    Env { name: String, source: InvalidName },
    #[error("there is a NUL character in it")]
    Nul { field: String },
    #[error("`{pattern}` {}", leads_out(pattern))]
    Outside { place: usize, pattern: String },
    #[error("{count} are more than {most}")]
    TooMany { field: &'static str, count: usize, most: usize },
    #[error("{bytes} bytes in all are more than {most}")]
    TooLong { field: &'static str, bytes: usize, most: usize },
    #[error("version {} of {language} is not here; {found} is", shown(asked))]
    Version { language: String, asked: String, found: String },
    #[error("{language} does not take the compiler's option `{}`", shown(option))]
    Option { place: usize, language: String, option: String, is_compiled: bool },
    #[error("there is no set of packages `{}` for {language}; {}", shown(name), those(there))]
    Packages { language: String, name: String, there: Vec<String> },
    #[error("{0} is not between {least} and {most}", least = TTL_S[0], most = TTL_S[2])]
    Ttl(u64),
    #[error("{0} is not between {least} and {PRIORITY_MAX}", least = -PRIORITY_MAX)]
    Priority(i32),
    #[error(transparent)]
    Limits(#[from] LimitsAbove),
}

impl InvalidRun {
    /// Which field of the request it is about, as in `files[1].name`.
    pub fn field(&self) -> String {
        match self {
            Self::NoCode | Self::TwiceCode => "source".to_owned(),
            Self::TwiceStdin => "stdins".to_owned(),
            Self::Path { field, .. } | Self::Nul { field } => field.clone(),
            Self::TwicePath { place, .. } | Self::Built { place, .. } => format!("files[{place}].name"),
            Self::Encoding { place, .. } => format!("files[{place}].content"),
            Self::NoEntry(_) => "entry".to_owned(),
            Self::Env { name, .. } => format!("env.{name}"),
            Self::Outside { place, .. } => format!("outputs[{place}]"),
            Self::TooMany { field, .. } | Self::TooLong { field, .. } => (*field).to_owned(),
            Self::Version { .. } => "version".to_owned(),
            Self::Option { place, .. } => format!("compile_options[{place}]"),
            Self::Packages { .. } => "packages".to_owned(),
            Self::Ttl(_) => "ttl_s".to_owned(),
            Self::Priority(_) => "priority".to_owned(),
            Self::Limits(above) => format!("limits.{}", above.name),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoCode | Self::TwiceCode => "send the code as `source`, or as `files` with `name` and `content` each",
            Self::TwiceStdin => "send one input as `stdin`, or several as `stdins`",
            Self::Path { .. } | Self::TwicePath { .. } => "name files as in `main.py` or `src/main.py`, each once",
            Self::Built { .. } => "name it otherwise",
            Self::Encoding { .. } => "write `content` as text, or say `\"encoding\": \"base64\"` or `\"hex\"`",
            Self::NoEntry(_) => "`entry` names one of `files`; left out, the first is run",
            Self::Env { .. } => "as in `\"env\": {\"LANG\": \"C.UTF-8\"}`",
            Self::Nul { .. } => "leave it out; as bytes of a file it may be sent in base64",
            Self::Outside { .. } => "patterns are of files below `/box`, where the program starts: `x` is `/box/x`",
            Self::TooMany { .. } | Self::TooLong { .. } => "send less, or several runs",
            Self::Version { .. } => "leave `version` out, or ask for what `GET /v1/languages` tells",
            Self::Option { is_compiled: false, .. } => "leave `compile_options` out: only what is compiled takes any",
            Self::Option { .. } => {
                "give each by itself, of those that `GET /v1/languages` (`skylift languages --json`) tells"
            }
            Self::Packages { .. } => "`GET /v1/languages` tells the sets of each language and what is in them",
            Self::Ttl(_) => "leave `ttl_s` out: what is queued is kept for a day then, what is waited for not at all",
            Self::Priority(_) => "leave `priority` out for 0; what has more goes first",
            Self::Limits(_) => "`GET /v1/limits` and `skylift limits` tell what may be asked for",
        }
    }
}

impl RunRequest {
    /// What a worker is given, for a language that is here.
    ///
    /// # Errors
    /// Where something in the request is not allowed.
    pub fn into_job(self, id: RunId, language: &Language, known: &LimitsKnown) -> Result<Job, InvalidRun> {
        self.check_version(language)?;
        self.check_packages(language)?;
        self.check_times()?;
        let limits = known.resolve(&self.limits)?;
        let files = files(self.source, self.files, &language.file_name)?;
        let entry = match self.entry {
            Some(entry) => path(&entry, || "entry".to_owned())?,
            None => files.first().map(|file| file.path.clone()).ok_or(InvalidRun::NoCode)?,
        };
        if !files.iter().any(|file| file.path == entry) {
            return Err(InvalidRun::NoEntry(entry.as_str().to_owned()));
        }
        at_most("outputs", self.outputs.len(), OUTPUTS_MAX)?;
        no_longer("outputs", self.outputs.iter().map(String::len), OUTPUTS_BYTES_MAX)?;
        inside(&self.outputs)?;
        at_most("compile_options", self.compile_options.len(), WORDS_MAX)?;
        let mut options = self.compile_options.iter().enumerate();
        if let Some((place, option)) = options.find(|(_, option)| !language.compile_options.contains(option)) {
            let (language, option, is_compiled) = (language.name.clone(), option.clone(), language.compiled);
            return Err(InvalidRun::Option { place, language, option, is_compiled });
        }
        Ok(Job {
            id,
            sender: None,
            language: language.name.clone(),
            files,
            entry,
            args: words(self.args)?,
            stdins: stdins(self.stdin, self.stdins)?,
            env: env(self.env)?,
            compile_options: self.compile_options,
            limits,
            compile_limits: None,
            outputs: self.outputs,
            encoding: self.encoding,
            // On whose behalf is for who knows whose request it is.
            ai: None,
            packages: self.packages,
            note: None,
        })
    }

    fn check_times(&self) -> Result<(), InvalidRun> {
        let [least, _, most] = TTL_S;
        if let Some(ttl) = self.ttl_s.filter(|ttl| !(least..=most).contains(ttl)) {
            return Err(InvalidRun::Ttl(ttl));
        }
        if self.priority.unsigned_abs() > PRIORITY_MAX.unsigned_abs() {
            return Err(InvalidRun::Priority(self.priority));
        }
        Ok(())
    }

    fn check_packages(&self, language: &Language) -> Result<(), InvalidRun> {
        let Some(name) = &self.packages else { return Ok(()) };
        let there: Vec<String> = language.package_sets.iter().map(|set| set.name.clone()).collect();
        if there.contains(name) {
            return Ok(());
        }
        Err(InvalidRun::Packages { language: language.name.clone(), name: name.clone(), there })
    }

    /// A version is asked for by its first parts: `3` and `3.11` are 3.11.2, `3.1` is not.
    fn check_version(&self, language: &Language) -> Result<(), InvalidRun> {
        let Some(asked) = self.version.as_deref().filter(|asked| *asked != "*") else { return Ok(()) };
        let rest = language.version.strip_prefix(asked);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            return Ok(());
        }
        let (language, found) = (language.name.clone(), language.version.clone());
        Err(InvalidRun::Version { language, asked: asked.to_owned(), found })
    }
}

fn those(names: &[String]) -> String {
    match names {
        [] => "there are none".to_owned(),
        [only] => format!("there is {only}"),
        several => format!("there are {}", several.join(", ")),
    }
}

/// How a pattern leads out of `/box`, and what to write where it may be meant otherwise.
fn leads_out(pattern: &str) -> String {
    let below = pattern.strip_prefix("/box/").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    match below {
        Some(rest) => format!("begins with `/`: write `{rest}`"),
        None if pattern.starts_with('/') => "begins with `/`: only `/box` is looked at".to_owned(),
        None => "has a part `..`: only `/box` is looked at".to_owned(),
    }
}

fn inside(outputs: &[String]) -> Result<(), InvalidRun> {
    let is_outside = |pattern: &String| pattern.starts_with('/') || pattern.split('/').any(|part| part == "..");
    match outputs.iter().enumerate().find(|(_, pattern)| is_outside(pattern)) {
        Some((place, pattern)) => Err(InvalidRun::Outside { place, pattern: pattern.clone() }),
        None => Ok(()),
    }
}

fn files(source: Option<String>, sent: Vec<RunFile>, usual_name: &str) -> Result<Vec<File>, InvalidRun> {
    let field = if source.is_some() { "source" } else { "files" };
    let sent = match source {
        Some(_) if !sent.is_empty() => return Err(InvalidRun::TwiceCode),
        Some(content) => vec![RunFile { name: None, content, encoding: Encoding::Utf8 }],
        None if sent.is_empty() => return Err(InvalidRun::NoCode),
        None => sent,
    };
    at_most("files", sent.len(), FILES_MAX)?;
    let mut files: Vec<File> = Vec::with_capacity(sent.len());
    for (place, RunFile { name, content, encoding }) in sent.into_iter().enumerate() {
        let path = path(name.as_deref().unwrap_or(usual_name), || format!("files[{place}].name"))?;
        let named = || path.as_str().to_owned();
        if path.as_str() == BUILT || path.below(BUILT).is_some() {
            return Err(InvalidRun::Built { place, name: named() });
        }
        if files.iter().any(|other| collide(&other.path, &path)) {
            return Err(InvalidRun::TwicePath { place, name: named() });
        }
        let bytes = encoding.decode(content).ok_or_else(|| InvalidRun::Encoding { place, name: named() })?;
        files.push(File { path, bytes });
    }
    no_longer(field, files.iter().map(|file| file.bytes.len()), SOURCE_BYTES_MAX)?;
    Ok(files)
}

fn collide(a: &FilePath, b: &FilePath) -> bool {
    a == b || a.below(b.as_str()).is_some() || b.below(a.as_str()).is_some()
}

fn path(name: &str, field: impl FnOnce() -> String) -> Result<FilePath, InvalidRun> {
    name.parse().map_err(|source| InvalidRun::Path { field: field(), name: name.to_owned(), source })
}

fn words(words: Vec<String>) -> Result<Vec<String>, InvalidRun> {
    at_most("args", words.len(), WORDS_MAX)?;
    no_longer("args", words.iter().map(String::len), WORDS_BYTES_MAX)?;
    match words.iter().position(|word| word.contains('\0')) {
        Some(place) => Err(InvalidRun::Nul { field: format!("args[{place}]") }),
        None => Ok(words),
    }
}

fn stdins(one: Option<String>, several: Vec<String>) -> Result<Vec<Vec<u8>>, InvalidRun> {
    if one.is_some() && !several.is_empty() {
        return Err(InvalidRun::TwiceStdin);
    }
    at_most("stdins", several.len(), STDINS_MAX)?;
    let inputs = if several.is_empty() { vec![one.unwrap_or_default()] } else { several };
    Ok(inputs.into_iter().map(String::into_bytes).collect())
}

fn env(asked: std::collections::BTreeMap<String, String>) -> Result<Vec<(EnvName, String)>, InvalidRun> {
    at_most("env", asked.len(), WORDS_MAX)?;
    no_longer("env", asked.values().map(String::len), WORDS_BYTES_MAX)?;
    let mut env = Vec::with_capacity(asked.len());
    for (name, value) in asked {
        if value.contains('\0') {
            return Err(InvalidRun::Nul { field: format!("env.{name}") });
        }
        match name.parse() {
            Ok(name) => env.push((name, value)),
            Err(source) => return Err(InvalidRun::Env { name, source }),
        }
    }
    Ok(env)
}

fn at_most(field: &'static str, count: usize, most: usize) -> Result<(), InvalidRun> {
    if count > most { Err(InvalidRun::TooMany { field, count, most }) } else { Ok(()) }
}

fn no_longer(field: &'static str, lengths: impl Iterator<Item = usize>, most: usize) -> Result<(), InvalidRun> {
    let bytes = lengths.sum();
    if bytes > most { Err(InvalidRun::TooLong { field, bytes, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
