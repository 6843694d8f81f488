//! A network that somebody else has made for a container: entered and served as a sandbox's own is.
//!
//! A thread of ours lives in that network for as long as the [`Adopted`] does: it makes the relay's sockets, declares every
//! address there to be local, and then makes sockets for the [`Door`]. Nothing of the container can reach the thread: only
//! its network is shared.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

use rustix::event::{PollFd, PollFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::control;
use crate::door::{Door, Family};
use crate::init::{answer, listen, netlink};
use crate::sandbox::Relay;
use crate::spec::Network;

/// The ways into and out of a network. Dropping it closes them.
#[derive(Debug)]
pub struct Adopted {
    /// For [`Network::Relay`], until it is taken.
    pub relay: Option<Relay>,
    door: Door,
    /// The thread ends with it.
    _lifeline: OwnedFd,
}

/// Why a network was not adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    #[error("tell a network from our own")]
    Compare(#[source] io::Error),
    #[error("this is the network of the host itself")]
    OurOwn,
    #[error("prepare the ways into a network")]
    Prepare(#[source] io::Error),
    #[error("enter a network")]
    Enter(#[source] io::Error),
    #[error("serve a network")]
    Serve(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the thread in a network has ended")]
    Ended,
}

/// Adopts the network that `network` (such as `/proc/1234/ns/net`, opened) refers to, in which something listens on the
/// port `serves`. Blocks for a moment. Needs root.
///
/// # Errors
/// [`AdoptError`]; among others where it is the network of this very process, which nothing of ours may be done to.
pub fn adopt(network: OwnedFd, serves: u16, wanted: Network) -> Result<Adopted, AdoptError> {
    if is_our_own(&network).map_err(AdoptError::Compare)? {
        return Err(AdoptError::OurOwn);
    }
    let (door, ends) = Door::new(serves).map_err(AdoptError::Prepare)?;
    let (lifeline, theirs) = control::pair().map_err(AdoptError::Prepare)?;
    let (tell, told) = mpsc::channel();
    let live = move || match enter(&network, &wanted) {
        Ok(relay) => {
            drop(network);
            let _ = tell.send(Ok(relay));
            answer_until_closed(&theirs, ends);
        }
        Err(error) => drop(tell.send(Err(error))),
    };
    thread::Builder::new().name("adopted".to_owned()).spawn(live).map_err(AdoptError::Prepare)?;
    let relay = told.recv().map_err(|_| AdoptError::Ended)??;
    door.stock_up();
    Ok(Adopted { relay, door, _lifeline: lifeline })
}

impl Adopted {
    /// What stands for a network that has ended by now: its door says so.
    ///
    /// # Errors
    /// Where there are no descriptors left.
    pub fn nothing() -> Result<Self, AdoptError> {
        let (door, _) = Door::new(0).map_err(AdoptError::Prepare)?;
        let (lifeline, _) = control::pair().map_err(AdoptError::Prepare)?;
        Ok(Self { relay: None, door, _lifeline: lifeline })
    }

    /// The way to what listens there.
    pub fn door(&self) -> Door {
        self.door.clone()
    }
}

impl Drop for Adopted {
    fn drop(&mut self) {
        self.door.shut();
    }
}

fn is_our_own(network: &OwnedFd) -> io::Result<bool> {
    let own = rustix::fs::stat("/proc/self/ns/net")?;
    let other = rustix::fs::fstat(network)?;
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

/// Moves this thread, which is to end there.
fn enter(network: &OwnedFd, wanted: &Network) -> Result<Option<Relay>, AdoptError> {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|error| AdoptError::Enter(error.into()))?;
    let Network::Relay { connect_port, ports, dns } = wanted else { return Ok(None) };
    let mut netlink = netlink::Netlink::open().map_err(served)?;
    netlink.loopback_up().map_err(served)?;
    netlink.answer_for_every_address().map_err(served)?;
    let listeners = listen::open(*connect_port, ports, *dns).map_err(served)?;
    Ok(Some(listeners.into_relay()))
}

fn served(error: impl std::error::Error + Send + Sync + 'static) -> AdoptError {
    AdoptError::Serve(Box::new(error))
}

/// The watcher's part for a network without one.
fn answer_until_closed(lifeline: &OwnedFd, [v4, v6]: [OwnedFd; 2]) {
    let mut doors = vec![(Family::V4, v4), (Family::V6, v6)];
    loop {
        let mut watched = vec![PollFd::new(lifeline, PollFlags::empty())];
        watched.extend(doors.iter().map(|(_, door)| PollFd::new(door, PollFlags::IN)));
        if rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, None)).is_err() {
            return;
        }
        let happened: Vec<bool> = watched.iter().map(|one| !one.revents().is_empty()).collect();
        let mut happened = happened.into_iter();
        if happened.next().unwrap_or(true) {
            return;
        }
        doors.retain(|(family, door)| {
            !happened.next().unwrap_or(false) || answer::one(door, || answer::socket(*family)).is_ok()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_network_is_never_adopted() {
        let own = std::fs::File::open("/proc/self/ns/net").unwrap();
        assert!(matches!(adopt(own.into(), 80, Network::None), Err(AdoptError::OurOwn)));
    }

    #[expect(clippy::print_stderr, reason = "a skipped test is skipped aloud")]
    fn skipped() {
        eprintln!("skipped: needs root");
    }

    fn asked_for(caught: &std::net::TcpStream) -> std::net::SocketAddr {
        let local = caught.local_addr().unwrap();
        (local.ip().to_canonical(), local.port()).into()
    }

    /// A network of its own, with a thread in it that does what it is told to.
    fn elsewhere(
        act: impl FnOnce(mpsc::Receiver<()>) + Send + 'static,
    ) -> (OwnedFd, mpsc::Sender<()>, thread::JoinHandle<()>) {
        let (tell, told) = mpsc::channel();
        let (go, wait) = mpsc::channel();
        let live = thread::spawn(move || {
            let new = rustix::thread::UnshareFlags::NEWNET;
            #[expect(unsafe_code, reason = "unshare has no safe form")]
            // SAFETY: unsafe only for FILES, which is not among the flags.
            unsafe { rustix::thread::unshare_unsafe(new) }.unwrap();
            tell.send(std::fs::File::open("/proc/thread-self/ns/net").unwrap()).unwrap();
            act(wait);
        });
        (told.recv().unwrap().into(), go, live)
    }

    #[test]
    fn a_port_on_which_somebody_listens_by_now_stays_theirs() {
        if !rustix::process::geteuid().is_root() {
            skipped();
            return;
        }
        let (tell, told) = mpsc::channel();
        let (network, go, live) = elsewhere(move |wait| {
            let _own = std::net::TcpListener::bind("127.0.0.1:6379").unwrap();
            tell.send(()).unwrap();
            let _ = wait.recv();
        });
        told.recv().unwrap();
        let wanted = Network::Relay { connect_port: 3128, ports: vec![80, 6379], dns: true };
        let mut adopted = adopt(network, 4567, wanted).unwrap();
        let ports: Vec<u16> = adopted.relay.take().unwrap().tcp.into_iter().map(|(port, _)| port).collect();
        assert_eq!(ports, [80]);
        go.send(()).unwrap();
        live.join().unwrap();
    }

    #[test]
    fn what_listens_there_is_reached_and_what_connects_from_there_is_caught() {
        use std::io::{Read, Write};
        use std::net::{SocketAddr, TcpListener, TcpStream};

        if !rustix::process::geteuid().is_root() {
            skipped();
            return;
        }
        let (network, go, live) = elsewhere(|wait| {
            wait.recv().unwrap();
            let inside = TcpListener::bind("0.0.0.0:4567").unwrap();
            let mut out = TcpStream::connect("203.0.113.7:80").unwrap();
            out.write_all(b"out").unwrap();
            let (mut came, _) = inside.accept().unwrap();
            came.write_all(b"in").unwrap();
        });
        let wanted = Network::Relay { connect_port: 3128, ports: vec![80], dns: true };
        let mut adopted = adopt(network, 4567, wanted).unwrap();
        let relay = adopted.relay.take().unwrap();
        go.send(()).unwrap();
        let (_, listener) = relay.tcp.into_iter().next().unwrap();
        let listener = TcpListener::from(listener);
        listener.set_nonblocking(false).unwrap();
        let (mut caught, _) = listener.accept().unwrap();
        assert_eq!(asked_for(&caught), SocketAddr::from(([203, 0, 113, 7], 80)), "the address that was asked for");
        let mut said = [0; 3];
        caught.read_exact(&mut said).unwrap();

        let door = adopted.door();
        let socket = loop {
            match door.take(Family::V4) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
                taken => break taken.unwrap(),
            }
        };
        rustix::io::ioctl_fionbio(&socket, false).unwrap();
        rustix::net::connect(&socket, &door.address(Family::V4)).unwrap();
        let mut answer = String::new();
        TcpStream::from(socket).read_to_string(&mut answer).unwrap();
        assert_eq!((&said, answer.as_str()), (b"out", "in"));
        live.join().unwrap();

        drop(adopted);
        assert_eq!(door.take(Family::V4).unwrap_err().kind(), io::ErrorKind::NotConnected);
    }
}
