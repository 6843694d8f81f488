//! The watcher's answers to a [`crate::Door`]: sockets of the network it lives in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use crate::control;
use crate::door::{Answer, Ask, Family};

/// More than a host ever asks for at once.
const SOCKETS_MAX: usize = 64;

/// Answers one question. Neither reading nor writing blocks: a host that does not take its answers gets none.
///
/// # Errors
/// When the host has closed the door, or it cannot be used; then nobody will ask again.
pub(super) fn one(door: &OwnedFd) -> io::Result<()> {
    let Some((Ask { family, count }, _)) = control::receive(door)? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let mut sockets = Vec::new();
    let mut errno = None;
    while sockets.len() < count.min(SOCKETS_MAX) && errno.is_none() {
        match socket(family) {
            Ok(socket) => sockets.push(socket),
            Err(error) => errno = Some(error.raw_os_error()),
        }
    }
    let attached: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    control::send(door, &Answer { family, errno }, &attached)
}

fn socket(family: Family) -> rustix::io::Result<OwnedFd> {
    let family = match family {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    rustix::net::socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        Some(ipproto::TCP),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(host: &OwnedFd, count: usize) -> io::Result<()> {
        control::send(host, &Ask { family: Family::V4, count }, &[])
    }

    #[test]
    fn a_host_that_takes_no_answers_does_not_hold_up_the_watcher() {
        let (host, door) = control::door_pair().unwrap();
        for _ in 0..1000 {
            ask(&host, 1).unwrap();
            one(&door).unwrap();
            control::receive::<Answer>(&host).unwrap().unwrap();
        }
        let answered = (0..100_000).find(|_| {
            ask(&host, 1).unwrap();
            one(&door).is_err()
        });
        assert!(answered.is_some(), "it is given up rather than waited for");
    }

    #[test]
    fn no_question_makes_more_sockets_than_fit_into_an_answer() {
        let (host, door) = control::door_pair().unwrap();
        ask(&host, usize::MAX).unwrap();
        one(&door).unwrap();
        let (Answer { errno, .. }, sockets) = control::receive(&host).unwrap().unwrap();
        assert_eq!((errno, sockets.len()), (None, SOCKETS_MAX));
    }

    #[test]
    fn a_closed_door_and_nonsense_end_it() {
        let (host, door) = control::door_pair().unwrap();
        assert_eq!(one(&door).unwrap_err().kind(), io::ErrorKind::WouldBlock, "without a question it does not wait");
        control::send(&host, &"nonsense", &[]).unwrap();
        assert!(one(&door).is_err());
        drop(host);
        assert_eq!(one(&door).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
