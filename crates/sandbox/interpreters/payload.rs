//! A fork's way into a sandbox: from the groups on, all that it uses is the sandbox's; and it gives up whatever a program must not have.

use core::ffi::{c_int, c_uint, c_void};
use core::{ptr, slice, str};

use crate::c::{self, Failed, Limit, checked};
use crate::descriptor::Descriptor;
use crate::messages::{Attached, tell, tell_failure};

/// Defences that tests leave out, by the bits of `enter.rs`.
const RIGHTS: u32 = 1;
const GROUPS: u32 = 2;
pub(crate) const DESCRIPTORS: u32 = 4;
const LIFELINE: u32 = 8;

/// What the host says of the sandbox.
pub(crate) struct Wanted {
    uid: c_uint,
    gid: c_uint,
    left_out: u32,
}

impl Wanted {
    pub(crate) fn parse(words: &[u8]) -> Self {
        let mut numbers = words.split(|byte| *byte == b' ').map(|word| number(word).unwrap_or_default() as u32);
        let mut next = || numbers.next().unwrap_or_default();
        Self { uid: next(), gid: next(), left_out: next() }
    }

    pub(crate) fn leaves_out(&self, defence: u32) -> bool {
        self.left_out & defence != 0
    }
}

pub(crate) fn enter(
    wanted: &Wanted,
    cell: &Descriptor,
    rest: &mut Attached,
    zygote: &Descriptor,
) -> Result<(), Failed> {
    let streams = [rest.take(), rest.take(), rest.take()];
    while let Some(group) = rest.take() {
        if !wanted.leaves_out(GROUPS) {
            group.write(b"0")?;
        }
    }
    // SAFETY: these take numbers alone.
    unsafe {
        checked(c::setns(cell.number(), c::CLONE_NEW_OTHERS), "enter its namespaces")?;
        c::setsid();
        c::umask(0o022);
    }
    for (number, stream) in (0..).zip(&streams) {
        stream.as_ref().ok_or(Failed { step: "a stream is missing", errno: 0 })?.put_in_place_of(number)?;
    }
    if !wanted.leaves_out(RIGHTS) {
        give_up_rights(wanted)?;
    }
    // SAFETY: these take numbers alone.
    unsafe {
        if !wanted.leaves_out(LIFELINE) {
            // After the change of user, which would clear it.
            checked(c::prctl(c::PR_SET_PDEATHSIG, c::SIGKILL, 0, 0, 0), "tie it to its zygote")?;
            if zygote.is_ready() {
                c::exit_now(127);
            }
        }
        checked(c::prctl(c::PR_SET_DUMPABLE, 1, 0, 0, 0), "show itself").map(drop)
    }
}

fn give_up_rights(wanted: &Wanted) -> Result<(), Failed> {
    let (header, nothing): ([u32; 2], [u32; 6]) = ([0x2008_0522, 0], [0; 6]);
    // SAFETY: the first three take numbers and an empty list; the last reads two arrays that are as long as the version says.
    unsafe {
        if c::geteuid() == 0 {
            checked(c::setgroups(0, ptr::null()), "leave its groups")?;
            checked(c::setresgid(wanted.gid, wanted.gid, wanted.gid), "become the group")?;
            checked(c::setresuid(wanted.uid, wanted.uid, wanted.uid), "become the user")?;
        }
        checked(c::syscall(c::CAPSET, header.as_ptr(), nothing.as_ptr()), "give up every right").map(drop)
    }
}

/// A payload that has entered.
pub(crate) struct Waiting {
    pub(crate) order: Descriptor,
    pub(crate) told: Descriptor,
    /// Whether it keeps what it has of its zygote, which only tests ask for.
    #[allow(dead_code, reason = "Python's has nothing")]
    pub(crate) shares: bool,
}

impl Waiting {
    /// Says that it waits, and returns what it is to be: all fields after the limits, which hold from here on. It has nothing of ours any
    /// more then. Ends where the host has gone, or wants nothing.
    pub(crate) fn order(self) -> Fields {
        tell(&self.told, b"\"Prepared\"", None);
        let all = match all_of(&self.order) {
            Ok(all) => Fields(all),
            Err(failed) => {
                tell_failure(&self.told, failed);
                c::exit_now(127)
            }
        };
        let Fields(mut rest) = all;
        let mut next = || {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let field = rest.get(..end);
            rest = rest.get(end + 1..)?;
            field
        };
        let (Some(file_bytes), Some(open_files), Some(processes)) = (next(), next(), next()) else { c::exit_now(127) };
        let known = [
            (c::RLIMIT_CORE, Some(0)),
            (c::RLIMIT_MSGQUEUE, Some(0)),
            (c::RLIMIT_FSIZE, number(file_bytes)),
            (c::RLIMIT_NOFILE, number(open_files)),
            (c::RLIMIT_NPROC, number(processes)),
        ];
        for (what, wanted) in known {
            if let Some(Err(failed)) = wanted.map(|wanted| limit(what, wanted)) {
                tell_failure(&self.told, failed);
                c::exit_now(127);
            }
        }
        Fields(rest)
    }
}

/// Texts that end with a NUL each.
pub(crate) struct Fields(pub(crate) &'static [u8]);

impl Fields {
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split_inclusive(|byte| *byte == 0).filter_map(|field| field.strip_suffix(b"\0"))
    }
}

/// Kept for as long as the process lives.
fn all_of(order: &Descriptor) -> Result<&'static [u8], Failed> {
    let (mut start, mut room, mut length) = (ptr::null_mut::<c_void>(), 0, 0);
    loop {
        if length == room {
            room = if room == 0 { 1 << 12 } else { room * 2 };
            // SAFETY: `start` is null or what the last call has returned, and nothing else points there.
            start = unsafe { c::realloc(start, room) };
            if start.is_null() {
                return Err(Failed { step: "there is no memory for the order", errno: 0 });
            }
        }
        // SAFETY: from `length` on, `room - length` bytes are ours; they are only written to.
        let free = unsafe { slice::from_raw_parts_mut(start.cast::<u8>().add(length), room - length) };
        match order.read(free)? {
            // SAFETY: so many have been written, and nobody frees or changes them.
            0 => return Ok(unsafe { slice::from_raw_parts(start.cast::<u8>(), length) }),
            more => length += more,
        }
    }
}

/// Lowers, never raises.
fn limit(what: c_int, wanted: u64) -> Result<(), Failed> {
    let mut now = Limit::default();
    // SAFETY: both read or write one that is ours.
    unsafe {
        checked(c::getrlimit(what, &mut now), "know a limit")?;
        let wanted = wanted.min(now.hard);
        checked(c::setrlimit(what, &Limit { soft: wanted, hard: wanted }), "set a limit").map(drop)
    }
}

/// `None` of nothing, too.
fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}
