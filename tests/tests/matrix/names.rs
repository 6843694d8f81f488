//! The name server of the internet that is played: a name's first label is an address, its second one how it is given.
//!
//! ```text
//! HEX.plain.test      the address
//! HEX.beside.test     a public one and the address
//! HEX.last.test       nine public ones, then the address
//! HEX.alias.test      an alias of the first
//! HEX.flips.test      a public one, and once it is told to flip, the address
//! HEX.mapped.test     the IPv4 address as an IPv6 one; HEX.nat64.test and HEX.sixtofour.test as others
//! public.test         the public one; below localhost, loopback
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::world::PUBLIC;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const NO_SUCH_NAME: u8 = 0x83;

/// Answers until it is dropped.
#[derive(Clone, Default)]
pub(crate) struct Names {
    /// What was asked for, in small letters.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    has_flipped: Arc<AtomicBool>,
}

impl Names {
    /// Serves a socket, which has to block.
    pub(crate) fn serve(&self, socket: UdpSocket) {
        let names = self.clone();
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                if let Some(answer) = names.answer(&packet[..length]) {
                    let _gone = socket.send_to(&answer, from);
                }
            }
        });
    }

    /// From now on names lead elsewhere.
    pub(crate) fn flip(&self) {
        self.has_flipped.store(true, Ordering::SeqCst);
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = name(question)?;
        let kind = u16::from_be_bytes(question.get(end..end + 2)?.try_into().unwrap());
        self.asked.lock().unwrap().push(name.clone());
        let alias = name.strip_suffix(".alias.test").map(|hex| format!("{hex}.plain.test"));
        let known = self.addresses(&name);
        let code = if known.is_some() { 0x80 } else { NO_SUCH_NAME };
        let addresses: Vec<_> = known.into_iter().flatten().filter(|ip| kind_of(*ip) == kind).collect();
        let mut records = Vec::new();
        if let Some(alias) = &alias {
            let mut data: Vec<u8> = alias.split('.').flat_map(labelled).collect();
            data.push(0);
            records.push(record(&[0xc0, 12], CNAME, &data));
        }
        // What an alias leads to is told under the name that it leads to.
        let owner: Vec<u8> = match &alias {
            Some(alias) => alias.split('.').flat_map(labelled).chain([0]).collect(),
            None => vec![0xc0, 12],
        };
        for ip in addresses {
            records.push(match ip {
                IpAddr::V4(ip) => record(&owner, A, &ip.octets()),
                IpAddr::V6(ip) => record(&owner, AAAA, &ip.octets()),
            });
        }
        let count = u16::try_from(records.len()).unwrap().to_be_bytes();
        let head = [&question[..2], &[0x85, code, 0, 1], &count, &[0, 0, 0, 0]].concat();
        Some([head, question[12..end + 4].to_vec(), records.concat()].concat())
    }

    /// `None` where there is no such name.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let public = IpAddr::from(PUBLIC);
        let Some((hex, kind)) = name.strip_suffix(".test").and_then(|name| name.split_once('.')) else {
            let ip = if name == "public.test" { public } else { Ipv4Addr::LOCALHOST.into() };
            return (name == "public.test" || name.ends_with(".localhost")).then_some(vec![ip]);
        };
        let bits = u128::from_str_radix(hex, 16).ok()?;
        let v4 = u32::try_from(bits).map(Ipv4Addr::from_bits).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let ip = if hex.len() == 8 { IpAddr::V4(v4) } else { IpAddr::V6(Ipv6Addr::from_bits(bits)) };
        let under = |prefix: u128, shift: u32| IpAddr::V6(Ipv6Addr::from_bits(prefix | (bits << shift)));
        Some(match kind {
            "plain" | "alias" => vec![ip],
            "beside" => vec![public, ip],
            "last" => [[public; 9].to_vec(), vec![ip]].concat(),
            "flips" if self.has_flipped.load(Ordering::SeqCst) => vec![ip],
            "flips" => vec![public],
            "mapped" => vec![v4.to_ipv6_mapped().into()],
            "nat64" => vec![under(0x64_ff9b << 96, 0)],
            "sixtofour" => vec![under(0x2002 << 112, 80)],
            _ => return None,
        })
    }
}

fn kind_of(ip: IpAddr) -> u16 {
    if ip.is_ipv4() { A } else { AAAA }
}

/// The name that is asked for, and where it ends.
fn name(question: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).to_lowercase());
        at += length;
    }
}

fn labelled(label: &str) -> Vec<u8> {
    [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()
}

/// One that nobody keeps.
fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [owner, &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 0], &length, data].concat()
}
