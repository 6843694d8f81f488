//! The way into a sandbox: sockets of its network, which the host connects by itself.
//!
//! A socket belongs to the network it was made in, wherever it is used. So the host asks the watcher, which lives in the
//! sandbox's network, for fresh ones, and connects them to what the payload listens on. No interface, no rule and no
//! process of ours lies between.
//!
//! Never blocks (but for [`Door::wait`]): what the watcher answers is kept in stock, and the next are asked for before the
//! stock is empty. One question is on its way at a time for each family.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use serde::{Deserialize, Serialize};

use crate::control;

/// Gives sockets of one sandbox's network, from any thread. Clones share one stock.
///
/// Readable (as a descriptor) when what was asked for has come, or when the sandbox has ended.
#[derive(Debug, Clone)]
pub struct Door(Arc<Shared>);

/// The kind of address that a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    V4,
    V6,
}

/// From the host to the watcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) family: Family,
    pub(crate) count: usize,
}

/// From the watcher. Attached: the sockets, fewer than asked for where the kernel refused one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) family: Family,
    pub(crate) errno: Option<i32>,
}

/// How many are asked for at once, and when: those of an idle sandbox cost the kernel some 30 KiB.
const ASKED: usize = 8;
const FEW: usize = 4;

#[derive(Debug)]
struct Shared {
    port: u16,
    stock: Mutex<Stock>,
    socket: OwnedFd,
}

#[derive(Debug, Default)]
struct Stock {
    ended: bool,
    v4: Shelf,
    v6: Shelf,
}

/// The sockets of one family.
#[derive(Debug, Default)]
struct Shelf {
    sockets: Vec<OwnedFd>,
    /// An answer is still to come.
    asked: bool,
    /// Why there are none, to be told once.
    refused: Option<i32>,
}

impl Door {
    pub(crate) fn new(socket: OwnedFd, port: u16) -> Self {
        Self(Arc::new(Shared { port, stock: Mutex::default(), socket }))
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
    /// `WouldBlock` when there is none in stock: more are on their way, and this is readable when they have come.
    /// `NotConnected` when the sandbox has ended. Else what kept the kernel from making one, such as a missing IPv6.
    pub fn take(&self, family: Family) -> io::Result<OwnedFd> {
        let mut stock = self.stock();
        stock.fetch(&self.0.socket)?;
        let shelf = stock.shelf(family);
        let taken = shelf.sockets.pop();
        let refused = shelf.refused.take();
        if shelf.sockets.len() < FEW && !shelf.asked && refused.is_none() {
            shelf.asked = true;
            stock.ask(&self.0.socket, family)?;
        }
        taken.ok_or_else(|| match refused {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::ErrorKind::WouldBlock.into(),
        })
    }

    /// [`Self::take`], which waits up to `patience` where there is none in stock.
    ///
    /// # Errors
    /// The same, `WouldBlock` aside; and `TimedOut`.
    pub fn wait(&self, family: Family, patience: Duration) -> io::Result<OwnedFd> {
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        loop {
            match self.take(family) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => return taken,
            }
            let mut watched = [PollFd::new(&self.0.socket, PollFlags::IN)];
            if rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, Some(&patience)))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Fills the stock before anybody needs it.
    pub(crate) fn stock_up(&self) -> io::Result<()> {
        let mut stock = self.stock();
        stock.v4.asked = true;
        stock.ask(&self.0.socket, Family::V4)
    }

    /// Lets go of the sandbox's network, whoever else still has this door.
    pub(crate) fn shut(&self) {
        self.stock().end();
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.0.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stock {
    fn shelf(&mut self, family: Family) -> &mut Shelf {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// Takes in what the watcher has answered.
    fn fetch(&mut self, socket: &OwnedFd) -> io::Result<()> {
        while !self.ended {
            match control::receive::<Answer>(socket) {
                Ok(Some((Answer { family, errno }, sockets))) => {
                    let shelf = self.shelf(family);
                    shelf.asked = false;
                    shelf.refused = errno.filter(|_| sockets.is_empty());
                    shelf.sockets.extend(sockets);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Whatever else it is, there is nobody who could be asked.
                Ok(None) | Err(_) => self.end(),
            }
        }
        Err(ended())
    }

    fn ask(&mut self, socket: &OwnedFd, family: Family) -> io::Result<()> {
        control::send(socket, &Ask { family, count: ASKED }, &[]).map_err(|_| {
            self.end();
            ended()
        })
    }

    fn end(&mut self) {
        *self = Self { ended: true, ..Self::default() };
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the sandbox has ended")
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

impl AsRawFd for Door {
    fn as_raw_fd(&self) -> RawFd {
        self.0.socket.as_raw_fd()
    }
}
