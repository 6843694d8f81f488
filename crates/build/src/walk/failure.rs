//! Why a folder is not taken.

use std::fmt::Display;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use skylift_model::program::ROOT;

use crate::frames::{Refusal, RefusalCode};

/// Why reading a folder stopped.
#[derive(Debug)]
pub(super) enum Failure {
    /// The folder is not taken.
    Refused(Refusal),
    /// An entry is of a kind that no list of files can hold.
    Odd(Refusal),
    /// Nobody listens any more.
    Out(io::Error),
}

/// Something in the folder is as it must not be.
pub(super) fn not_taken(path: &str, why: impl Display) -> Failure {
    Failure::Refused(refusal(path, why))
}

/// Something in the folder is of a kind that no list of files can hold.
pub(super) fn odd(path: &str, why: impl Display) -> Failure {
    Failure::Odd(refusal(path, why))
}

fn refusal(path: &str, why: impl Display) -> Refusal {
    Refusal::new(RefusalCode::InvalidTree, format!("`{path}`: {why}"), "remove or rename it")
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

/// The folder itself cannot be opened. It is the one in which a build was to leave its result.
pub(super) fn root(root: &Path, error: Errno) -> Failure {
    // Where the source lies in the sandbox is nothing that its owner knows.
    let shown = root.strip_prefix(ROOT).unwrap_or(root).display();
    let message = match error {
        Errno::NOENT => format!("the build left no folder `{shown}`"),
        Errno::LOOP => format!("`{shown}` is a symbolic link, or lies below one; it must be a folder"),
        Errno::NOTDIR => format!("`{shown}` is not a folder"),
        _ => return unreadable(&shown.to_string(), error),
    };
    let hint = "name the folder with the result in skylift.toml: [build] output = \"…\"";
    Failure::Refused(Refusal::new(RefusalCode::InvalidTree, message, hint))
}
