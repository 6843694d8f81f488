//! The exit codes. They are part of the contract with scripts: few, stable, and listed in docs/cli.md.

/// What was asked for is done; for `deploy`, it is live.
pub(crate) const SUCCESS: u8 = 0;
/// The deployment failed, was cancelled or was overtaken by a newer one; what was live still is.
pub(crate) const DEPLOYMENT_FAILED: u8 = 1;
/// There is no such app, deployment, file or job.
pub(crate) const NOT_FOUND: u8 = 3;
/// No token, one that is not known, or one that may not do this.
pub(crate) const NOT_ALLOWED: u8 = 4;
/// The input or the state of things does not allow it.
pub(crate) const REFUSED: u8 = 5;
/// No server answered, or none is known.
pub(crate) const UNREACHABLE: u8 = 6;
/// Interrupted while waiting; what was begun goes on at the server.
pub(crate) const INTERRUPTED: u8 = 7;
/// The command line cannot be understood.
pub(crate) const USAGE: u8 = 64;
/// A fault of ours, here or at the server.
pub(crate) const INTERNAL: u8 = 70;

// `skylift run` passes on the code of what it ran. Its own codes lie where `timeout` and `docker run` have theirs: who runs a program under
// them can tell its verdict from the platform's trouble.

/// `skylift run`: it did not compile.
pub(crate) const NOT_COMPILED: u8 = 122;
/// `skylift run`: it met another limit than that of its time: processor time, memory, output.
pub(crate) const LIMIT_MET: u8 = 123;
/// `skylift run`: it ran longer than it may, as `timeout` tells it.
pub(crate) const TIME_OVER: u8 = 124;
/// `skylift run`: who read its output has gone, and it was ended: 128 and the number of SIGPIPE, as a shell tells it.
pub(crate) const READER_GONE: u8 = 141;
/// `skylift run`: it was not run, or not to its end: whatever is no verdict about the code, as `docker run` tells it.
pub(crate) const NOT_RUN: u8 = 125;
