//! How soon a thread of ours gets its turn. It lies here because this crate is where unsafe code is allowed.

use std::io;

/// How long a turn lasts that is soon had. What a serving thread does for a request takes less.
const SHORT_NS: u64 = 100_000;

/// The kernel's `struct sched_attr`, as it was first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// Of ordinary threads: how long a turn lasts.
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// Asks for short turns for the calling thread, which are had as soon as it wakes; else it waits until whoever runs has had
/// a turn of milliseconds. Its share of the processor stays as it is, and threads that it starts are as others. Kernels
/// before 6.12 take it and do nothing.
pub fn take_short_turns() -> io::Result<()> {
    let turns = turns()?;
    // Where an owner has chosen another way to share the processor, that stays.
    if turns.policy != libc::SCHED_OTHER.cast_unsigned() {
        return Ok(());
    }
    let for_this_thread_alone = turns.flags | u64::from(libc::SCHED_FLAG_RESET_ON_FORK.cast_unsigned());
    set(&Turns { flags: for_this_thread_alone, runtime_ns: SHORT_NS, ..turns })
}

#[expect(unsafe_code, reason = "sched_getattr has no safe form")]
fn turns() -> io::Result<Turns> {
    let mut turns = Turns::default();
    let size = std::mem::size_of::<Turns>();
    // SAFETY: 0 is the calling thread; the pointer is to writable memory of the size that is told.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut turns, size, 0) };
    if result == 0 { Ok(turns) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "sched_setattr has no safe form")]
fn set(turns: &Turns) -> io::Result<()> {
    // SAFETY: 0 is the calling thread; the pointer is to a structure whose first field is its size, and is only read.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *turns, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn turns_are_short_for_the_thread_that_asked_and_no_other() {
        let on_its_own = |work: fn() -> Turns| std::thread::spawn(work).join().unwrap();
        let before = on_its_own(|| turns().unwrap());
        if before.runtime_ns == 0 {
            eprintln!("SKIPPED: this kernel tells no length of turns; one from 6.12 on does");
            return;
        }
        let asked = on_its_own(|| {
            take_short_turns().unwrap();
            turns().unwrap()
        });
        assert_eq!((asked.runtime_ns, asked.nice, asked.policy), (SHORT_NS, before.nice, before.policy));
        let started = on_its_own(|| {
            take_short_turns().unwrap();
            std::thread::spawn(|| turns().unwrap()).join().unwrap()
        });
        assert_eq!(started.runtime_ns, before.runtime_ns, "control: who was started by it has the usual ones");
    }
}
