//! A zygote is tried before anything of anybody's is run by it: whether it works, where that depends on more than what its interpreter
//! promises, and where programs write to.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use skylift_model::run::LIMITS;
use skylift_sandbox::{Exit, Parked, Range, Sandbox, SpawnError};

use crate::folder;
use crate::language::Warm;
use crate::place;
use crate::readable;

/// What is run, which ends well and says this word and then a number by chance.
pub(crate) struct Trial {
    warm: Warm,
    file: &'static str,
    program: &'static str,
    arguments: Vec<String>,
}

const SAYS: &str = "fine ";
/// Far more than it takes.
const LASTS: Duration = Duration::from_secs(10);

/// Whether both halves of an interpreter that was forked behind its back go together.
pub(crate) fn of(warm: Warm) -> Trial {
    let (file, program) = match warm {
        Warm::Python => ("trial.py", include_str!("../trials/python.py")),
        Warm::Node => ("trial.js", include_str!("../trials/node.js")),
    };
    Trial { warm, file, program, arguments: Vec::new() }
}

/// Python with modules of packages in it, by their names.
pub(crate) fn of_packages(modules: &[String]) -> Trial {
    let (warm, file, program) = (Warm::Python, "trial.py", include_str!("../trials/packages.py"));
    Trial { warm, file, program, arguments: modules.to_vec() }
}

/// Which writes to memory as nearly every program does, says [`SAYS`] near its end, and waits there.
pub(crate) fn of_writes(warm: Warm) -> Trial {
    let (file, program) = match warm {
        Warm::Python => ("writes.py", include_str!("../trials/writes.py")),
        Warm::Node => ("writes.js", include_str!("../trials/writes.js")),
    };
    Trial { warm, file, program, arguments: Vec::new() }
}

/// How it has failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("put the program there")]
    Put(#[source] io::Error),
    #[error("hear it")]
    Hear(#[source] io::Error),
    #[error("it has not ended within {}s", LASTS.as_secs())]
    TooSlow,
    #[error("it has ended with {exit:?} and said {said:?}")]
    Wrong { exit: Exit, said: String },
    #[error("it was not heard to be near its end; it said {said:?}")]
    Silent { said: String },
    #[error("look at its memory")]
    Look(#[source] io::Error),
    #[error("both forks have drawn the same number")]
    Alike,
}

/// Runs it twice, each time in what `enter` makes.
pub(crate) fn pass<E: From<Failed>, U>(trial: &Trial, enter: impl Fn() -> Result<(Parked, U), E>) -> Result<(), E> {
    let run = || {
        let (parked, user) = enter()?;
        let said = run(trial, parked);
        drop(user);
        said.map_err(E::from)
    };
    let (first, second) = (run()?, run()?);
    if first == second { Err(Failed::Alike.into()) } else { Ok(()) }
}

/// Where it has written to once it is near its end.
pub(crate) fn writes(trial: &Trial, parked: Parked) -> Result<Vec<Range>, Failed> {
    let before = parked.own_pages().map_err(Failed::Look)?;
    let mut sandbox = start(trial, parked)?;
    let said = hear_until_fine(sandbox.stdout.take())?;
    if !said.contains(SAYS.trim()) {
        return Err(Failed::Silent { said });
    }
    Ok(sandbox.own_pages().map_err(Failed::Look)?.since(&before))
}

fn start(trial: &Trial, parked: Parked) -> Result<Sandbox, Failed> {
    let file = skylift_model::run::File {
        path: trial.file.parse().map_err(|_| Failed::Hear(io::ErrorKind::InvalidInput.into()))?,
        bytes: trial.program.as_bytes().to_vec(),
    };
    folder::put(parked.folder(), &[file], 0, false).map_err(Failed::Put)?;
    let words = std::iter::once(trial.file.to_owned()).chain(trial.arguments.iter().cloned()).collect();
    let order = place::order(words, trial.warm.env(), &LIMITS.usual);
    Ok(parked.start(&order)?.0)
}

fn run(trial: &Trial, parked: Parked) -> Result<String, Failed> {
    let mut sandbox = start(trial, parked)?;
    let said = hear(sandbox.stdout.take(), &sandbox)?;
    let exit = sandbox.wait().map_err(Failed::Hear)?.exit;
    if exit == Exit::Code(0) && said.starts_with(SAYS) { Ok(said) } else { Err(Failed::Wrong { exit, said }) }
}

/// What it says until it is fine, or ends.
fn hear_until_fine(stdout: Option<OwnedFd>) -> Result<String, Failed> {
    let Some(stdout) = stdout else { return Ok(String::new()) };
    let mut stdout = File::from(stdout);
    let (began, mut said, mut piece) = (Instant::now(), Vec::new(), [0; 512]);
    loop {
        let left = LASTS.saturating_sub(began.elapsed());
        if !readable::within(&stdout, left).map_err(Failed::Hear)? {
            return Err(Failed::TooSlow);
        }
        let length = stdout.read(&mut piece).map_err(Failed::Hear)?;
        said.extend_from_slice(piece.get(..length).unwrap_or_default());
        let text = String::from_utf8_lossy(&said);
        if length == 0 || text.contains(SAYS.trim()) {
            return Ok(text.into_owned());
        }
    }
}

/// All that it says until it has ended. What takes too long is killed when its sandbox is dropped.
fn hear(stdout: Option<OwnedFd>, sandbox: &Sandbox) -> Result<String, Failed> {
    if !readable::within(sandbox.pidfd(), LASTS).map_err(Failed::Hear)? {
        return Err(Failed::TooSlow);
    }
    let mut said = Vec::new();
    stdout.map(|stdout| File::from(stdout).read_to_end(&mut said)).transpose().map_err(Failed::Hear)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}
