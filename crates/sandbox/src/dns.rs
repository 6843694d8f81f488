//! Datagrams that the payload sent to port 53 of any address, and answers that come from the address it asked.
//!
//! A resolver drops an answer from another address than it asked, and the sandbox's socket listens on all of them; so
//! the kernel is made to tell the asked address, and told it back.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Who asked, and whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub by: SocketAddr,
    pub at: IpAddr,
}

/// Room for one control message of either family.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Receives one datagram into `buffer`; what does not fit is cut off.
///
/// # Errors
/// `WouldBlock` when there is none yet.
#[expect(unsafe_code, reason = "no safe form hands out the address a datagram was sent to")]
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Asked)> {
    let mut name = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut control = Control([0; 64]);
    let mut data = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>();
    // SAFETY: every pointer in the message is to memory of the length named beside it, writable and alive until the
    // call returns; the descriptor is open.
    let received = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: zeroed at first, so initialised whatever the kernel wrote.
    let name = unsafe { name.assume_init() };
    // SAFETY: the message and its control buffer are as the kernel filled them.
    let at = unsafe { asked_address(&message) };
    match (sender(&name), at) {
        (Some(by), Some(at)) => Ok((received, Asked { by, at })),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a datagram without its addresses")),
    }
}

/// Answers one datagram from the address that was asked.
///
/// # Errors
/// As for any send.
#[expect(unsafe_code, reason = "no safe form sets the address a datagram is sent from")]
pub fn reply(socket: impl AsFd, answer: &[u8], asked: &Asked) -> io::Result<()> {
    let mut control = Control([0; 64]);
    // SAFETY: all-zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>();
    // SAFETY: the control buffer is zeroed, aligned and large enough for either family.
    message.msg_controllen = unsafe { put_source(&message, asked.at) };

    let mut data = libc::iovec { iov_base: answer.as_ptr().cast_mut().cast(), iov_len: answer.len() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    let mut name = Name::from(asked.by);
    (message.msg_name, message.msg_namelen) = name.raw();
    // SAFETY: every pointer in the message is to memory of the length named beside it, alive until the call returns;
    // sending only reads from them.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the kernel tell of every datagram which address it was sent to.
#[expect(unsafe_code, reason = "no safe form sets this option")]
pub(crate) fn tell_asked_address(socket: impl AsFd, is_ipv6: bool) -> io::Result<()> {
    let (level, option) = match is_ipv6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        false => (libc::IPPROTO_IP, libc::IP_PKTINFO),
    };
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    let socket: BorrowedFd<'_> = socket.as_fd();
    // SAFETY: the option's value is an int, read from a live local of that size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// # Safety
/// `message` must be as `recvmsg` left it, with its control buffer alive.
#[expect(unsafe_code, reason = "control messages are reached by pointer")]
unsafe fn asked_address(message: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: by the caller's promise the control buffer holds what the kernel wrote, of the length in the message;
    // CMSG_NXTHDR stays within it. The data of these two types are these two structures, read unaligned.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            let data = libc::CMSG_DATA(header);
            match (found.cmsg_level, found.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    return Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => header = libc::CMSG_NXTHDR(message, header),
            }
        }
    }
    None
}

/// Writes the control message that names the source address, and says how long it is.
///
/// # Safety
/// `message` must have a control buffer of at least 64 zeroed, aligned, writable bytes.
#[expect(unsafe_code, reason = "control messages are reached by pointer")]
unsafe fn put_source(message: &libc::msghdr, from: IpAddr) -> usize {
    // SAFETY: by the caller's promise there is room for one header and the larger of the two structures (16 + 20
    // bytes), so the first header is not null and its data within the buffer; written unaligned.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        let data = libc::CMSG_DATA(header);
        let length = match from {
            IpAddr::V4(from) => {
                let spec_dst = libc::in_addr { s_addr: u32::from(from).to_be() };
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec_dst, ipi_addr: spec_dst };
                ((*header).cmsg_level, (*header).cmsg_type) = (libc::IPPROTO_IP, libc::IP_PKTINFO);
                data.cast::<libc::in_pktinfo>().write_unaligned(info);
                size_of::<libc::in_pktinfo>()
            }
            IpAddr::V6(from) => {
                let address = libc::in6_addr { s6_addr: from.octets() };
                let info = libc::in6_pktinfo { ipi6_addr: address, ipi6_ifindex: 0 };
                ((*header).cmsg_level, (*header).cmsg_type) = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
                data.cast::<libc::in6_pktinfo>().write_unaligned(info);
                size_of::<libc::in6_pktinfo>()
            }
        };
        let length = length as libc::c_uint;
        (*header).cmsg_len = libc::CMSG_LEN(length) as usize;
        libc::CMSG_SPACE(length) as usize
    }
}

/// The kernel's form of a socket address.
enum Name {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
}

impl Name {
    fn raw(&mut self) -> (*mut libc::c_void, libc::socklen_t) {
        match self {
            Self::V4(name) => ((&raw mut *name).cast(), size_of::<libc::sockaddr_in>() as libc::socklen_t),
            Self::V6(name) => ((&raw mut *name).cast(), size_of::<libc::sockaddr_in6>() as libc::socklen_t),
        }
    }
}

impl From<SocketAddr> for Name {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(address) => Self::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            }),
        }
    }
}

#[expect(unsafe_code, reason = "which structure it is is known from its family only")]
fn sender(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let name: *const libc::sockaddr_storage = name;
    // SAFETY: sockaddr_storage is made to hold, with their alignment, the structures of all families; all bytes are
    // initialised, and the family says which one the kernel wrote.
    unsafe {
        match i32::from((*name).ss_family) {
            libc::AF_INET => {
                let name = &*name.cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
            }
            libc::AF_INET6 => {
                let name = &*name.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}
