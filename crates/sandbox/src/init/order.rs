//! A sandbox that was made ahead waits here, locked down already, until it is told what to run.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::mounts;
use super::payload::Streams;
use crate::control::{self, Go, Report};
use crate::spec::{Order, Spec};

/// What is to become of a sandbox that was made ahead.
pub(super) enum Ordered {
    /// What the spec says by then, with the streams that have come, if they had not before.
    Run(Option<Streams>),
    /// Nothing: a payload has entered.
    WatchOver(OwnedFd),
}

/// Hands over the folder that the host wants to hold, and takes what is to run into the spec; where none is wanted, the spec
/// says it already. When the host goes meanwhile, so do we.
pub(super) fn wait(spec: &mut Spec, control: &OwnedFd) -> io::Result<Ordered> {
    let Some(folder) = &spec.holds else { return Ok(Ordered::Run(None)) };
    let held = mounts::open_root(folder).map_err(io::Error::other)?;
    control::send(control, &Report::Prepared, &[held.as_fd()])?;
    drop(held);
    let Some((go, attached)) = control::receive::<Go>(control)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let mut attached = attached.into_iter();
    let first = attached.next().ok_or(io::ErrorKind::InvalidData)?;
    if go == Go::WatchOver {
        return Ok(Ordered::WatchOver(first));
    }
    let Order { argv, env, cwd, limits } = serde_json::from_reader(io::BufReader::new(File::from(first)))?;
    (spec.argv, spec.env, spec.cwd, spec.limits) = (argv, env, cwd, limits);
    let streams = match (attached.next(), attached.next(), attached.next()) {
        (Some(stdin), Some(stdout), Some(stderr)) => Some(Streams { stdin, stdout, stderr }),
        _ => None,
    };
    Ok(Ordered::Run(streams))
}
