//! The zygote's life: waits for sandboxes to enter, forks into each, and says how each fork has ended.

use core::ffi::c_int;
use core::fmt::Write;

use crate::c::{self, Failed, PollFd, Usage, checked};
use crate::descriptor::Descriptor;
use crate::messages::{self, Attached, Text, receive, tell, tell_failure};
use crate::payload::{self, Waiting, Wanted};
use crate::threads;

/// How many forks may live at the same time.
const FORKS_MAX: usize = 1024;
/// In how many ranges of addresses programs are known to write, and how long the message is that says so.
const WRITES_MAX: usize = 1024;
const MESSAGE_BYTES_MAX: usize = 40 << 10;
/// Where its own descriptors begin, so that a program's have the numbers that they have without a zygote.
const OWN_FROM: c_int = 200;

pub(crate) struct Zygote {
    control: Descriptor,
    /// Known to its forks, who look whether it still lives.
    itself: Descriptor,
    /// The first `living` of them are there.
    forks: [Option<Fork>; FORKS_MAX],
    living: usize,
    /// How many there have been.
    born: u32,
    listens: bool,
    /// Where programs write to: addresses and lengths, the first `writes_known` of them.
    writes: [(usize, usize); WRITES_MAX],
    writes_known: usize,
}

struct Fork {
    pid: c_int,
    end: Descriptor,
    told: Descriptor,
}

impl Zygote {
    /// Takes the socket, which is the standard output, and has nothing as streams then. Nobody can look into it from here on.
    pub(crate) fn new() -> Result<Self, Failed> {
        let control = Descriptor::duplicate(1, OWN_FROM)?;
        // SAFETY: the path ends with a NUL.
        let nothing = unsafe { c::open(c"/dev/null".as_ptr(), c::O_RDWR_CLOEXEC) };
        let nothing = Descriptor::new(checked(nothing, "open nothing")? as c_int);
        for stream in 0..3 {
            nothing.put_in_place_of(stream)?;
        }
        // SAFETY: both take numbers alone.
        let pid = unsafe {
            checked(c::prctl(c::PR_SET_DUMPABLE, 0, 0, 0, 0), "hide")?;
            c::getpid()
        };
        let itself = high(Descriptor::of_process(pid)?)?;
        let (forks, writes) = ([const { None }; FORKS_MAX], [(0, 0); WRITES_MAX]);
        Ok(Self { control, itself, forks, living: 0, born: 0, listens: true, writes, writes_known: 0 })
    }

    /// The first message: words for its script.
    pub(crate) fn words<'a>(&self, into: &'a mut [u8]) -> Result<&'a [u8], Failed> {
        receive(&self.control, into).map(|(words, _)| words)
    }

    /// Says that forks can be had, once none would miss anything.
    pub(crate) fn tell_ready(&self) {
        while !threads::one_waits() {
            // SAFETY: watches nothing, for a millisecond.
            unsafe { c::poll(core::ptr::null_mut(), 0, 1) };
        }
        tell(&self.control, b"\"Prepared\"", None);
    }

    /// Goes on for as long as anything is left to do. Returns in each fork, and there alone: which one it is.
    pub(crate) fn live(&mut self) -> (u32, Waiting) {
        while self.listens || self.living > 0 {
            let mut watched = [const { PollFd { fd: -1, events: c::POLLIN, revents: 0 } }; FORKS_MAX + 1];
            let [control, forks @ ..] = &mut watched;
            control.fd = if self.listens { self.control.number() } else { -1 };
            for (watched, fork) in forks.iter_mut().zip(&self.forks) {
                watched.fd = fork.as_ref().map_or(-1, |fork| fork.end.number());
            }
            // SAFETY: no more than there are, all of them ours.
            unsafe { c::poll(watched.as_mut_ptr(), (self.living + 1) as core::ffi::c_ulong, -1) };
            let [control, forks @ ..] = &watched;
            // From the last on, since the last takes the place of whoever has ended.
            for (place, _) in forks.iter().enumerate().take(self.living).rev().filter(|(_, fork)| fork.revents != 0) {
                self.bury(place);
            }
            if let Some(waiting) = (control.revents != 0).then(|| self.hear()).flatten() {
                return (self.born, waiting);
            }
        }
        c::exit_now(0)
    }

    fn bury(&mut self, place: usize) {
        self.living -= 1;
        self.forks.swap(place, self.living);
        if let Some(fork) = self.forks.get_mut(self.living).and_then(Option::take) {
            fork.tell_end();
        }
    }

    /// Does what the host asks for. In the fork, what that waits for.
    fn hear(&mut self) -> Option<Waiting> {
        let mut bytes = [0; MESSAGE_BYTES_MAX];
        let Ok((words, mut attached)) = receive(&self.control, &mut bytes) else { return None };
        if let Some(ranges) = words.strip_prefix(b"writes ") {
            self.know_writes(ranges);
            return None;
        }
        if words.is_empty() {
            // No more to come; who lives may go on.
            self.listens = false;
            return None;
        }
        let (Some(cell), Some(order), Some(told)) = (attached.take(), attached.take(), attached.take()) else {
            return None;
        };
        match self.bear((words, &cell, attached), order, told) {
            Ok(waiting) => waiting,
            Err((told, failed)) => {
                tell_failure(&told, failed);
                None
            }
        }
    }

    fn know_writes(&mut self, ranges: &[u8]) {
        self.writes_known = 0;
        for (range, place) in ranges.split(|byte| *byte == b' ').zip(&mut self.writes) {
            let mut ends = range.split(|byte| *byte == b'-').map(address);
            let (Some(Some(begin)), Some(Some(end))) = (ends.next(), ends.next()) else { return };
            *place = (begin, end.saturating_sub(begin));
            self.writes_known += 1;
        }
    }

    /// Copies what a program would wait for when it first writes to it. Where that is not possible (before Linux 5.14) it does.
    fn copy_early(&self) {
        for (begin, length) in self.writes.iter().take(self.writes_known) {
            // SAFETY: it changes nothing of what is there, and refuses what is not.
            unsafe { c::syscall(c::MADVISE, *begin, *length, c::MADV_POPULATE_WRITE) };
        }
    }

    fn bear(
        &mut self,
        (words, cell, mut rest): (&[u8], &Descriptor, Attached),
        order: Descriptor,
        told: Descriptor,
    ) -> Result<Option<Waiting>, (Descriptor, Failed)> {
        if self.living == FORKS_MAX {
            return Err((told, Failed { step: "too many live", errno: 0 }));
        }
        self.born += 1;
        // SAFETY: takes two numbers. From here on forks begin in the sandbox's process namespace, and this process does not.
        if let Err(failed) = checked(unsafe { c::setns(cell.number(), c::CLONE_NEWPID) }, "enter its processes") {
            return Err((told, failed));
        }
        // SAFETY: the C library's own, so that its locks are free in the child. Node's other threads are not there then; with the flags that
        // it is started with, they sleep all the while and hold nothing, and nothing is ever left to them.
        let pid = match checked(unsafe { c::fork() }, "fork") {
            Ok(pid) => pid as c_int,
            Err(failed) => return Err((told, failed)),
        };
        if pid == 0 {
            let wanted = Wanted::parse(words);
            match payload::enter(&wanted, cell, &mut rest, &self.itself) {
                Ok(()) => {
                    self.copy_early();
                    return Ok(Some(self.become_payload(&wanted, order, told)));
                }
                Err(failed) => {
                    tell_failure(&told, failed);
                    c::exit_now(127)
                }
            }
        }
        match Descriptor::of_process(pid).and_then(high) {
            Ok(end) => {
                tell(&told, b"\"Born\"", Some(&end));
                if let Some(place) = self.forks.get_mut(self.living) {
                    *place = Some(Fork { pid, end, told });
                    self.living += 1;
                }
                Ok(None)
            }
            Err(failed) => Err((told, failed)),
        }
    }

    /// Lets go of all that is the zygote's.
    fn become_payload(&mut self, wanted: &Wanted, order: Descriptor, told: Descriptor) -> Waiting {
        if !wanted.leaves_out(payload::DESCRIPTORS) {
            self.forks.iter_mut().for_each(|fork| drop(fork.take()));
            for own in [&self.control, &self.itself] {
                // Closed, and never used again: this process does not go back to `live`.
                drop(Descriptor::new(own.number()));
            }
        }
        // Where they are in the way of nothing that Node opens anew; they are closed before the program runs.
        let moved = |descriptor: Descriptor| high(descriptor).unwrap_or_else(|_| c::exit_now(127));
        Waiting { order: moved(order), told: moved(told) }
    }
}

impl Fork {
    fn tell_end(self) {
        let (mut status, mut usage) = (0, Usage::default());
        // SAFETY: both are ours.
        unsafe { c::wait4(self.pid, &mut status, 0, &mut usage) };
        let milliseconds = |time: [core::ffi::c_long; 2]| time[0] * 1000 + time[1] / 1000;
        let cpu_ms = milliseconds(usage.user) + milliseconds(usage.system);
        let rss_bytes_max = usage.counts[0] * 1024;
        let (how, number) = if status & 0x7f == 0 { ("Code", status >> 8 & 0xff) } else { ("Signal", status & 0x7f) };
        let mut text = Text::default();
        let _ = write!(
            text,
            "{{\"Exited\":{{\"exit\":{{\"{how}\":{number}}},\"cpu_ms\":{cpu_ms},\"rss_bytes_max\":{rss_bytes_max}}}}}"
        );
        messages::tell(&self.told, text.bytes(), None);
    }
}

/// In hexadecimal digits.
fn address(text: &[u8]) -> Option<usize> {
    usize::from_str_radix(core::str::from_utf8(text).ok()?, 16).ok()
}

/// Out of the way of what a program opens.
fn high(low: Descriptor) -> Result<Descriptor, Failed> {
    Descriptor::duplicate(low.number(), OWN_FROM)
}
