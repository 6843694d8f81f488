//! Waiting for a descriptor, for a while.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// Whether there is something to read, or the end, within that time. Blocks until then.
pub(crate) fn within(descriptor: impl AsFd, patience: Duration) -> io::Result<bool> {
    let patience = Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: patience.subsec_nanos().into() };
    let mut watched = [PollFd::new(&descriptor, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, Some(&patience)))? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_the_end_and_nothing_are_told_apart() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        assert!(!within(&read, Duration::ZERO).unwrap());
        rustix::io::write(&write, b"1").unwrap();
        assert!(within(&read, Duration::ZERO).unwrap());
        rustix::io::read(&read, &mut [0; 1]).unwrap();
        assert!(!within(&read, Duration::from_millis(1)).unwrap());
        drop(write);
        assert!(within(&read, Duration::from_secs(10)).unwrap());
    }
}
