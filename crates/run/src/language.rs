//! What is known of a language: one file each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use skylift_model::run::{File, Job};
use skylift_model::{EnvName, FilePath};
use skylift_sandbox::ZygoteSpec;

use crate::quick::Quick;

/// Where a run's files lie, inside.
pub(crate) const BOX: &str = "/box";
/// Where what was compiled lies, below that.
pub(crate) use skylift_model::run::BUILT;

/// A language, as its file has it.
///
/// Words of `compile` and `run` may hold `{entry}` (the file that is run, as a path), `{stem}` (its name without what follows the
/// last dot) and `{built}` (the folder for what is compiled); the words `{sources}` and `{options}` stand for several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    /// Its name.
    pub(crate) name: String,
    /// Other names that it is known by.
    pub(crate) aliases: Vec<String>,
    /// What its source is called where no name is given.
    pub(crate) file_name: String,
    /// Prints the version; where it cannot be executed, the language is not here.
    pub(crate) version: Vec<String>,
    /// What has to be here as well.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    /// Folders besides those that every sandbox sees, read-only, as a glob: settings that it cannot do without.
    pub(crate) sees: Option<String>,
    /// Compiles, where the language is compiled.
    #[serde(default)]
    compile: Vec<String>,
    /// What the names of sources end in, besides the entry.
    #[serde(default)]
    sources: Vec<String>,
    /// What the compiler may be told by who sends code.
    #[serde(default)]
    pub(crate) compile_options: Vec<String>,
    /// Globs of what belongs to the compiler: where that changes, what was compiled before is of no more use.
    #[serde(default)]
    pub(crate) made_of: Vec<String>,
    /// Words with which a source may come out otherwise each time it is compiled.
    #[serde(default)]
    pub(crate) unlike: Vec<String>,
    /// A quicker way to compile.
    pub(crate) quick: Option<Quick>,
    /// Which interpreter can wait for it, loaded; else it is started for each run.
    warm: Option<Warm>,
    /// How variables begin that it heeds only as it starts: with one of those it is started.
    #[serde(default)]
    heeds: Vec<String>,
    /// The same of files: packages in the home of whoever starts it.
    #[serde(default)]
    heeds_files: Vec<String>,
    /// Runs.
    run: Vec<String>,
    /// Variables for both.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

/// An interpreter that is loaded once and forked for each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Warm {
    Python,
    Node,
}

impl Warm {
    /// The name of its language.
    pub(crate) const fn language(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    /// The variables of its programs.
    pub(crate) fn env(self) -> BTreeMap<String, String> {
        Language::of(self).map(|language| language.env_of(&[])).unwrap_or_default()
    }

    /// What its zygote is; none where this executable was not built for one.
    pub(crate) fn zygote(self) -> Option<ZygoteSpec> {
        let mut zygote = match self {
            Self::Python => ZygoteSpec::python(),
            Self::Node => ZygoteSpec::node(),
        }?;
        // An interpreter heeds them as it is loaded; a program that has others does not run in a fork.
        zygote.env.extend(Language::of(self).map(|language| language.env).unwrap_or_default());
        Some(zygote)
    }
}

const FILES: [&str; 8] = [
    include_str!("../languages/python.toml"),
    include_str!("../languages/node.toml"),
    include_str!("../languages/cpp.toml"),
    include_str!("../languages/c.toml"),
    include_str!("../languages/bash.toml"),
    include_str!("../languages/go.toml"),
    include_str!("../languages/rust.toml"),
    include_str!("../languages/java.toml"),
];

/// Read once. A file that cannot be read is told and left out.
static ALL: LazyLock<Vec<Language>> = LazyLock::new(|| {
    let read =
        |file: &&str| toml::from_str(file).map_err(|error| tracing::error!(%error, "a language's file cannot be read"));
    FILES.iter().filter_map(|file| read(file).ok()).collect()
});

impl Language {
    /// Every language there is a file for.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ALL.iter().cloned()
    }

    /// That of an interpreter.
    fn of(warm: Warm) -> Option<Self> {
        ALL.iter().find(|language| language.warm == Some(warm)).cloned()
    }

    /// The variables of a program: what every one has, what those of this language have, what it was sent with.
    pub(crate) fn env_of(&self, sent: &[(EnvName, String)]) -> BTreeMap<String, String> {
        let every = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", BOX), ("LANG", "C.UTF-8"), ("TMPDIR", "/tmp")];
        let mut env: BTreeMap<_, _> = every.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        env.extend(self.env.clone());
        env.extend(sent.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())));
        env
    }

    /// The compiler and its arguments, where there is one.
    pub(crate) fn compile(&self, job: &Job) -> Option<Vec<String>> {
        (!self.compile.is_empty()).then(|| self.words(&self.compile, job))
    }

    /// Whether it is compiled before it is run.
    pub(crate) fn is_compiled(&self) -> bool {
        !self.compile.is_empty()
    }

    /// Its interpreter, where that can wait.
    pub(crate) fn interpreter(&self) -> Option<Warm> {
        self.warm
    }

    /// Whether an interpreter of it can wait.
    pub(crate) fn waits(&self) -> bool {
        self.warm.is_some()
    }

    /// Which loaded interpreter a job can be run by.
    pub(crate) fn warm_for(&self, job: &Job) -> Option<Warm> {
        let begins = |begins: &[String], name: &str| begins.iter().any(|begin| name.starts_with(begin));
        let heeds = |name: &EnvName| begins(&self.heeds, name.as_str());
        let heeds_file = |file: &File| begins(&self.heeds_files, file.path.as_str());
        // What is no text is told by the interpreter in words of its own.
        let is_text = |file: &File| file.path != job.entry || !file.bytes.contains(&0);
        let may_wait = || !job.files.iter().any(heeds_file) && job.files.iter().all(is_text);
        self.warm.filter(|_| !job.env.iter().any(|(name, _)| heeds(name)) && may_wait())
    }

    /// What runs, and its arguments.
    pub(crate) fn run(&self, job: &Job) -> Vec<String> {
        let mut words = self.words(&self.run, job);
        words.extend(job.args.iter().cloned());
        words
    }

    fn words(&self, pattern: &[String], job: &Job) -> Vec<String> {
        let mut words = Vec::new();
        for word in pattern {
            match word.as_str() {
                "{sources}" => words.extend(self.sources(job)),
                "{options}" => words.extend(job.compile_options.iter().cloned()),
                word => words.push(
                    word.replace("{built}", &format!("{BOX}/{BUILT}"))
                        .replace("{stem}", stem(&job.entry))
                        .replace("{entry}", &inside(&job.entry)),
                ),
            }
        }
        words
    }

    /// The entry first, then the others that are compiled with it.
    fn sources(&self, job: &Job) -> Vec<String> {
        self.compiled(job).map(inside).collect()
    }

    fn compiled<'j>(&'j self, job: &'j Job) -> impl Iterator<Item = &'j FilePath> {
        let others = job.files.iter().map(|file| &file.path);
        std::iter::once(&job.entry).chain(others.filter(|path| **path != job.entry && self.is_source(path)))
    }

    fn is_source(&self, path: &FilePath) -> bool {
        self.sources.iter().any(|ending| extension(path) == Some(ending))
    }

    /// The files that are compiled, where the compiler takes each for a source of this language, as their names have it.
    pub(crate) fn only_sources(&self, job: &Job) -> Option<Vec<FilePath>> {
        self.compiled(job).map(|path| self.is_source(path).then(|| path.clone())).collect()
    }
}

/// Absolute, so that no name is taken for an option.
fn inside(path: &FilePath) -> String {
    format!("{BOX}/{path}")
}

fn stem(path: &FilePath) -> &str {
    let name = path.file_name();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn extension(path: &FilePath) -> Option<&str> {
    path.file_name().rsplit_once('.').map(|(_, ending)| ending)
}

#[cfg(test)]
mod tests {
    use skylift_model::run::File;
    use skylift_model::{RunId, Timestamp};

    use super::*;

    fn job(names: &[&str]) -> Job {
        let files: Vec<_> = names.iter().map(|name| File { path: name.parse().unwrap(), bytes: Vec::new() }).collect();
        let job = Job::new(RunId::new(Timestamp::from_millis(0), 0), "", files[0].clone());
        Job { files, args: vec!["--flag".into()], compile_options: vec!["-O3".into()], ..job }
    }

    fn named(name: &str) -> Language {
        Language::all().find(|language| language.name == name).unwrap()
    }

    #[test]
    fn every_file_is_a_language_with_names_of_its_own() {
        let all: Vec<Language> = Language::all().collect();
        assert_eq!(all.len(), FILES.len());
        let mut names: Vec<&String> = all.iter().flat_map(|one| one.aliases.iter().chain([&one.name])).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn sources_are_named_by_their_whole_path_and_the_entry_is_the_first() {
        let words = named("c++").compile(&job(&["a/-main.cpp", "b.cc", "b.h"])).unwrap();
        assert_eq!(words, ["/usr/bin/g++", "-O2", "-o", "/box/.built/program", "-O3", "/box/a/-main.cpp", "/box/b.cc"]);
        assert_eq!(named("c++").run(&job(&["a.cpp"])), ["/box/.built/program", "--flag"]);
    }

    #[test]
    fn what_only_a_start_heeds_is_not_run_warm() {
        let mut job = job(&["main.js"]);
        assert_eq!(named("node").warm_for(&job), Some(Warm::Node));
        job.env = vec![("NAME".parse().unwrap(), "value".into())];
        assert_eq!(named("node").warm_for(&job), Some(Warm::Node));
        job.env.push(("NODE_OPTIONS".parse().unwrap(), "--stack-size=2000".into()));
        assert_eq!((named("node").warm_for(&job), named("python").warm_for(&job)), (None, Some(Warm::Python)));
        job.env.push(("PYTHONHASHSEED".parse().unwrap(), "0".into()));
        assert_eq!(named("python").warm_for(&job), None);
        let python = |job: &Job| named("python").warm_for(job);
        let mut beside = self::job(&["main.py", ".local/lib/python3.11/site-packages/x.py", "data"]);
        assert_eq!(python(&beside), None, "what its start would find");
        beside.files.remove(1);
        beside.files[1].bytes = vec![0];
        assert_eq!(python(&beside), Some(Warm::Python));
        beside.files[0].bytes = b"print(1)\0".to_vec();
        assert_eq!(python(&beside), None, "the interpreter says so in words of its own");
    }

    #[test]
    fn a_name_that_looks_like_a_pattern_is_a_name() {
        let run = named("python").run(&job(&["{built}{stem}.py"]));
        assert_eq!(run, ["/usr/bin/python3", "/box/{built}{stem}.py", "--flag"]);
        assert_eq!(named("java").run(&job(&["Main.java"]))[7..], ["Main", "--flag"]);
    }
}
