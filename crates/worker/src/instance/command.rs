//! The user's own command, in the user's own sandbox: the only place of this crate where a shell reads anything.

/// The arguments that have a shell run a command.
pub(super) fn by_shell(command: &str) -> [String; 3] {
    ["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()]
}
