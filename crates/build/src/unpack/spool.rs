//! An archive kept aside while it is read: a zip's list of entries stands at its end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::outgoing::{Stop, too_large};
use crate::frames::{IntakeLimits, Refusal, RefusalCode};

/// Copies `input` to a file in `folder` that has no name any more when this returns.
pub(super) fn spool(input: impl Read, limits: &IntakeLimits, folder: &Path) -> Result<File, Stop> {
    let mut file = nameless(folder).map_err(no_room)?;
    let mut input = Input { inner: input.take(limits.bytes_max.saturating_add(1)), error: None };
    let copied = io::copy(&mut input, &mut file);
    if let Some(error) = input.error {
        return Err(Stop::Input(error));
    }
    if copied.map_err(no_room)? > limits.bytes_max {
        return Err(too_large(format!("the archive has more than {} bytes", limits.bytes_max)).into());
    }
    Ok(file)
}

fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".archive-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn no_room(error: io::Error) -> Stop {
    Refusal::new(RefusalCode::Sandbox, format!("the archive cannot be kept while it is read: {error}"), "").into()
}

/// Tells errors of the input from errors of the file.
struct Input<R> {
    inner: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.error = Some(error);
                Err(io::ErrorKind::Other.into())
            }
            result => result,
        }
    }
}
