//! Where the entries of an archive go, and what already lies there.

use std::collections::HashMap;

use skylift_model::FilePath;
use skylift_model::path::InvalidPath;

use super::outgoing::{not_taken, too_large};
use crate::frames::{IntakeLimits, Refusal};
use crate::walk::Skip;

/// The most bytes of all names together.
const NAME_BYTES_MAX: usize = 64 << 20;
/// How many entries of an archive may be skipped or folders, for each file it may have.
const OTHERS_PER_FILE: u64 = 4;

/// Where an entry goes.
#[derive(Debug)]
pub(super) enum Place {
    At(FilePath),
    /// `.` or `./`: the root, which every archive has.
    Root,
    /// Left out on purpose.
    Skipped,
}

#[derive(Clone, Copy)]
enum Node {
    Folder,
    Link,
    File { number: u64, size: u64 },
}

/// What an archive has put where, so far.
pub(super) struct Tree {
    nodes: HashMap<Box<str>, Node>,
    name_bytes: usize,
    entries: u64,
    entries_max: u64,
    skip: Skip,
}

impl Tree {
    pub(super) fn new(limits: &IntakeLimits) -> Self {
        let entries_max = limits.files_max.saturating_mul(1 + OTHERS_PER_FILE);
        Self { nodes: HashMap::new(), name_bytes: 0, entries: 0, entries_max, skip: Skip::SOURCE }
    }

    pub(super) fn entries_max(&self) -> u64 {
        self.entries_max
    }

    /// Reads an entry's name. Names are relative; a leading `./` and one trailing `/` are what `tar c .` writes.
    pub(super) fn place(&mut self, name: &[u8]) -> Result<Place, Refusal> {
        self.entries += 1;
        if self.entries > self.entries_max {
            return Err(too_large(format!("the archive has more than {} entries", self.entries_max)));
        }
        let name = std::str::from_utf8(name).map_err(|_| not_taken("its name is not UTF-8"))?;
        if name == "." || name == "./" {
            return Ok(Place::Root);
        }
        let name = name.strip_prefix("./").unwrap_or(name);
        let name = name.strip_suffix('/').unwrap_or(name);
        let path = read_path(name).map_err(|error| not_taken(error.to_string()))?;
        let skipped = name.split('/').any(|part| self.skip.skips(part.as_bytes()));
        Ok(if skipped { Place::Skipped } else { Place::At(path) })
    }

    pub(super) fn add_folder(&mut self, path: &FilePath) -> Result<(), Refusal> {
        self.add_above(path)?;
        match self.nodes.get(path.as_str()) {
            None => self.insert(path.as_str(), Node::Folder),
            Some(Node::Folder) => Ok(()),
            Some(Node::Link | Node::File { .. }) => Err(not_taken("another entry has its name and is no folder")),
        }
    }

    pub(super) fn add_file(&mut self, path: &FilePath, number: u64, size: u64) -> Result<(), Refusal> {
        self.add_new(path, Node::File { number, size })
    }

    pub(super) fn add_link(&mut self, path: &FilePath) -> Result<(), Refusal> {
        self.add_new(path, Node::Link)
    }

    /// The number and size of the file at `path`.
    pub(super) fn file(&self, path: &FilePath) -> Option<(u64, u64)> {
        match self.nodes.get(path.as_str()) {
            Some(Node::File { number, size }) => Some((*number, *size)),
            Some(Node::Folder | Node::Link) | None => None,
        }
    }

    fn add_new(&mut self, path: &FilePath, node: Node) -> Result<(), Refusal> {
        self.add_above(path)?;
        if self.nodes.contains_key(path.as_str()) {
            return Err(not_taken("another entry has the same name"));
        }
        self.insert(path.as_str(), node)
    }

    /// The folders above an entry, most of which no archive lists.
    fn add_above(&mut self, path: &FilePath) -> Result<(), Refusal> {
        for above in path.folders_above() {
            match self.nodes.get(above) {
                Some(Node::Folder) => {}
                Some(Node::Link) => return Err(not_taken(format!("it lies below the symbolic link `{above}`"))),
                Some(Node::File { .. }) => return Err(not_taken(format!("it lies below the file `{above}`"))),
                None => self.insert(above, Node::Folder)?,
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: &str, node: Node) -> Result<(), Refusal> {
        self.name_bytes += path.len();
        if self.name_bytes > NAME_BYTES_MAX {
            return Err(too_large("the names of the archive's entries are too long together"));
        }
        self.nodes.insert(path.into(), node);
        Ok(())
    }
}

/// As [`FilePath`], except that a part `.git` is let through here, to be skipped.
fn read_path(name: &str) -> Result<FilePath, InvalidPath> {
    match name.parse() {
        Err(InvalidPath::Git) => {
            name.split('/').map(|part| if part == ".git" { "git" } else { part }).collect::<Vec<_>>().join("/").parse()
        }
        result => result,
    }
}
