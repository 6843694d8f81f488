//! The ignore files of a tree, and what they say about an entry.
//!
//! `.skyliftignore` decides before `.dockerignore` (the root's only) and `.gitignore`, so that it can bring back what
//! those leave out, such as a `dist` that is to be deployed as it is. Within a kind, the file nearest to the entry
//! decides. Nothing above the root and nothing of the user's own Git settings counts.

use std::fs;
use std::io;
use std::path::Path;
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
    git: Vec<Arc<Gitignore>>,
    skylift: Vec<Arc<Gitignore>>,
    docker: Option<Arc<Dockerignore>>,
    covering: Covering,
}

/// What to do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it.
    Send,
    /// Leave it out, and all below it.
    Skip,
    /// Leave the folder out, but look whether something below it is brought back.
    SkipButEnter,
}

impl Rules {
    /// The rules of the root folder.
    pub(super) fn of_root(root: &Path, names: &[String]) -> Result<Self, FolderError> {
        let has_docker = names.iter().any(|name| name == DOCKERIGNORE);
        let docker = if has_docker { read_dockerignore(&root.join(DOCKERIGNORE))? } else { None };
        let rules = Self { git: Vec::new(), skylift: Vec::new(), docker, covering: Covering::default() };
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
            Some(Said::Ignore) => return Verdict::Skip,
            None => {}
        }
        if matches!(nearest(&self.git, absolute, is_folder), Some(Said::Ignore)) {
            return Verdict::Skip;
        }
        let Some(docker) = &self.docker else { return Verdict::Send };
        let covering = self.covering_of(path);
        // Docker itself reads these two even where the file lists them.
        if !docker.leaves_out(covering) || path == "Dockerfile" || path == DOCKERIGNORE {
            Verdict::Send
        } else if is_folder && docker.may_bring_back_below(covering) {
            Verdict::SkipButEnter
        } else {
            Verdict::Skip
        }
    }

    fn covering_of(&self, path: &str) -> Covering {
        self.docker.as_ref().map_or(self.covering, |docker| docker.cover(path, self.covering))
    }
}

enum Said {
    Keep,
    Ignore,
}

fn nearest(files: &[Arc<Gitignore>], absolute: &Path, is_folder: bool) -> Option<Said> {
    files.iter().rev().find_map(|file| match file.matched(absolute, is_folder) {
        Match::None => None,
        Match::Ignore(_) => Some(Said::Ignore),
        Match::Whitelist(_) => Some(Said::Keep),
    })
}

fn read_gitignore(folder: &Path, name: &str) -> Result<Option<Arc<Gitignore>>, FolderError> {
    let file = folder.join(name);
    let Some(text) = read_text(&file)? else { return Ok(None) };
    let mut builder = GitignoreBuilder::new(folder);
    for line in text.trim_start_matches('\u{feff}').lines() {
        // Git passes over lines that are no pattern; so does this. A folder must not become undeployable by one.
        let _ = builder.add_line(None, line);
    }
    let rules = builder.build().map_err(|error| pattern(&file, &error))?;
    Ok((!rules.is_empty()).then(|| Arc::new(rules)))
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
