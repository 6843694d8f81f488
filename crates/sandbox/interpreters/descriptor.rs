//! A descriptor that is closed when nobody has it any more.

use core::ffi::{c_int, c_void};

use crate::c::{self, Failed, checked};

pub(crate) struct Descriptor(c_int);

impl Descriptor {
    /// `number` is an open descriptor that nobody else closes.
    pub(crate) fn new(number: c_int) -> Self {
        Self(number)
    }

    /// One more of the same, numbered `least` or above.
    pub(crate) fn duplicate(number: c_int, least: c_int) -> Result<Self, Failed> {
        // SAFETY: takes two numbers, whatever they are.
        let made = unsafe { c::fcntl(number, c::F_DUPFD_CLOEXEC, least) };
        checked(made, "duplicate a descriptor").map(|_| Self(made))
    }

    /// Of a process.
    pub(crate) fn of_process(pid: c_int) -> Result<Self, Failed> {
        // SAFETY: takes two numbers, whatever they are.
        let made = unsafe { c::syscall(c::PIDFD_OPEN, pid, 0) };
        checked(made, "hold on to a process").map(|number| Self(number as c_int))
    }

    pub(crate) fn number(&self) -> c_int {
        self.0
    }

    /// Whether something can be read, or a process has ended, by now.
    pub(crate) fn is_ready(&self) -> bool {
        let mut watched = c::PollFd { fd: self.0, events: c::POLLIN, revents: 0 };
        // SAFETY: points to one that is ours.
        unsafe { c::poll(&mut watched, 1, 0) > 0 }
    }

    /// Takes the place of a stream.
    pub(crate) fn put_in_place_of(&self, stream: c_int) -> Result<(), Failed> {
        // SAFETY: takes two numbers; what a stream was, nobody here has as a `Descriptor`.
        checked(unsafe { c::dup2(self.0, stream) }, "put a stream in place").map(drop)
    }

    /// As much as there is now and room for; 0 at the end.
    pub(crate) fn read(&self, into: &mut [u8]) -> Result<usize, Failed> {
        loop {
            // SAFETY: writes into the slice alone.
            let got = unsafe { c::read(self.0, into.as_mut_ptr().cast::<c_void>(), into.len()) };
            if got >= 0 || c::errno() != c::EINTR {
                return checked(got as core::ffi::c_long, "read").map(|got| got as usize);
            }
        }
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failed> {
        // SAFETY: reads the slice alone.
        let put = unsafe { c::write(self.0, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
        checked(put as core::ffi::c_long, "write").map(drop)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: it is ours, and used by nobody after this.
        unsafe { c::close(self.0) };
    }
}
