//! The socket between the host and `sandbox-init`: whole messages, with descriptors attached.
//!
//! The host says [`Start`], [`Go`] to one that was made ahead, and [`Bear`] to a nursery; the rest are [`Report`]s. The host's end is also
//! the lifeline: when it closes, the sandbox dies.

use std::collections::BTreeMap;
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

/// From the host. Attached: the spec's file, stdin, stdout and stderr unless those come later, the door's two where the spec
/// serves, then the spec's descriptors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) fallback: Fallback,
    pub(crate) streams: Streams,
}

/// When the payload's ends of its streams are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Streams {
    Now,
    /// With [`Go::Run`], or to a zygote instead.
    Later,
}

/// From the host, to a sandbox that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Go {
    /// Attached: the file of its [`crate::Order`], and the streams that were to come later.
    Run,
    /// A payload has entered from outside, and the sandbox ends with it. Attached: its pidfd.
    WatchOver,
}

/// From the host, to its nursery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Bear {
    /// One more sandbox. Attached: its control socket, in which a [`Start`] lies already, and where it joins its groups.
    Cell,
    /// An interpreter to be forked. Attached: its control socket, its script, the files of the names `beside` it, and where it joins its groups.
    Zygote { argv: Vec<String>, env: BTreeMap<String, String>, beside: Vec<String> },
}

/// What stands in for a controller that cannot be used here. Only processes have one: the address-space limit would
/// be the one for memory, and breaks every JIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fallback {
    None,
    /// Processes are limited per user, which is close where each sandbox has its own.
    CountByUser,
}

/// From `sandbox-init`, a nursery, a zygote, or of a payload that has entered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// PID 1, the zygote or the payload exists. Attached: its pidfd.
    Born,
    /// Attached: the relay's sockets, in the order connect, `tcp`, `dns`.
    Listening { tcp: Vec<u16>, dns: usize },
    /// All but the payload's program is there, or whatever a nursery or zygote needs. Attached by PID 1: the folder that the host
    /// wants to hold.
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
    send_bytes(socket, &serde_json::to_vec(message)?, attached)
}

/// The same of what is not JSON.
pub(crate) fn send_bytes(socket: impl AsFd, bytes: &[u8], attached: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if attached.len() > DESCRIPTORS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    if !attached.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(attached));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
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
