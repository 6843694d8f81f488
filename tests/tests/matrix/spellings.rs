//! The ways to write an address, and names that lead to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A destination in all its spellings, as the host of a request: 30 and more.
pub(crate) fn spellings(ip: IpAddr) -> Vec<String> {
    let mut all = match ip {
        IpAddr::V4(ip) => of_v4(ip),
        IpAddr::V6(ip) => of_v6(ip),
    };
    all.extend(names(ip));
    all.sort();
    all.dedup();
    all
}

/// The same without names: what a program can write by itself.
fn of_v4(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets();
    let (all, last_two, last_three) = (ip.to_bits(), u32::from(c) << 8 | u32::from(d), ip.to_bits() & 0xff_ffff);
    let (high, low) = (all >> 16, all & 0xffff);
    let wide: String = ip.to_string().chars().map(|c| c.to_digit(10).map_or('．', fullwidth)).collect();
    vec![
        format!("{ip}"),
        format!("{ip}."),
        format!("{all}"),
        format!("{}", u64::from(all) + (1 << 32)),
        format!("0x{all:x}"),
        format!("0X{all:08X}"),
        format!("0x00000000{all:08x}"),
        format!("0{all:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.000{b:o}.000{c:o}.000{d:o}"),
        format!("0x{a:x}.{b}.0{c:o}.{d}"),
        format!("{a}.{last_three}"),
        format!("0x{a:x}.0x{last_three:x}"),
        format!("{a}.{b}.{last_two}"),
        format!("0{a:o}.0x{b:x}.{last_two}"),
        format!("{a}.{b}.{c}.0x{d:x}"),
        format!("{}.{}.{}.{}", u16::from(a) + 256, u16::from(b) + 256, c, d),
        wide,
        ip.to_string().replace('.', "%2e"),
        format!("user@{ip}"),
        format!("public.test@{ip}"),
        format!("{ip}%00.public.test"),
        format!("[::ffff:{ip}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:FFFF:{high:04X}:{low:04X}]"),
        format!("[::{ip}]"),
        format!("[::ffff:0:{ip}]"),
        format!("[64:ff9b::{ip}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{ip}]"),
        format!("[2002:{high:x}:{low:x}::]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:cb00:7107:0:ffff:{:x}:{:x}]", high ^ 0xffff, low ^ 0xffff),
    ]
}

fn of_v6(ip: Ipv6Addr) -> Vec<String> {
    let segments = ip.segments();
    let joined = |each: fn(&u16) -> String| segments.iter().map(each).collect::<Vec<_>>().join(":");
    let [.., high, low] = segments;
    let tail = Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let head = segments.iter().take(6).map(|segment| format!("{segment:x}")).collect::<Vec<_>>().join(":");
    let written = [
        format!("{ip}"),
        format!("{ip}").to_uppercase(),
        joined(|segment| format!("{segment:x}")),
        joined(|segment| format!("{segment:04x}")),
        joined(|segment| format!("{segment:04X}")),
        format!("{head}:{tail}"),
    ];
    let of = |text: &String| ["", "%lo", "%net1", "%eth0", "%1", "%25lo"].map(|zone| format!("[{text}{zone}]"));
    written.iter().flat_map(of).chain([format!("{ip}"), format!("[[{ip}]]")]).collect()
}

/// What the test's name server says for these is in [`super::names`].
fn names(ip: IpAddr) -> Vec<String> {
    let hex = match ip {
        IpAddr::V4(ip) => format!("{:08x}", ip.to_bits()),
        IpAddr::V6(ip) => format!("{:032x}", ip.to_bits()),
    };
    let mut names: Vec<_> =
        ["plain", "beside", "last", "alias", "flips"].map(|kind| format!("{hex}.{kind}.test")).into();
    names.extend([format!("{hex}.plain.test."), format!("{hex}.PLAIN.Test")]);
    if ip.is_ipv4() {
        names.extend(["mapped", "nat64", "sixtofour"].map(|kind| format!("{hex}.{kind}.test")));
    }
    names
}

fn fullwidth(digit: u32) -> char {
    char::from_u32(u32::from('０') + digit).unwrap()
}
