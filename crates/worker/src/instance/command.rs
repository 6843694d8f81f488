//! The user's own command, in the user's own sandbox: the only place of this crate where a shell reads anything.

use crate::process::Command;

/// The arguments that have a shell run a command. Words are found in `PATH` and stay as they are: they are the shell's
/// parameters, which it does not read.
pub(super) fn by_shell(command: Command<'_>) -> Vec<String> {
    let mut arguments = vec!["/bin/sh".to_owned(), "-c".to_owned()];
    match command {
        Command::Line(line) => arguments.push(line.to_owned()),
        Command::Words(words) => {
            arguments.extend(["exec \"$@\"", "sh"].map(str::to_owned));
            arguments.extend(words.iter().cloned());
        }
    }
    arguments
}
