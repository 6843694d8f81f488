//! The languages that are here.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::Glob;
use skylift_model::wire;
use skylift_sandbox::{InitFile, Output, Spec};

use crate::language::Language;
use crate::place::seen;

/// The languages of this machine, with their versions.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(Vec<Arc<Found>>);

#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) language: Language,
    pub(crate) told: wire::Language,
    /// What its sandboxes see besides what all do.
    pub(crate) sees: Vec<PathBuf>,
    /// The linker that its compiler is quickest with, where it is not the usual one.
    pub(crate) linker: Option<String>,
}

/// The longest answer to the question for a version.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Whom the question is asked as.
const ASKER_UID: u32 = 599_999;

impl Catalogue {
    /// Looks for every language that there is a file for, by asking for its version in a sandbox. Blocks for some hundred milliseconds.
    pub fn look(init: Option<&InitFile>) -> Self {
        let is_here = |program: &String| Path::new(program).exists();
        let here =
            Language::all().filter(|language| language.version.first().into_iter().chain(&language.needs).all(is_here));
        let found = here.filter_map(|language| {
            let sees = language.sees.as_deref().map(folders).unwrap_or_default();
            let version = ask(&language, &sees, init.cloned())?;
            let linker = language.quick.as_ref().and_then(|quick| quick.linker.clone()).filter(|name| is_linker(name));
            Some(Arc::new(Found { told: told(&language, version), sees, linker, language }))
        });
        Self(found.collect())
    }

    /// What clients are told.
    pub fn told(&self) -> Vec<wire::Language> {
        self.0.iter().map(|found| found.told.clone()).collect()
    }

    /// A language by its name or one of its other names.
    pub fn find(&self, name: &str) -> Option<&wire::Language> {
        self.found(name).map(|found| &found.told)
    }

    pub(crate) fn found(&self, name: &str) -> Option<&Arc<Found>> {
        self.0.iter().find(|found| found.told.is_called(name))
    }
}

/// Of a language that Skylift knows, by any of its names: what it is called, and the program that has to be on a machine for it.
pub fn program_of(name: &str) -> Option<(String, String)> {
    let known = Language::all().find(|language| told(language, String::new()).is_called(name))?;
    Some((known.name.clone(), known.version.first()?.clone()))
}

fn told(language: &Language, version: String) -> wire::Language {
    wire::Language {
        name: language.name.clone(),
        aliases: language.aliases.clone(),
        version,
        file_name: language.file_name.clone(),
        compiled: language.is_compiled(),
        compile_options: language.compile_options.clone(),
        package_sets: Vec::new(),
        start: None,
    }
}

/// Whether a linker is here; compilers look for it by this name.
fn is_linker(name: &str) -> bool {
    Path::new(&format!("/usr/bin/ld.{name}")).exists()
}

/// The folders that a glob in one folder names.
fn folders(glob: &str) -> Vec<PathBuf> {
    let Ok(matcher) = Glob::new(glob) else { return Vec::new() };
    let matcher = matcher.compile_matcher();
    let entries = Path::new(glob).parent().and_then(|folder| std::fs::read_dir(folder).ok());
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.is_dir() && matcher.is_match(path)).collect()
}

fn ask(language: &Language, sees: &[PathBuf], init: Option<InitFile>) -> Option<String> {
    let mut spec = Spec::new(language.version.iter().cloned());
    spec.init = init;
    (spec.uid, spec.gid) = (ASKER_UID, ASKER_UID);
    (spec.stdout, spec.stderr) = (Output::Pipe, Output::WithStdout);
    spec.env.extend(language.env.clone());
    spec.mounts.extend(sees.iter().map(|path| seen(path)));
    let answer = skylift_sandbox::spawn(&spec).map_err(|error| error.to_string()).and_then(|mut sandbox| {
        let mut answer = String::new();
        let stdout = sandbox.stdout.take().map(std::fs::File::from);
        let read = stdout.map(|stdout| stdout.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)).transpose();
        read.and_then(|_| sandbox.wait()).map(|_| answer).map_err(|error| error.to_string())
    });
    match answer {
        Ok(answer) => version_in(&answer),
        Err(error) => {
            tracing::warn!(language = language.name, error, "cannot ask a language for its version");
            None
        }
    }
}

/// The first number in an answer, with its parts: `Python 3.11.2`, `v20.20.2`, `go version go1.19.8 linux/amd64`.
fn version_in(answer: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let start = answer.find(|c: char| c.is_ascii_digit())?;
    let version: String = answer.get(start..)?.chars().take_while(|c| is_part(*c)).collect();
    Some(version.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_answer() {
        for (answer, version) in [
            ("Python 3.11.2\n", Some("3.11.2")),
            ("v20.20.2\n", Some("20.20.2")),
            ("go version go1.19.8 linux/amd64\n", Some("1.19.8")),
            ("GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)\n", Some("5.2.15")),
            ("openjdk 17.0.19 2026-01-20\n", Some("17.0.19")),
            ("rustc 1.63.0 (Debian)\n", Some("1.63.0")),
            ("no such thing\n", None),
        ] {
            assert_eq!(version_in(answer).as_deref(), version, "{answer}");
        }
    }
}
