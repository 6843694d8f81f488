//! What ignore files left out, and which line of which file said so: what a person who misses a folder has to know.

use std::fmt;

/// How many are remembered. Whoever ignores more than this does so on purpose.
pub(super) const REMEMBERED_MAX: usize = 200;

/// A file or folder that an ignore file left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Relative to the source. For a folder, all below it is left out too.
    pub path: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The ignore file, relative to the source.
    pub file: String,
    /// The line of it that decided, counted from 1.
    pub line: usize,
}

/// One sentence: what, by which line, and what brings it back.
impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, is_folder, file, line } = self;
        let slash = if *is_folder { "/" } else { "" };
        write!(f, "`{path}{slash}` is ignored by {file}:{line} and is not sent; ")?;
        if file.ends_with(".skyliftignore") {
            write!(f, "take that line out to send it")
        } else {
            write!(f, "to send it, write `!/{path}{slash}` in .skyliftignore")
        }
    }
}
