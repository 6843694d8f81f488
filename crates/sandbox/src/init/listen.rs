//! The relay's sockets: opened inside, used by the host. A socket stays in the network it was made in, so the host
//! answers for every address without a process of ours among the payload's.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use super::netlink::has_no_ipv6;
use crate::control::Report;
use crate::dns;
use crate::sandbox::Relay;

#[derive(Debug, thiserror::Error)]
#[error("listen on {address} inside the sandbox")]
pub(crate) struct ListenError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

const BACKLOG: i32 = 512;

/// All of them non-blocking.
pub(crate) struct Listeners {
    connect: OwnedFd,
    tcp: Vec<(u16, OwnedFd)>,
    dns: Vec<OwnedFd>,
}

pub(crate) fn open(connect_port: u16, ports: &[u16], with_dns: bool) -> Result<Listeners, ListenError> {
    let connect = listen((Ipv4Addr::LOCALHOST, connect_port).into())?;
    let mut listeners = Listeners { connect, tcp: Vec::new(), dns: Vec::new() };
    for &port in ports {
        if let Some(socket) = unless_taken(listen_everywhere(port))? {
            listeners.tcp.push((port, socket));
        }
    }
    if with_dns {
        for address in everywhere(53) {
            listeners.dns.extend(where_supported(bind(address))?);
        }
    }
    Ok(listeners)
}

impl Listeners {
    pub(super) fn report(&self) -> Report {
        Report::Listening { tcp: self.tcp.iter().map(|(port, _)| *port).collect(), dns: self.dns.len() }
    }

    pub(crate) fn into_relay(self) -> Relay {
        Relay { connect: self.connect, tcp: self.tcp, dns: self.dns }
    }

    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let tcp = self.tcp.iter().map(|(_, socket)| socket);
        std::iter::once(&self.connect).chain(tcp).chain(&self.dns).map(AsFd::as_fd).collect()
    }
}

fn everywhere(port: u16) -> [SocketAddr; 2] {
    [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]
}

/// One socket for both families, which costs half of two.
fn listen_everywhere(port: u16) -> Result<OwnedFd, ListenError> {
    let [v4, v6] = everywhere(port);
    match where_supported(listen(v6))? {
        Some(both) => Ok(both),
        None => listen(v4),
    }
}

/// Who listens by now in a network that others have made listens for itself.
fn unless_taken(opened: Result<OwnedFd, ListenError>) -> Result<Option<OwnedFd>, ListenError> {
    match opened {
        Err(error) if error.source.kind() == io::ErrorKind::AddrInUse => Ok(None),
        opened => opened.map(Some),
    }
}

fn listen(address: SocketAddr) -> Result<OwnedFd, ListenError> {
    let listen = || -> io::Result<OwnedFd> {
        let socket = socket(address, SocketType::STREAM, ipproto::TCP)?;
        if address.is_ipv6() {
            rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
        }
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket)
    };
    listen().map_err(|source| ListenError { address, source })
}

/// UDP, and telling of each datagram which address was asked, so that the answer can come from there.
fn bind(address: SocketAddr) -> Result<OwnedFd, ListenError> {
    let bind = || -> io::Result<OwnedFd> {
        let socket = socket(address, SocketType::DGRAM, ipproto::UDP)?;
        dns::tell_asked_address(&socket, address.is_ipv6())?;
        if address.is_ipv6() {
            // IPv6 answers only from addresses of an interface, unless told that any will do.
            rustix::net::sockopt::set_ipv6_freebind(&socket, true)?;
        }
        rustix::net::bind(&socket, &address)?;
        Ok(socket)
    };
    bind().map_err(|source| ListenError { address, source })
}

fn socket(address: SocketAddr, kind: SocketType, protocol: rustix::net::Protocol) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, Some(protocol))?;
    if address.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

/// IPv6 may be missing from the kernel or switched off; then nothing can connect by it either.
fn where_supported(opened: Result<OwnedFd, ListenError>) -> Result<Option<OwnedFd>, ListenError> {
    match opened {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.address.is_ipv6() && has_no_ipv6(&error.source) => Ok(None),
        Err(error) => Err(error),
    }
}
