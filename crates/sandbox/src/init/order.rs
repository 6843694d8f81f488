//! A sandbox that was made ahead waits here, locked down already, until it is told what to run.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::mounts;
use crate::control::{self, Go, Report};
use crate::spec::{Order, Spec};

/// Hands over the folder that the host wants to hold, and takes what is to run into the spec; where none is wanted, the spec
/// says it already. When the host goes meanwhile, the watcher ends us.
pub(super) fn wait(spec: &mut Spec, control: &OwnedFd) -> io::Result<()> {
    let Some(folder) = &spec.holds else { return Ok(()) };
    let held = mounts::open_root(folder).map_err(io::Error::other)?;
    control::send(control, &Report::Prepared, &[held.as_fd()])?;
    drop(held);
    let Some((Go {}, attached)) = control::receive(control)? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    let file = attached.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
    let Order { argv, env, cwd, limits } = serde_json::from_reader(io::BufReader::new(File::from(file)))?;
    (spec.argv, spec.env, spec.cwd, spec.limits) = (argv, env, cwd, limits);
    Ok(())
}
