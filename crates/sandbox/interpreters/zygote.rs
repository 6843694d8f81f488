//! The zygote's life: waits for sandboxes to enter, forks into each, and says how each fork has ended.

use core::ffi::{c_int, c_long, c_ulong, c_void};
use core::fmt::Write;

use crate::c::{self, Failed, IoVec, PollFd, Usage, checked};
use crate::descriptor::Descriptor;
use crate::messages::{self, Attached, Text, receive, tell, tell_failure};
use crate::payload::{self, Waiting, Wanted};

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
    /// Where programs write to: the first `writes_known` of them.
    writes: [IoVec; WRITES_MAX],
    writes_known: usize,
    around: AroundForks,
    /// Kept here since memory that is written to for each message or wait is copied after each fork, however little of it is of use.
    watched: [PollFd; FORKS_MAX + 1],
    message: [u8; MESSAGE_BYTES_MAX],
}

/// What an interpreter does with itself when it is forked.
pub(crate) struct AroundForks {
    pub(crate) before: fn(),
    pub(crate) in_parent: fn(),
    /// In the sandbox, without any right.
    pub(crate) in_child: fn(),
}

struct Fork {
    pid: c_int,
    end: Descriptor,
    told: Descriptor,
}

impl Zygote {
    /// Takes the socket, which is the standard output, and has nothing as streams then. Nobody can look into it from here on.
    pub(crate) fn new(around: AroundForks) -> Result<Self, Failed> {
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
        Ok(Self {
            control,
            itself,
            forks: [const { None }; FORKS_MAX],
            living: 0,
            born: 0,
            listens: true,
            writes: [IoVec { base: core::ptr::null_mut(), length: 0 }; WRITES_MAX],
            writes_known: 0,
            around,
            watched: [const { PollFd { fd: -1, events: c::POLLIN, revents: 0 } }; FORKS_MAX + 1],
            message: [0; MESSAGE_BYTES_MAX],
        })
    }

    /// The first message: words for its script.
    pub(crate) fn words<'a>(&self, into: &'a mut [u8]) -> Result<&'a [u8], Failed> {
        receive(&self.control, into).map(|(words, _)| words)
    }

    /// Says that forks can be had.
    pub(crate) fn tell_ready(&self) {
        tell(&self.control, b"\"Prepared\"", None);
    }

    /// Goes on for as long as anything is left to do. Returns in each fork, and there alone: which one it is.
    pub(crate) fn live(&mut self) -> (u32, Waiting) {
        while self.listens || self.living > 0 {
            let has_said = self.watch();
            // From the last on, since the last takes the place of whoever has ended.
            for place in (0..self.living).rev() {
                // The first that is watched is the host.
                if self.watched.get(place + 1).is_some_and(|fork| fork.revents != 0) {
                    self.bury(place);
                }
            }
            if let Some(waiting) = has_said.then(|| self.hear()).flatten() {
                return (self.born, waiting);
            }
        }
        c::exit_now(0)
    }

    /// Until the host has said something, and then says so, or a fork has ended.
    fn watch(&mut self) -> bool {
        let [control, forks @ ..] = &mut self.watched;
        control.fd = if self.listens { self.control.number() } else { -1 };
        for (watched, fork) in forks.iter_mut().zip(&self.forks).take(self.living) {
            watched.fd = fork.as_ref().map_or(-1, |fork| fork.end.number());
        }
        // SAFETY: no more than there are, all of them ours.
        let found = unsafe { c::poll(self.watched.as_mut_ptr(), (self.living + 1) as c_ulong, -1) };
        if found < 0 {
            // A signal, after which what was found before would be taken for found now.
            self.watched.iter_mut().take(self.living + 1).for_each(|watched| watched.revents = 0);
        }
        self.watched.first().is_some_and(|control| control.revents != 0)
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
        let Ok((words, mut attached)) = receive(&self.control, &mut self.message) else { return None };
        if let Some(ranges) = words.strip_prefix(b"writes ") {
            self.writes_known = know_writes(ranges, &mut self.writes);
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
        let wanted = Wanted::parse(words);
        match self.bear((&wanted, &cell, attached), order, told) {
            Ok(waiting) => waiting,
            Err((told, failed)) => {
                tell_failure(&told, failed);
                None
            }
        }
    }

    /// Copies what a program would wait for when it first writes to it: all at once, or range by range (before Linux 6.14, or where some of it is not
    /// there). Where that is not possible (before 5.14) it waits.
    fn copy_early(&self) {
        let known = self.writes.get(..self.writes_known).unwrap_or_default();
        let all: usize = known.iter().map(|part| part.length).sum();
        // SAFETY: both change nothing of what is there, and refuse what is not.
        unsafe {
            let (parts, count) = (known.as_ptr(), known.len());
            let advice = c::MADV_POPULATE_WRITE;
            if c::syscall(c::PROCESS_MADVISE, c::PIDFD_SELF, parts, count, advice, 0 as c_long) == all as c_long {
                return;
            }
            for part in known {
                c::syscall(c::MADVISE, part.base, part.length, advice);
            }
        }
    }

    fn bear(
        &mut self,
        (wanted, cell, mut rest): (&Wanted, &Descriptor, Attached),
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
        (self.around.before)();
        // SAFETY: the C library's own, so that its locks are free in the child. Other threads of the interpreter are not there then: Python has
        // none, and Node's, with the flags that it is started with, sleep all the while and hold nothing, and nothing is ever left to them.
        let forked = checked(unsafe { c::fork() }, "fork");
        if !matches!(forked, Ok(0)) {
            (self.around.in_parent)();
        }
        let pid = match forked {
            Ok(pid) => pid as c_int,
            Err(failed) => return Err((told, failed)),
        };
        if pid == 0 {
            match payload::enter(wanted, cell, &mut rest, &self.itself) {
                Ok(()) => {
                    (self.around.in_child)();
                    self.copy_early();
                    return Ok(Some(self.become_payload(wanted, order, told)));
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
        Waiting { order: moved(order), told: moved(told), shares: wanted.leaves_out(payload::DESCRIPTORS) }
    }
}

impl Fork {
    fn tell_end(self) {
        let (mut status, mut usage) = (0, Usage::default());
        // SAFETY: both are ours.
        unsafe { c::wait4(self.pid, &mut status, 0, &mut usage) };
        let milliseconds = |time: [c_long; 2]| time[0] * 1000 + time[1] / 1000;
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

/// How many ranges are told there.
fn know_writes(told: &[u8], writes: &mut [IoVec]) -> usize {
    let mut known = 0;
    for (range, place) in told.split(|byte| *byte == b' ').zip(writes) {
        let mut ends = range.split(|byte| *byte == b'-').map(address);
        let (Some(Some(begin)), Some(Some(end))) = (ends.next(), ends.next()) else { break };
        let base = core::ptr::without_provenance_mut::<c_void>(begin);
        *place = IoVec { base, length: end.saturating_sub(begin) };
        known += 1;
    }
    known
}

/// In hexadecimal digits.
fn address(text: &[u8]) -> Option<usize> {
    usize::from_str_radix(core::str::from_utf8(text).ok()?, 16).ok()
}

/// Out of the way of what a program opens.
fn high(low: Descriptor) -> Result<Descriptor, Failed> {
    Descriptor::duplicate(low.number(), OWN_FROM)
}
