//! What a clone says besides its files, on its way out of the sandbox: which commit, and what of it was left empty.

use serde::{Deserialize, Serialize};
use skylift_model::source::Commit;

use super::commit::{cleaned, is_disturbing};

/// How many of several things are named.
const NAMED_MAX: usize = 3;
const NAME_CHARS_MAX: usize = 200;

/// What a clone says besides its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneNote {
    /// The commit whose files they are.
    pub commit: Commit,
    /// Folders that stand for other repositories, which are not fetched.
    #[serde(default)]
    pub submodules: Named,
    /// Files that only point to what Git LFS keeps elsewhere.
    #[serde(default)]
    pub lfs_pointers: Named,
}

/// How many there are of something, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub count: u64,
    pub first: Vec<String>,
}

/// What a sandbox said is no such note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the description of the clone is malformed")]
pub struct InvalidNote;

impl CloneNote {
    /// Reads a note. It comes from the sandbox and is checked and cleaned again.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidNote> {
        let note: Self = serde_json::from_slice(bytes).map_err(|_| InvalidNote)?;
        Ok(Self {
            commit: cleaned(note.commit).map_err(|_| InvalidNote)?,
            submodules: note.submodules.cleaned(),
            lfs_pointers: note.lfs_pointers.cleaned(),
        })
    }

    /// What the person who deploys should know, with what to do.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.submodules.count > 0 {
            warnings.push(format!(
                "warning: submodules are not fetched, their folders stay empty: {}. Commit the files themselves, or \
                 deploy a folder in which they are checked out",
                self.submodules.shown()
            ));
        }
        if self.lfs_pointers.count > 0 {
            warnings.push(format!(
                "warning: files kept in Git LFS are not fetched, these are only pointers to them: {}. Commit the \
                 files themselves (git lfs migrate export), or deploy a folder in which they are checked out",
                self.lfs_pointers.shown()
            ));
        }
        warnings
    }
}

impl Named {
    /// Counts one more, and keeps its name where it is among the first.
    pub fn add(&mut self, name: &str) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(name.chars().take(NAME_CHARS_MAX).collect());
        }
    }

    /// The first names, and how many more there are.
    fn shown(&self) -> String {
        let names: Vec<_> = self.first.iter().map(|name| format!("`{name}`")).collect();
        let shown = names.join(", ");
        match self.count.saturating_sub(self.first.len() as u64) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }

    fn cleaned(self) -> Self {
        let clean = |name: &String| name.chars().filter(|c| !is_disturbing(*c)).take(NAME_CHARS_MAX).collect();
        Self { count: self.count, first: self.first.iter().take(NAMED_MAX).map(clean).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> CloneNote {
        let commit = Commit { hash: "0".repeat(40), author: "Ada".to_owned(), message: "m".to_owned() };
        CloneNote { commit, submodules: Named::default(), lfs_pointers: Named::default() }
    }

    fn sent(note: &CloneNote) -> Result<CloneNote, InvalidNote> {
        CloneNote::parse(&serde_json::to_vec(note).unwrap())
    }

    #[test]
    fn a_note_survives_the_way_out_and_a_malformed_one_is_refused() {
        assert_eq!(sent(&note()), Ok(note()));
        let commit = Commit { hash: "main".to_owned(), ..note().commit };
        assert_eq!(sent(&CloneNote { commit, ..note() }), Err(InvalidNote));
        assert_eq!(CloneNote::parse(b"{}"), Err(InvalidNote));
    }

    #[test]
    fn what_is_left_empty_is_named_with_what_to_do_and_without_what_disturbs() {
        assert_eq!(note().warnings(), Vec::<String>::new());
        let mut submodules = Named::default();
        for name in ["a", "b\u{202e}\x1b[2J", "c", "d", "e"] {
            submodules.add(name);
        }
        let lfs_pointers = Named { count: 1, first: vec!["logo.png".to_owned(); 100] };
        let parsed = sent(&CloneNote { submodules, lfs_pointers, ..note() }).unwrap();
        let warnings = parsed.warnings();
        assert!(warnings[0].contains("stay empty: `a`, `b[2J`, `c` and 2 more. Commit"), "{warnings:?}");
        assert!(warnings[1].contains("`logo.png`") && warnings[1].contains("git lfs migrate"), "{warnings:?}");
        assert!(warnings[1].len() < 400, "what a sandbox claims is cut");
    }
}
