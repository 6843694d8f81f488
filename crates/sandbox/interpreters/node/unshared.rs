//! Descriptors of a fork's own, in place of those that Node had before: what one writes to a pipe that a zygote reads, the zygote believes.
//!
//! Node's event loops have pipes, counters and sets of what is waited for, some for every loop. libuv makes those of the main loop anew in a
//! fork, and a pipe that is a lock, and no others. The threads of those loops are not there, so what is new here is waited for by nobody.

use core::ffi::{c_int, c_uint};

use crate::c::{self, Failed, checked};

/// Node's own are below that.
pub(super) const NUMBERS: usize = 200;
const LEAST: usize = 3;

/// Linux, include/uapi/linux/stat.h.
const FILE_TYPE: u32 = 0o170_000;
const PIPE: u32 = 0o010_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
/// Of what has no place in any file system, as counters and sets have.
const ANONYMOUS: u32 = 0;

const WRITES_ONLY: c_int = 0o1;
const ACCESS: c_int = 0o3;
const GET_FLAGS: c_int = 3;
const CLOEXEC: c_int = 0o2_000_000;
const NONBLOCK: c_int = 0o4_000;
const REMOVE: c_int = 2;
const EINVAL: c_int = 22;

/// `struct stat`, as far as it is asked for, and room for the rest.
#[repr(C)]
struct Status {
    device: u64,
    file: u64,
    #[cfg(target_arch = "x86_64")]
    links: u64,
    mode: u32,
    rest: [u64; 24],
}

unsafe extern "C" {
    fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int;
    fn epoll_create1(flags: c_int) -> c_int;
    fn epoll_ctl(set: c_int, what: c_int, fd: c_int, event: *mut c_int) -> c_int;
    fn eventfd(count: c_uint, flags: c_int) -> c_int;
    fn fstat(fd: c_int, status: *mut Status) -> c_int;
    fn pipe2(ends: *mut c_int, flags: c_int) -> c_int;
}

/// The pipes that a zygote has, by its numbers: each is one file with two ends.
pub(super) struct Pipes([u64; NUMBERS]);

impl Pipes {
    pub(super) const NONE: Self = Self([0; NUMBERS]);

    pub(super) fn now() -> Self {
        let mut pipes = Self::NONE;
        for (number, file) in (0..).zip(&mut pipes.0).skip(LEAST) {
            *file = status(number).filter(is_pipe).map_or(0, |status| status.file);
        }
        pipes
    }

    /// In a fork: has it have nothing that its zygote has. What is none of the kinds that Node has is closed.
    pub(super) fn unshare(&self) -> Result<(), Failed> {
        for (number, file) in (0..).zip(self.0).skip(LEAST) {
            let Some(status) = status(number) else { continue };
            match status.mode & FILE_TYPE {
                PIPE if status.file == file => self.replace(file)?,
                // Made since, for this fork. And nothing, which Node keeps in reserve, or chance: nobody tells anybody anything by it.
                PIPE | CHARACTER_DEVICE => {}
                ANONYMOUS => replace_anonymous(number)?,
                // SAFETY: takes a number, which nobody uses.
                _ => drop(unsafe { c::close(number) }),
            }
        }
        Ok(())
    }

    /// All ends of a pipe, by those of a new one.
    fn replace(&self, file: u64) -> Result<(), Failed> {
        let mut ends = [-1; 2];
        // SAFETY: writes two numbers.
        checked(unsafe { pipe2(ends.as_mut_ptr(), CLOEXEC | NONBLOCK) }, "make a pipe")?;
        let [reads, writes] = ends;
        for (number, _) in (0..).zip(self.0).filter(|(_, of)| *of == file) {
            if status(number).is_none_or(|status| status.file != file) {
                continue;
            }
            // SAFETY: these take numbers alone.
            unsafe {
                let is_written_to = c::fcntl(number, GET_FLAGS) & ACCESS == WRITES_ONLY;
                checked(dup3(if is_written_to { writes } else { reads }, number, CLOEXEC), "replace a pipe")?;
            }
        }
        // SAFETY: these take numbers alone, of ends that nobody else has.
        unsafe {
            c::close(reads);
            c::close(writes);
        }
        Ok(())
    }
}

fn status(number: c_int) -> Option<Status> {
    // SAFETY: zeros are one.
    let mut status: Status = unsafe { core::mem::zeroed() };
    // SAFETY: takes a number, and writes to what is ours and long enough.
    (unsafe { fstat(number, &mut status) } == 0).then_some(status)
}

fn is_pipe(status: &Status) -> bool {
    status.mode & FILE_TYPE == PIPE
}

fn replace_anonymous(number: c_int) -> Result<(), Failed> {
    // SAFETY: these take numbers alone; the standard input is waited for by no set.
    unsafe {
        // A set says that it has no such member; anything else, that it is no set.
        let is_set = epoll_ctl(number, REMOVE, 0, core::ptr::null_mut()) == 0 || c::errno() != EINVAL;
        let made = if is_set { epoll_create1(CLOEXEC) } else { eventfd(0, CLOEXEC | NONBLOCK) };
        checked(made, "make a counter or a set")?;
        let replaced = dup3(made, number, CLOEXEC);
        c::close(made);
        checked(replaced, "replace a counter or a set").map(drop)
    }
}
