//! Asks before what cannot be undone: the name of what goes is typed, or `--yes` was said.

use std::io::{self, BufRead, IsTerminal};

use super::output::ask;
use super::problem::Problem;

/// Returns where the name was typed. `deed` says what would be done, as in "deletes shop with all its deployments".
pub(super) fn confirm(name: &str, deed: &str) -> Result<(), Problem> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Problem::usage(format!("deleting {name} cannot be undone; say --yes where nobody can be asked")));
    }
    ask(&format!("This {deed} and cannot be undone. Type its name to go on: "));
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|source| Problem::read("standard input", source))?;
    if line.trim() == name {
        return Ok(());
    }
    Err(Problem::refused(format!("that was not its name: {name} is left as it is"), "type the name, or say --yes"))
}
