//! The sandbox's network: its loopback up and, for a relay, every address there is declared to be its own.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("open a netlink socket")]
    Open(#[source] io::Error),
    #[error("{wish}")]
    Refused {
        wish: &'static str,
        #[source]
        source: io::Error,
    },
}

/// The loopback of a new namespace is always its first interface.
const LOOPBACK: u32 = 1;

pub(crate) struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    pub(crate) fn open() -> Result<Self, NetworkError> {
        let open = || -> rustix::io::Result<OwnedFd> {
            let socket = rustix::net::socket_with(
                AddressFamily::NETLINK,
                SocketType::RAW,
                SocketFlags::CLOEXEC,
                None, // the first of its protocols, NETLINK_ROUTE
            )?;
            rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
            Ok(socket)
        };
        Ok(Self { socket: open().map_err(|e| NetworkError::Open(e.into()))? })
    }

    pub(crate) fn loopback_up(&mut self) -> Result<(), NetworkError> {
        let mut link = vec![libc::AF_UNSPEC as u8, 0, 0, 0];
        link.extend(LOOPBACK.to_ne_bytes());
        link.extend((libc::IFF_UP as u32).to_ne_bytes()); // flags
        link.extend((libc::IFF_UP as u32).to_ne_bytes()); // which of them to change
        self.ask(libc::RTM_NEWLINK, 0, &link)
            .map_err(|source| NetworkError::Refused { wish: "bring the loopback up", source })
    }

    /// A connection to any address is then delivered here, to whoever listens on all addresses. Where the kernel has
    /// no IPv6, nothing of it can be reached either.
    pub(crate) fn answer_for_every_address(&mut self) -> Result<(), NetworkError> {
        let routed = self.route_everything_here(libc::AF_INET);
        routed.map_err(|source| NetworkError::Refused { wish: "route every IPv4 address to ourselves", source })?;
        match self.route_everything_here(libc::AF_INET6) {
            Err(error) if has_no_ipv6(&error) => Ok(()),
            routed => {
                routed.map_err(|source| NetworkError::Refused { wish: "route every IPv6 address to ourselves", source })
            }
        }
    }

    /// `local 0.0.0.0/0 dev lo`, or the same for IPv6.
    fn route_everything_here(&mut self, family: i32) -> io::Result<()> {
        let (destination_bits, source_bits, service, flags) = (0, 0, 0, 0_u32);
        let mut route = vec![
            family as u8,
            destination_bits,
            source_bits,
            service,
            libc::RT_TABLE_LOCAL,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_HOST,
            libc::RTN_LOCAL,
        ];
        route.extend(flags.to_ne_bytes());
        route.extend(8_u16.to_ne_bytes()); // the attribute's length
        route.extend(libc::RTA_OIF.to_ne_bytes());
        route.extend(LOOPBACK.to_ne_bytes());
        self.ask(libc::RTM_NEWROUTE, (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16, &route)
    }

    /// Sends one request and reads its acknowledgement: a header of 16 bytes, then an error number, 0 for success.
    fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(16 + body.len()).map_err(io::Error::other)?;
        let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut request = Vec::with_capacity(64);
        request.extend(length.to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend(flags.to_ne_bytes());
        request.extend([0; 8]); // sequence and sender: there is one request at a time
        request.extend(body);
        rustix::net::send(&self.socket, &request, SendFlags::empty())?;

        let mut answer = [0; 4096];
        let (received, _) = rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        let answer = answer.get(..received).unwrap_or_default();
        let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
        let error = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
        match (kind.map(i32::from), error) {
            (Some(libc::NLMSG_ERROR), Some(0)) => Ok(()),
            (Some(libc::NLMSG_ERROR), Some(error)) => Err(io::Error::from_raw_os_error(-error)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "unexpected answer from netlink")),
        }
    }
}

pub(super) fn has_no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EACCES))
}
