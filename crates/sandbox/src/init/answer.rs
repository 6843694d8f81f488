//! The watcher's answers to a [`crate::Door`]: sockets of the network it lives in.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use crate::control;
use crate::door::{Answer, Ask, Family};

/// More than a host ever asks for at once.
const SOCKETS_MAX: usize = 64;

/// Answers one question with what `make` makes. Neither reading nor writing blocks.
///
/// # Errors
/// When the host has closed the door, or does not take its answers; then it is to be given up.
pub(crate) fn one(door: &OwnedFd, make: impl Fn() -> io::Result<OwnedFd>) -> io::Result<()> {
    let Some((Ask { count }, _)) = control::receive(door)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    for number in 0..count.min(SOCKETS_MAX) {
        let made = make().and_then(|socket| control::send(door, &Answer::Made, &[socket.as_fd()]));
        let Err(error) = made else { continue };
        let errno = error.raw_os_error().filter(|_| error.kind() != io::ErrorKind::WouldBlock).ok_or(error)?;
        return control::send(door, &Answer::Refused { errno, count: count - number }, &[]);
    }
    Ok(())
}

/// One that is not connected.
pub(crate) fn socket(family: Family) -> io::Result<OwnedFd> {
    let family = match family {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4() -> io::Result<OwnedFd> {
        socket(Family::V4)
    }

    fn ask(host: &OwnedFd, count: usize) -> io::Result<()> {
        control::send(host, &Ask { count }, &[])
    }

    /// How many sockets have come, and what was refused.
    fn answers(host: &OwnedFd) -> (usize, Option<(i32, usize)>) {
        let (mut made, mut refused) = (0, None);
        while let Ok(Some((answer, sockets))) = control::receive(host) {
            made += sockets.len();
            if let Answer::Refused { errno, count } = answer {
                refused = Some((errno, count));
            }
        }
        (made, refused)
    }

    #[test]
    fn a_host_that_takes_no_answers_does_not_hold_up_the_watcher() {
        let (host, door) = control::door_pair().unwrap();
        for _ in 0..1000 {
            ask(&host, 1).unwrap();
            one(&door, v4).unwrap();
            assert_eq!(answers(&host), (1, None));
        }
        let given_up = (0..100_000).find(|_| {
            ask(&host, 1).unwrap();
            one(&door, v4).is_err()
        });
        assert!(given_up.is_some(), "rather than waited for");
    }

    #[test]
    fn no_question_makes_sockets_without_end() {
        let (host, door) = control::door_pair().unwrap();
        ask(&host, usize::MAX).unwrap();
        one(&door, v4).unwrap();
        assert_eq!(answers(&host), (SOCKETS_MAX, None));
    }

    #[test]
    fn what_the_kernel_refuses_is_told_and_asked_for_again() {
        let (host, door) = control::door_pair().unwrap();
        ask(&host, 5).unwrap();
        one(&door, || Err(io::Error::from_raw_os_error(libc::EMFILE))).unwrap();
        assert_eq!(answers(&host), (0, Some((libc::EMFILE, 5))));
        ask(&host, 5).unwrap();
        one(&door, v4).unwrap();
        assert_eq!(answers(&host), (5, None));
    }

    #[test]
    fn a_closed_door_and_nonsense_end_it() {
        let (host, door) = control::door_pair().unwrap();
        let error = one(&door, v4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "without a question it does not wait");
        control::send(&host, &"nonsense", &[]).unwrap();
        assert!(one(&door, v4).is_err());
        drop(host);
        assert_eq!(one(&door, v4).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
