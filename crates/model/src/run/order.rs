//! From what a client sent to what a worker is given.

use super::{Encoding, File, Job, LimitsAbove, LimitsKnown};
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
    Path { name: String, source: InvalidPath },
    #[error("the file `{name}` is there twice, or is a folder of another")]
    TwicePath { name: String },
    #[error("the file `{name}`: `{BUILT}` is where what was compiled lies")]
    Built { name: String },
    #[error("{what} is not what its `encoding` says")]
    Encoding { what: String },
    #[error("there is no file `{0}` to be run")]
    NoEntry(String),
    #[error("the variable `{name}`: {source}")]
    Env { name: String, source: InvalidName },
    #[error("{0} holds a NUL character")]
    Nul(&'static str),
    #[error("{what}: {count} are more than {most}")]
    TooMany { what: &'static str, count: usize, most: usize },
    #[error("version {asked} of {language} is not here; {found} is")]
    Version { language: String, asked: String, found: String },
    #[error("{language} does not take the compiler's option `{option}`")]
    Option { language: String, option: String },
    #[error("there is no set of packages `{name}` for {language}; {}", those(there))]
    Packages { language: String, name: String, there: Vec<String> },
    #[error("ttl_s: {0} is not between {least} and {most}", least = TTL_S[0], most = TTL_S[2])]
    Ttl(u64),
    #[error("priority: {0} is not between {least} and {PRIORITY_MAX}", least = -PRIORITY_MAX)]
    Priority(i32),
    #[error(transparent)]
    Limits(#[from] LimitsAbove),
}

impl InvalidRun {
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
            Self::Nul(_) => "leave it out; as bytes of a file it may be sent in base64",
            Self::TooMany { .. } => "send less, or several runs",
            Self::Version { .. } => "leave `version` out, or ask for what `GET /v1/languages` tells",
            Self::Option { .. } => "`GET /v1/languages` tells the options of each language",
            Self::Packages { .. } => "`GET /v1/languages` tells the sets of each language and what is in them",
            Self::Ttl(_) => "leave `ttl_s` out to have it kept for a day",
            Self::Priority(_) => "leave `priority` out for 0; what has more goes first",
            Self::Limits(_) => "`GET /v1/limits` tells what may be asked for",
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
            Some(entry) => path(&entry)?,
            None => files.first().map(|file| file.path.clone()).ok_or(InvalidRun::NoCode)?,
        };
        if !files.iter().any(|file| file.path == entry) {
            return Err(InvalidRun::NoEntry(entry.as_str().to_owned()));
        }
        at_most("outputs", self.outputs.len(), OUTPUTS_MAX)?;
        at_most("bytes of outputs", self.outputs.iter().map(String::len).sum(), OUTPUTS_BYTES_MAX)?;
        at_most("compile_options", self.compile_options.len(), WORDS_MAX)?;
        let stray = self.compile_options.iter().find(|option| !language.compile_options.contains(option));
        if let Some(option) = stray {
            return Err(InvalidRun::Option { language: language.name.clone(), option: option.clone() });
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

fn files(source: Option<String>, sent: Vec<RunFile>, usual_name: &str) -> Result<Vec<File>, InvalidRun> {
    let sent = match source {
        Some(_) if !sent.is_empty() => return Err(InvalidRun::TwiceCode),
        Some(content) => vec![RunFile { name: None, content, encoding: Encoding::Utf8 }],
        None if sent.is_empty() => return Err(InvalidRun::NoCode),
        None => sent,
    };
    at_most("files", sent.len(), FILES_MAX)?;
    let mut files: Vec<File> = Vec::with_capacity(sent.len());
    for RunFile { name, content, encoding } in sent {
        let path = path(name.as_deref().unwrap_or(usual_name))?;
        if path.as_str() == BUILT || path.below(BUILT).is_some() {
            return Err(InvalidRun::Built { name: path.as_str().to_owned() });
        }
        if files.iter().any(|other| collide(&other.path, &path)) {
            return Err(InvalidRun::TwicePath { name: path.as_str().to_owned() });
        }
        let bytes =
            encoding.decode(content).ok_or_else(|| InvalidRun::Encoding { what: format!("the file `{path}`") })?;
        files.push(File { path, bytes });
    }
    at_most("bytes of files", files.iter().map(|file| file.bytes.len()).sum(), SOURCE_BYTES_MAX)?;
    Ok(files)
}

fn collide(a: &FilePath, b: &FilePath) -> bool {
    a == b || a.below(b.as_str()).is_some() || b.below(a.as_str()).is_some()
}

fn path(name: &str) -> Result<FilePath, InvalidRun> {
    name.parse().map_err(|source| InvalidRun::Path { name: name.to_owned(), source })
}

fn words(words: Vec<String>) -> Result<Vec<String>, InvalidRun> {
    at_most("args", words.len(), WORDS_MAX)?;
    at_most("bytes of args", words.iter().map(String::len).sum(), WORDS_BYTES_MAX)?;
    if words.iter().any(|word| word.contains('\0')) { Err(InvalidRun::Nul("one of args")) } else { Ok(words) }
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
    at_most("bytes of env", asked.values().map(String::len).sum(), WORDS_BYTES_MAX)?;
    let mut env = Vec::with_capacity(asked.len());
    for (name, value) in asked {
        if value.contains('\0') {
            return Err(InvalidRun::Nul("one of env"));
        }
        match name.parse() {
            Ok(name) => env.push((name, value)),
            Err(source) => return Err(InvalidRun::Env { name, source }),
        }
    }
    Ok(env)
}

fn at_most(what: &'static str, count: usize, most: usize) -> Result<(), InvalidRun> {
    if count > most { Err(InvalidRun::TooMany { what, count, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
