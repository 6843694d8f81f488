//! Archives that become more than they seem: each stops at a cap, in seconds and in flat memory.

use std::io::{self, Read, Write};

use skylift_build::frames::IntakeLimits;
use skylift_build::unpack::unpack;

use super::received::refused;
use super::tarball::{Header, Tarball, gzip, zstd};
use super::zipball::{Entry, Zipball};

/// Keeps the end of what is written, which holds the refusal.
#[derive(Default)]
struct Tail {
    end: Vec<u8>,
    written: u64,
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len() as u64;
        self.end.extend_from_slice(bytes);
        let from = self.end.len().saturating_sub(1000);
        self.end.drain(..from);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Unpacks and gives the refusal's text with how many bytes went out before.
fn stopped(archive: impl Read) -> (String, u64) {
    stopped_within(archive, &IntakeLimits::default())
}

fn stopped_within(archive: impl Read, limits: &IntakeLimits) -> (String, u64) {
    let mut tail = Tail::default();
    let spool = tempfile::tempdir().unwrap();
    unpack(archive, &mut tail, limits, spool.path()).unwrap();
    let peak = peak_kib();
    assert!(peak < 256 << 10, "{peak} KiB in memory");
    (String::from_utf8_lossy(&tail.end).into_owned(), tail.written)
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A tar of one file of so many zeros, made as it is read.
fn zeros(size: u64) -> impl Read {
    let header = Tarball::default().header(Header::new(b"zeros", b'0', size));
    io::Cursor::new(header.end()).take(512).chain(io::repeat(0).take(size + 1024))
}

#[test]
fn a_small_gzip_of_many_zeros_stops_at_the_ratio() {
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(zeros(500 << 20), flate2::Compression::fast()).read_to_end(&mut packed).unwrap();
    let (end, written) = stopped(packed.as_slice());
    assert!(end.contains("more than 200 times its size"), "{end}");
    assert!(written < 100 << 20);
}

#[test]
fn a_small_zstd_of_many_zeros_stops_at_the_ratio() {
    let mut packed = Vec::new();
    zstd::stream::read::Encoder::new(zeros(500 << 20), 1).unwrap().read_to_end(&mut packed).unwrap();
    let (end, written) = stopped(packed.as_slice());
    assert!(end.contains("more than 200 times its size"), "{end}");
    assert!(written < 100 << 20);
}

#[test]
fn a_zip_of_many_files_that_are_each_small_enough_stops_at_the_ratio() {
    let zeros = vec![0; 16 << 20];
    let zip = Zipball::of((0..5).map(|number| Entry::deflated(&format!("{number}"), &zeros)));
    assert!(refused(&zip.bytes()).message.contains("more than 200 times its size"));
}

#[test]
fn a_window_of_gigabytes_is_refused() {
    // A frame header alone: magic, no single segment, window of 2^31.
    let archive = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    assert!(refused(&archive).message.contains("damaged"), "{}", refused(&archive).message);
}

#[test]
fn a_sparse_or_announced_terabyte_is_refused_before_it_is_read() {
    assert!(stopped(zeros(1 << 35)).0.contains("a file may have"));
    let mut huge = Header::new(b"huge", b'0', 0);
    huge.put(124, b"\x80\0\0\0\0\0\x01\0\0\0\0\0");
    assert!(refused(&Tarball::default().header(huge).end()).message.contains("1099511627776 bytes"));
}

#[test]
fn many_empty_files_stop_at_the_count() {
    let file = |number: u64| {
        Tarball::default().header(Header::new(format!("f{number}").as_bytes(), b'0', 0)).end()[..512].to_vec()
    };
    let endless = Repeated { number: 0, make: file, current: io::Cursor::default() };
    assert!(stopped(endless).0.contains("more than 100000 files"));
}

#[test]
fn many_skipped_entries_and_folders_stop_too() {
    let limits = IntakeLimits { files_max: 10_000, ..IntakeLimits::default() };
    for (name, kind) in [(".env", b'0'), ("node_modules/x", b'0'), ("d/", b'5')] {
        let one = Tarball::default().header(Header::new(name.as_bytes(), kind, 0)).end()[..512].to_vec();
        let endless = Repeated { number: 0, make: |_| one.clone(), current: io::Cursor::default() };
        assert!(stopped_within(endless, &limits).0.contains("more than 50000 entries"), "{name}");
    }
}

/// An endless tar: entry after entry.
struct Repeated<F> {
    number: u64,
    make: F,
    current: io::Cursor<Vec<u8>>,
}

impl<F: FnMut(u64) -> Vec<u8>> Read for Repeated<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.position() >= self.current.get_ref().len() as u64 {
            self.number += 1;
            self.current = io::Cursor::new((self.make)(self.number));
        }
        self.current.read(buffer)
    }
}

#[test]
fn a_zip_whose_entries_share_their_bytes_is_refused() {
    let kernel = vec![0; 1 << 20];
    let zip = Zipball { overlap: true, ..Zipball::of((0..500).map(|n| Entry::deflated(&format!("f{n}"), &kernel))) };
    assert!(refused(&zip.bytes()).message.contains("overlap"));
}

#[test]
fn a_zip_of_many_zeros_stops_at_the_ratio_and_a_lying_size_at_the_size() {
    let zeros = vec![0; 100 << 20];
    assert!(refused(&Zipball::of([Entry::deflated("zeros", &zeros)]).bytes()).message.contains("200 times"));
    let lying = Entry::deflated("zeros", &zeros).with(|entry| entry.size = 10);
    assert!(refused(&Zipball::of([lying]).bytes()).message.contains("not as many bytes"));
}

#[test]
fn a_gzip_of_a_gzip_is_not_followed() {
    // A quine unpacks to itself; whoever follows it never ends. One layer is taken off, which must leave a tar.
    let tar = Tarball::default().file("a", "").end();
    assert!(refused(&gzip(&gzip(&tar))).message.contains("too early"));
    assert!(refused(&zstd(&gzip(&tar))).message.contains("too early"));
}

#[test]
fn a_body_larger_than_the_limit_is_not_kept() {
    let zip = io::Cursor::new(*b"PK\x03\x04").chain(io::repeat(0));
    let limits = IntakeLimits { bytes_max: 1 << 20, ..IntakeLimits::default() };
    let mut stream = Vec::new();
    unpack(zip, &mut stream, &limits, tempfile::tempdir().unwrap().path()).unwrap();
    assert!(String::from_utf8_lossy(&stream).contains("more than 1048576 bytes"));
}
