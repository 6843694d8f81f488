//! The way into a sandbox: sockets of its network, which the host connects by itself.
//!
//! A socket belongs to the network it was made in, wherever it is used. So the host asks the watcher, which lives in the
//! sandbox's network, for fresh ones, and connects them to what the payload listens on. No interface, no rule and no
//! process of ours lies between.
//!
//! Never blocks: more are asked for before the last is taken. Each comes in a message of its own, and they are kept in
//! the queue between the watcher and us: so whoever waits is woken for as long as there is one, whoever else takes some.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec};
use serde::{Deserialize, Serialize};

use crate::control;

/// Gives sockets of one sandbox's network, from any thread. Clones share one stock.
#[derive(Debug, Clone)]
pub struct Door(Arc<Sides>);

/// The kind of address that a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    V4,
    V6,
}

/// From the host to the watcher: how many it should make.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) count: usize,
}

/// From the watcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Attached: one socket.
    Made,
    /// The kernel refused one, and so many of those asked for will not come.
    Refused { errno: i32, count: usize },
}

/// How many are asked for at once, and when. Those of an idle sandbox cost the kernel some 30 KiB.
const ASKED: usize = 8;
const FEW: usize = 4;

#[derive(Debug)]
struct Sides {
    port: u16,
    refused: AtomicU64,
    v4: Side,
    v6: Side,
}

/// Sockets of one family. Apart, so that who waits for one is not woken by the other.
#[derive(Debug)]
struct Side {
    socket: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ended: bool,
    /// Asked for and not taken.
    promised: usize,
}

impl Door {
    /// Our side, and the watcher's two ends: for IPv4, for IPv6.
    pub(crate) fn new(port: u16) -> io::Result<(Self, [OwnedFd; 2])> {
        let ((v4, their_v4), (v6, their_v6)) = (control::door_pair()?, control::door_pair()?);
        let [v4, v6] = [v4, v6].map(|socket| Side { socket, state: Mutex::default() });
        Ok((Self(Arc::new(Sides { port, refused: AtomicU64::new(0), v4, v6 })), [their_v4, their_v6]))
    }

    /// Where the payload is to listen, as seen from a socket of this door.
    pub fn address(&self, family: Family) -> SocketAddr {
        match family {
            Family::V4 => (Ipv4Addr::LOCALHOST, self.0.port).into(),
            Family::V6 => (Ipv6Addr::LOCALHOST, self.0.port).into(),
        }
    }

    /// A TCP socket that is not connected, does not block and closes on exec. Never blocks.
    ///
    /// # Errors
    /// `WouldBlock` when there is none in stock: more are on their way, and [`Self::watch`] tells when one has come.
    /// `NotConnected` when the sandbox has ended. Else what kept the kernel from making one, such as a missing IPv6.
    pub fn take(&self, family: Family) -> io::Result<OwnedFd> {
        self.side(family).take()
    }

    /// A descriptor that is readable while there is one to be taken, and from the sandbox's end on. Each who waits gets
    /// one of its own, since a reactor takes each only once.
    ///
    /// # Errors
    /// When this process may not have more descriptors.
    pub fn watch(&self, family: Family) -> io::Result<OwnedFd> {
        self.side(family).socket.as_fd().try_clone_to_owned()
    }

    /// To be called by whoever has connected a socket of it and was refused: it is counted apart from what the payload itself
    /// was refused.
    pub fn note_refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was.
    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Fills the stock before anybody needs it. A payload may have ended by now; then nothing is needed.
    pub(crate) fn stock_up(&self) {
        let side = self.side(Family::V4);
        let _ = side.ask(&mut side.state());
    }

    /// Lets go of the sandbox's network, whoever else still has this door.
    pub(crate) fn shut(&self) {
        for side in [&self.0.v4, &self.0.v6] {
            side.state().ended = true;
            while let Ok(Some(_)) = control::receive::<Answer>(&side.socket) {}
        }
    }

    fn side(&self, family: Family) -> &Side {
        match family {
            Family::V4 => &self.0.v4,
            Family::V6 => &self.0.v6,
        }
    }
}

impl Side {
    fn take(&self) -> io::Result<OwnedFd> {
        let mut state = self.state();
        if state.ended || self.has_hung_up() {
            return Err(ended());
        }
        if state.promised <= FEW {
            self.ask(&mut state)?;
        }
        match control::receive(&self.socket) {
            Ok(Some((Answer::Made, mut attached))) => {
                state.promised = state.promised.saturating_sub(1);
                attached.pop().ok_or_else(|| io::ErrorKind::InvalidData.into())
            }
            Ok(Some((Answer::Refused { errno, count }, _))) => {
                state.promised = state.promised.saturating_sub(count);
                Err(io::Error::from_raw_os_error(errno))
            }
            Ok(None) => Err(ended()),
            Err(error) => Err(error),
        }
    }

    fn ask(&self, state: &mut State) -> io::Result<()> {
        control::send(&self.socket, &Ask { count: ASKED }, &[]).map_err(|_| ended())?;
        state.promised += ASKED;
        Ok(())
    }

    /// The watcher has ended. What it made before is still in the queue, and of no use.
    fn has_hung_up(&self) -> bool {
        let mut watched = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(rustix::event::poll(&mut watched, Some(&now)), Ok(1..))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the sandbox has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> io::Result<OwnedFd> {
        Ok(rustix::pipe::pipe()?.0)
    }

    fn answer(watcher: &OwnedFd) {
        crate::init::answer::one(watcher, made).unwrap();
    }

    fn kind(taken: io::Result<OwnedFd>) -> io::ErrorKind {
        taken.unwrap_err().kind()
    }

    #[test]
    fn more_are_asked_for_before_the_last_is_taken() {
        let (door, [v4, _v6]) = Door::new(80).unwrap();
        door.stock_up();
        answer(&v4);
        for _ in 0..ASKED - FEW {
            door.take(Family::V4).unwrap();
        }
        assert!(crate::init::answer::one(&v4, made).is_err(), "so far nobody has asked again");
        door.take(Family::V4).unwrap();
        answer(&v4);
        for _ in 0..ASKED {
            door.take(Family::V4).unwrap();
        }
        assert_eq!(kind(door.take(Family::V6)), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_refusal_is_told_and_the_next_is_asked_for() {
        let (door, [_v4, v6]) = Door::new(80).unwrap();
        for _ in 0..3 {
            assert_eq!(kind(door.take(Family::V6)), io::ErrorKind::WouldBlock);
            crate::init::answer::one(&v6, || Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT))).unwrap();
            assert_eq!(door.take(Family::V6).unwrap_err().raw_os_error(), Some(libc::EAFNOSUPPORT));
        }
    }

    #[test]
    fn whoever_ends_it_nothing_is_left_in_stock() {
        let (door, [v4, v6]) = Door::new(80).unwrap();
        door.stock_up();
        answer(&v4);
        drop((v4, v6));
        assert_eq!(kind(door.take(Family::V4)), io::ErrorKind::NotConnected);
        door.shut();
        assert!(control::receive::<Answer>(&door.0.v4.socket).unwrap().is_none(), "what was made has been let go");

        let (door, [v4, _v6]) = Door::new(80).unwrap();
        door.stock_up();
        answer(&v4);
        door.shut();
        assert_eq!(kind(door.take(Family::V4)), io::ErrorKind::NotConnected);
        assert_eq!(control::receive::<Answer>(&door.0.v4.socket).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
