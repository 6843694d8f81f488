//! Why a folder is not taken.

use std::fmt::Display;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::frames::{Refusal, RefusalCode};

/// Why reading a folder stopped.
#[derive(Debug)]
pub(super) enum Failure {
    /// The folder is not taken.
    Refused(Refusal),
    /// Nobody listens any more.
    Out(io::Error),
}

/// Something in the folder is of a kind that is not taken.
pub(super) fn not_taken(path: &str, why: impl Display) -> Failure {
    Failure::Refused(Refusal::new(RefusalCode::InvalidTree, format!("`{path}`: {why}"), "remove or rename it"))
}

/// The folder holds more than the limits allow.
pub(super) fn too_large(message: String) -> Failure {
    Failure::Refused(Refusal::new(RefusalCode::TooLarge, message, "leave out what is not needed"))
}

/// Something in the folder cannot be read.
pub(super) fn unreadable(path: &str, error: impl Into<io::Error>) -> Failure {
    let message = format!("`{path}` cannot be read: {}", error.into());
    Failure::Refused(Refusal::new(RefusalCode::InvalidTree, message, "check its permissions"))
}

/// The folder itself cannot be opened.
pub(super) fn root(root: &Path, error: Errno) -> Failure {
    let why = match error {
        Errno::LOOP => "is a symbolic link, or lies below one; it must be a folder",
        Errno::NOENT => "does not exist",
        Errno::NOTDIR => "is not a folder",
        _ => return unreadable(&root.to_string_lossy(), error),
    };
    let message = format!("`{}` {why}", root.display());
    Failure::Refused(Refusal::new(RefusalCode::InvalidTree, message, "check the build's `output` setting"))
}
