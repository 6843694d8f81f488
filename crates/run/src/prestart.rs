//! Interpreters that are started ahead, one for each run, where they cannot be forked: each waits in a sandbox of its own.
//!
//! ```text
//! host: start ──▶ interpreter: reads the loader, says that it waits ──▶ host: puts files there, writes the order ──▶ it is the program
//! ```
//!
//! The order comes by the standard input, before what the program reads: no descriptor is left over of it, and what the program sees of
//! its streams is what it would see had it been started then.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use skylift_model::run::Warmth;
use skylift_sandbox::{Order, Sandbox, SpawnError};

use crate::cells::Cells;
use crate::folder;
use crate::language::{BOX, Warm};
use crate::place::{self, For, Place, Waiting};
use crate::readable;

/// What an interpreter runs first. It removes its own file before anything of a user's is there.
struct Loader {
    program: &'static str,
    file: &'static str,
    text: &'static str,
}

const NODE: Loader =
    Loader { program: "/usr/bin/node", file: ".ahead.cjs", text: include_str!("../prestart/node.cjs") };
/// Far more than it takes until it waits.
const WAITS_WITHIN: Duration = Duration::from_secs(10);

/// One that waits.
pub(crate) struct Started {
    sandbox: Sandbox,
    folder: OwnedFd,
}

/// Why one does not.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("put the loader there")]
    Put(#[source] std::io::Error),
    #[error("hear whether it waits")]
    Hear(#[source] std::io::Error),
    #[error("it did not say that it waits")]
    Silent,
}

/// A place in which an interpreter was started, with the usual limits; none for those that there is no loader for. Blocks until it waits.
pub(crate) fn start(warm: Warm, cells: &Cells) -> Option<Place> {
    let loader = match warm {
        Warm::Node => &NODE,
        Warm::Python => return None,
    };
    let Place { waiting, user, .. } = cells.empty(&cells.usual, For::Later)?;
    match start_in(waiting, loader, (user.uid(), cells)) {
        Ok(started) => Some(Place { waiting: Waiting::Started(started), user, start: Warmth::Prestarted }),
        Err(error) => {
            tracing::warn!(error = skylift_model::chain(&error), "no interpreter is started ahead");
            None
        }
    }
}

fn start_in(waiting: Waiting, loader: &Loader, (uid, cells): (u32, &Cells)) -> Result<Started, StartError> {
    let path = loader.file.parse().map_err(|_| StartError::Silent)?;
    let file = skylift_model::run::File { path, bytes: loader.text.as_bytes().to_vec() };
    folder::put(waiting.folder(), &[file], uid, false).map_err(StartError::Put)?;
    let argv = vec![loader.program.to_owned(), format!("{BOX}/{}", loader.file)];
    // The rest of its variables come with the order.
    let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let (sandbox, folder) = waiting.start(&place::order(argv, env, &cells.usual))?;
    wait(&sandbox)?;
    Ok(Started { sandbox, folder })
}

/// Until it says so, by one byte.
fn wait(sandbox: &Sandbox) -> Result<(), StartError> {
    let Some(stdout) = &sandbox.stdout else { return Err(StartError::Silent) };
    if !readable::within(stdout, WAITS_WITHIN).map_err(StartError::Hear)? {
        return Err(StartError::Silent);
    }
    let mut byte = [1];
    let stdout = stdout.try_clone().map_err(StartError::Hear)?;
    match File::from(stdout).read(&mut byte).map_err(StartError::Hear)? {
        1 if byte == [0] => Ok(()),
        _ => Err(StartError::Silent),
    }
}

impl Started {
    pub(crate) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Readable once everything in it has ended.
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.sandbox.pidfd()
    }

    /// The interpreter itself.
    pub(crate) fn payload_pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.sandbox.payload_pidfd()
    }

    /// Tells it what it is. Blocks until it has heard all of it.
    pub(crate) fn start(self, order: &Order) -> Result<(Sandbox, OwnedFd), SpawnError> {
        let Self { sandbox, folder } = self;
        let stdin = sandbox.stdin.as_ref().map(|stdin| stdin.try_clone());
        let stdin = stdin.ok_or(SpawnError::Ended)?.map_err(SpawnError::SendSpec)?;
        File::from(stdin).write_all(&words(order)).map_err(SpawnError::SendSpec)?;
        Ok((sandbox, folder))
    }
}

/// How many bytes follow, and those: the folder to start in, arguments behind the interpreter, variables.
fn words(order: &Order) -> Vec<u8> {
    let Order { argv, env, cwd, .. } = order;
    let argv = argv.get(1..).unwrap_or_default();
    let said = serde_json::to_vec(&(cwd as &PathBuf, argv, env)).unwrap_or_default();
    let length = u32::try_from(said.len()).unwrap_or(u32::MAX);
    length.to_le_bytes().into_iter().chain(said).collect()
}
