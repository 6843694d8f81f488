//! The socket between the host and `sandbox-init`: whole messages, with descriptors attached.
//!
//! The host says [`Start`], and [`Go`] to one that was made ahead; the rest are [`Report`]s. The host's end is also the lifeline: when it closes,
//! the sandbox dies.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The kernel's limit of descriptors in one message.
const DESCRIPTORS_MAX: usize = 253;
/// The spec itself travels in a file, so that messages stay small.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// From the host. Attached: the spec's file, stdin, stdout, stderr, the door's two where the spec serves, then the spec's
/// descriptors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) fallback: Fallback,
}

/// From the host, to a sandbox that waits for it. Attached: the file of its [`crate::Order`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Go {}

/// What stands in for a controller that cannot be used here. Only processes have one: the address-space limit would
/// be the one for memory, and breaks every JIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fallback {
    None,
    /// Processes are limited per user, which is close where each sandbox has its own.
    CountByUser,
}

/// From `sandbox-init`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// PID 1 exists. Attached: its pidfd.
    Born,
    /// Attached: the relay's sockets, in the order connect, `tcp`, `dns`.
    Listening { tcp: Vec<u16>, dns: usize },
    /// All but the payload is there. Attached: the folder that the host wants to hold.
    Prepared,
    /// The payload runs. Attached: its pidfd.
    Started,
    /// A step failed; nothing of the payload has run.
    Failed { message: String },
    /// The payload itself could not be started.
    NotExecutable { errno: i32 },
    /// The payload ended. CPU time and memory are those of all processes PID 1 has reaped.
    Exited { exit: crate::Exit, cpu_ms: u64, rss_bytes_max: u64 },
}

/// Two connected ends.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// The same for a door: neither end ever blocks. Apart from the control socket, so that reports and answers never mix.
pub(crate) fn door_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

pub(crate) fn send(socket: impl AsFd, message: &impl Serialize, attached: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if attached.len() > DESCRIPTORS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    if !attached.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(attached));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message, or `None` when the other side has closed.
pub(crate) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut attached = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            attached.extend(descriptors);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too large"));
    }
    let message = serde_json::from_slice(bytes.get(..received.bytes).unwrap_or_default())?;
    Ok(Some((message, attached)))
}
