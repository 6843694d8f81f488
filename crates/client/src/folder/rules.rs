//! The ignore files of a tree, and what they say about an entry.
//!
//! `.skyliftignore` decides before `.dockerignore` (the root's only) and `.gitignore`, so that it can bring back what
//! those leave out, such as a `dist` that is to be deployed as it is. Within a kind, the file nearest to the entry
//! decides. Nothing above the root and nothing of the user's own Git settings counts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::FolderError;
use super::dockerignore::{Covering, Dockerignore};

const GITIGNORE: &str = ".gitignore";
const SKYLIFTIGNORE: &str = ".skyliftignore";
const DOCKERIGNORE: &str = ".dockerignore";

/// What the ignore files of a folder and of those above it say. Cheap to clone.
#[derive(Clone)]
pub(super) struct Rules {
    /// From the root to the folder.
    git: Vec<Arc<IgnoreFile>>,
    skylift: Vec<Arc<IgnoreFile>>,
    docker: Option<Arc<Dockerignore>>,
    covering: Covering,
    root: Arc<Path>,
}

/// A `.gitignore` or `.skyliftignore`.
struct IgnoreFile {
    path: PathBuf,
    text: String,
    rules: Gitignore,
}

/// What to do with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it.
    Send,
    /// Leave it out, and all below it.
    Skip(Cause),
    /// Leave the folder out, but look whether something below it is brought back.
    SkipButEnter,
}

/// The line of an ignore file that leaves something out, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

impl Rules {
    /// The rules of the root folder.
    pub(super) fn of_root(root: &Path, names: &[String]) -> Result<Self, FolderError> {
        let has_docker = names.iter().any(|name| name == DOCKERIGNORE);
        let docker = if has_docker { read_dockerignore(&root.join(DOCKERIGNORE))? } else { None };
        let covering = Covering::default();
        let rules = Self { git: Vec::new(), skylift: Vec::new(), docker, covering, root: root.into() };
        rules.with_files_of(root, names)
    }

    /// The rules in a folder at `path` below the one these rules are of.
    pub(super) fn of_folder(&self, folder: &Path, path: &str, names: &[String]) -> Result<Self, FolderError> {
        let is_brought_back = matches!(nearest(&self.skylift, folder, true), Some(Said::Keep));
        let covering = if is_brought_back { Covering::default() } else { self.covering_of(path) };
        Self { covering, ..self.clone() }.with_files_of(folder, names)
    }

    fn with_files_of(mut self, folder: &Path, names: &[String]) -> Result<Self, FolderError> {
        for name in names {
            match name.as_str() {
                GITIGNORE => self.git.extend(read_gitignore(folder, GITIGNORE)?),
                SKYLIFTIGNORE => self.skylift.extend(read_gitignore(folder, SKYLIFTIGNORE)?),
                _ => {}
            }
        }
        Ok(self)
    }

    /// What to do with the entry at `path` (relative to the root), which lies at `absolute`.
    pub(super) fn verdict(&self, absolute: &Path, path: &str, is_folder: bool) -> Verdict {
        match nearest(&self.skylift, absolute, is_folder) {
            Some(Said::Keep) => return Verdict::Send,
            Some(Said::Ignore(cause)) => return Verdict::Skip(cause),
            None => {}
        }
        if let Some(Said::Ignore(cause)) = nearest(&self.git, absolute, is_folder) {
            return Verdict::Skip(cause);
        }
        let Some(docker) = &self.docker else { return Verdict::Send };
        let covering = self.covering_of(path);
        // Docker itself reads these two even where the file lists them.
        let is_dockers_own = path == "Dockerfile" || path == DOCKERIGNORE;
        match docker.left_out_by_line(covering).filter(|_| !is_dockers_own) {
            None => Verdict::Send,
            Some(_) if is_folder && docker.may_bring_back_below(covering) => Verdict::SkipButEnter,
            Some(line) => Verdict::Skip(Cause { file: self.root.join(DOCKERIGNORE), line }),
        }
    }

    fn covering_of(&self, path: &str) -> Covering {
        self.docker.as_ref().map_or(self.covering, |docker| docker.cover(path, self.covering))
    }
}

enum Said {
    Keep,
    Ignore(Cause),
}

fn nearest(files: &[Arc<IgnoreFile>], absolute: &Path, is_folder: bool) -> Option<Said> {
    files.iter().rev().find_map(|file| match file.rules.matched(absolute, is_folder) {
        Match::None => None,
        Match::Ignore(glob) => Some(Said::Ignore(file.cause(glob.original()))),
        Match::Whitelist(_) => Some(Said::Keep),
    })
}

impl IgnoreFile {
    /// Where a pattern stands. Of equal ones the last decides.
    fn cause(&self, pattern: &str) -> Cause {
        let line = self.text.lines().enumerate().filter(|(_, line)| line.trim_end() == pattern.trim_end()).last();
        Cause { file: self.path.clone(), line: line.map_or(1, |(before, _)| before + 1) }
    }
}

fn read_gitignore(folder: &Path, name: &str) -> Result<Option<Arc<IgnoreFile>>, FolderError> {
    let file = folder.join(name);
    let Some(text) = read_text(&file)? else { return Ok(None) };
    let text = text.trim_start_matches('\u{feff}').to_owned();
    let mut builder = GitignoreBuilder::new(folder);
    for line in text.lines() {
        // Git passes over lines that are no pattern; so does this. A folder must not become undeployable by one.
        let _ = builder.add_line(None, line);
    }
    let rules = builder.build().map_err(|error| pattern(&file, &error))?;
    Ok((!rules.is_empty()).then(|| Arc::new(IgnoreFile { path: file, text, rules })))
}

fn read_dockerignore(file: &Path) -> Result<Option<Arc<Dockerignore>>, FolderError> {
    let Some(text) = read_text(file)? else { return Ok(None) };
    Dockerignore::parse(&text).map(|rules| Some(Arc::new(rules))).map_err(|error| pattern(file, &error))
}

fn read_text(file: &Path) -> Result<Option<String>, FolderError> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        // A folder of that name, or a dangling link, holds no rules.
        Err(error) if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::NotFound) => Ok(None),
        Err(source) => Err(FolderError::Read { path: file.to_owned(), source }),
    }
}

fn pattern(file: &Path, error: &impl std::fmt::Display) -> FolderError {
    FolderError::Pattern { file: file.to_owned(), message: error.to_string() }
}
