//! What is said between the host, the zygote and its forks: one message each, in the words of `control.rs`, with descriptors attached.

use core::ffi::{c_int, c_void};
use core::fmt::{self, Write};
use core::ptr;

use crate::c::{self, Failed, IoVec, MsgHdr, checked};
use crate::descriptor::Descriptor;

/// Descriptors in one message to a zygote.
pub(crate) const ATTACHED_MAX: usize = 64;
const HEADER_BYTES: usize = 16;
const SOL_SOCKET: c_int = 1;
const SCM_RIGHTS: c_int = 1;

/// As the kernel wants it: a length, two numbers, and then descriptors.
#[repr(C, align(8))]
struct Ancillary {
    length: usize,
    level: c_int,
    kind: c_int,
    descriptors: [c_int; ATTACHED_MAX],
}

/// A message's descriptors, in the order in which they were attached. What is not taken is closed.
pub(crate) struct Attached {
    all: [Option<Descriptor>; ATTACHED_MAX],
    next: usize,
}

impl Attached {
    pub(crate) fn take(&mut self) -> Option<Descriptor> {
        let taken = self.all.get_mut(self.next)?.take();
        self.next += 1;
        taken
    }
}

/// Waits for the next message. Of length 0 when nobody can send any more.
pub(crate) fn receive<'a>(from: &Descriptor, into: &'a mut [u8]) -> Result<(&'a [u8], Attached), Failed> {
    let mut ancillary = Ancillary { length: 0, level: 0, kind: 0, descriptors: [-1; ATTACHED_MAX] };
    let mut part = IoVec { base: into.as_mut_ptr().cast::<c_void>(), length: into.len() };
    let mut message = header(&mut part, &mut ancillary, size_of::<Ancillary>());
    let length = loop {
        // SAFETY: all that the header points to lives longer than the call and is as long as it says.
        let got = unsafe { c::recvmsg(from.number(), &mut message, c::MSG_CMSG_CLOEXEC) };
        if got >= 0 || c::errno() != c::EINTR {
            break checked(got as core::ffi::c_long, "receive")? as usize;
        }
    };
    let has = message.control_length >= HEADER_BYTES && (ancillary.level, ancillary.kind) == (SOL_SOCKET, SCM_RIGHTS);
    let count = if has { (ancillary.length - HEADER_BYTES) / size_of::<c_int>() } else { 0 };
    let mut attached = Attached { all: [const { None }; ATTACHED_MAX], next: 0 };
    for (place, number) in attached.all.iter_mut().zip(ancillary.descriptors).take(count) {
        *place = Some(Descriptor::new(number));
    }
    Ok((into.get(..length).unwrap_or_default(), attached))
}

/// Nobody may want to hear it any more.
pub(crate) fn tell(whom: &Descriptor, words: &[u8], attached: Option<&Descriptor>) {
    let mut ancillary = Ancillary {
        length: HEADER_BYTES + size_of::<c_int>(),
        level: SOL_SOCKET,
        kind: SCM_RIGHTS,
        descriptors: [-1; ATTACHED_MAX],
    };
    if let (Some(one), [first, ..]) = (attached, &mut ancillary.descriptors) {
        *first = one.number();
    }
    let mut part = IoVec { base: words.as_ptr().cast_mut().cast::<c_void>(), length: words.len() };
    let room = if attached.is_some() { HEADER_BYTES + 8 } else { 0 };
    let message = header(&mut part, &mut ancillary, room);
    // SAFETY: as in `receive`, and nothing of it is written to.
    unsafe { c::sendmsg(whom.number(), &message, c::MSG_NOSIGNAL) };
}

pub(crate) fn tell_failure(whom: &Descriptor, Failed { step, errno }: Failed) {
    let mut text = Text::default();
    let _ = write!(text, "{{\"Failed\":{{\"message\":\"enter the sandbox: {step}: error {errno}\"}}}}");
    tell(whom, text.bytes(), None);
}

fn header(part: &mut IoVec, ancillary: &mut Ancillary, control_length: usize) -> MsgHdr {
    MsgHdr {
        name: ptr::null_mut(),
        name_length: 0,
        parts: part,
        parts_count: 1,
        control: if control_length == 0 { ptr::null_mut() } else { ptr::from_mut(ancillary).cast::<c_void>() },
        control_length,
        flags: 0,
    }
}

/// A short text. What is too long is cut.
pub(crate) struct Text {
    bytes: [u8; 256],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 256], length: 0 }
    }
}

impl Text {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.bytes.get_mut(self.length).ok_or(fmt::Error)? = byte;
            self.length += 1;
        }
        Ok(())
    }
}
