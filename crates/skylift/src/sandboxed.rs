//! Our own commands inside sandboxes: they read users' bytes and write frames, and are never run by people.

use std::ffi::OsString;
use std::io::{stdin, stdout};
use std::path::Path;
use std::process::ExitCode;

use skylift_build::frames::IntakeLimits;
use skylift_build::unpack::unpack;
use skylift_build::walk::{WalkRules, walk};

/// Runs the hidden command that the arguments name, where they name one.
pub(crate) fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = arguments.iter().skip(1).filter_map(|word| word.to_str()).collect();
    let done = match words.as_slice() {
        ["sandbox-init", ..] => skylift_sandbox::init_main(),
        ["sandbox-unpack", limits] => limits_of(limits)
            .and_then(|limits| unpack(stdin().lock(), stdout().lock(), &limits, Path::new("/tmp")).ok()),
        ["sandbox-walk", limits, folder] => limits_of(limits)
            .and_then(|limits| walk(Path::new(folder), stdout().lock(), &WalkRules::output(limits)).ok()),
        ["sandbox-walk-program", limits, folder] => limits_of(limits)
            .and_then(|limits| walk(Path::new(folder), stdout().lock(), &WalkRules::program(limits)).ok()),
        ["sandbox-clone"] => {
            skylift_build::git::clone::clone_main(stdin().lock(), std::env::vars(), stdout().lock()).ok()
        }
        _ => return None,
    };
    Some(if done.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn limits_of(text: &str) -> Option<IntakeLimits> {
    serde_json::from_str(text).ok()
}
