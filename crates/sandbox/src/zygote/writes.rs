//! Which pages a payload has written to, of those that it shared with its zygote when it was forked.
//!
//! A page that is shared is copied when it is first written to, and the payload waits for each. Those that every program writes to are known
//! from one that was tried, and are copied for the others all at once, before anybody waits for them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use crate::process::number_of;

/// Addresses of a payload's memory, whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl Range {
    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.end - self.begin
    }
}

/// The pages of a process that no other process has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPages {
    /// Its writable memory.
    regions: Vec<Range>,
    /// Their addresses.
    pages: BTreeSet<u64>,
}

/// Larger ones are address space kept for later, and not memory.
const REGION_BYTES_MAX: u64 = 256 << 20;
/// Bits of a word of `/proc/PID/pagemap` (Linux, Documentation/admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const OF_A_FILE: u64 = 1 << 61;
const MAPPED_ONCE: u64 = 1 << 56;

impl OwnPages {
    /// Of a process that waits; what changes meanwhile is told as it was or as it is.
    pub(crate) fn of(pidfd: BorrowedFd<'_>) -> io::Result<Self> {
        let pid = number_of(pidfd)?;
        let regions = regions(&fs::read_to_string(format!("/proc/{pid}/maps"))?);
        let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
        let page_bytes = rustix::param::page_size() as u64;
        let mut pages = BTreeSet::new();
        for Range { begin, end } in &regions {
            let mut words = vec![0; usize::try_from((end - begin) / page_bytes * 8).unwrap_or(0)];
            pagemap.read_exact_at(&mut words, begin / page_bytes * 8)?;
            let words = words.chunks_exact(8).filter_map(|word| word.try_into().ok()).map(u64::from_ne_bytes);
            pages.extend(
                (*begin..)
                    .step_by(rustix::param::page_size())
                    .zip(words)
                    .filter(|(_, word)| is_own(*word))
                    .map(|(at, _)| at),
            );
        }
        // Its number may be another's by now.
        if number_of(pidfd)? == pid { Ok(Self { regions, pages }) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// What has become its own since, of the memory that it had before.
    pub fn since(&self, before: &Self) -> Vec<Range> {
        let page_bytes = rustix::param::page_size() as u64;
        let had = |page: &u64| before.regions.iter().any(|region| (region.begin..region.end).contains(page));
        let mut ranges: Vec<Range> = Vec::new();
        for page in self.pages.difference(&before.pages).copied().filter(had) {
            match ranges.last_mut() {
                Some(last) if last.end == page => last.end += page_bytes,
                _ => ranges.push(Range { begin: page, end: page + page_bytes }),
            }
        }
        ranges
    }
}

fn is_own(word: u64) -> bool {
    word & (PRESENT | MAPPED_ONCE | OF_A_FILE) == PRESENT | MAPPED_ONCE
}

/// What may be written to and is nobody else's, of the lines of `/proc/PID/maps`.
fn regions(maps: &str) -> Vec<Range> {
    let region = |line: &str| {
        let mut fields = line.split_whitespace();
        let (begin, end) = fields.next()?.split_once('-')?;
        let [begin, end] = [begin, end].map(|address| u64::from_str_radix(address, 16));
        let region = Range { begin: begin.ok()?, end: end.ok()? };
        (fields.next()? == "rw-p" && region.end - region.begin <= REGION_BYTES_MAX).then_some(region)
    };
    maps.lines().filter_map(region).collect()
}

/// As many as the kernel takes at once (`IOV_MAX`).
const RANGES_MAX: usize = 1024;

/// The message to a zygote that names them.
pub(super) fn words(ranges: &[Range]) -> String {
    let mut words = String::from("writes");
    for Range { begin, end } in ranges.iter().take(RANGES_MAX) {
        words.push_str(&format!(" {begin:x}-{end:x}"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(begin: u64, end: u64) -> Range {
        Range { begin, end }
    }

    #[test]
    fn only_memory_that_may_be_written_to_and_is_not_too_much_is_looked_at() {
        let maps = "\
            00400000-0041f000 r--p 00000000 fe:00 1 /usr/bin/python3.11\n\
            00945000-00a84000 rw-p 00545000 fe:00 1 /usr/bin/python3.11\n\
            10000000-90000000 rw-p 00000000 00:00 0 \n\
            7f0000000000-7f0000002000 rw-s 00000000 00:01 9 /memfd\n\
            7ffc00000000-7ffc00001000 rw-p 00000000 00:00 0 [stack]\n\
            nonsense\n";
        assert_eq!(regions(maps), [range(0x94_5000, 0xa8_4000), range(0x7ffc_0000_0000, 0x7ffc_0000_1000)]);
    }

    #[test]
    fn what_was_written_to_since_is_told_in_ranges_and_only_where_memory_was_before() {
        let page = rustix::param::page_size() as u64;
        let own = |pages: &[u64]| OwnPages {
            regions: vec![range(0, 10 * page)],
            pages: pages.iter().map(|number| number * page).collect(),
        };
        let since = own(&[0, 1, 2, 3, 5, 6, 9, 10]).since(&own(&[2, 7]));
        let pages = [(0, 2), (3, 4), (5, 7), (9, 10)].map(|(begin, end)| range(begin * page, end * page));
        assert_eq!(since, pages);
        assert_eq!(words(&[range(0x1000, 0x3000), range(0xff_f000, 0x100_0000)]), "writes 1000-3000 fff000-1000000");
    }

    #[test]
    fn a_page_that_a_process_writes_to_is_its_own() {
        use std::os::fd::AsFd;
        let ourselves = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
        let ourselves = ourselves.unwrap();
        let mut memory = vec![0u8; 1 << 20];
        let address = memory.as_ptr() as u64;
        let page = rustix::param::page_size() as u64;
        let at = (address / page + 3) * page;
        let before = OwnPages::of(ourselves.as_fd()).unwrap();
        memory[usize::try_from(at - address).unwrap()] = 1;
        let since = OwnPages::of(ourselves.as_fd()).unwrap().since(&before);
        assert!(since.iter().any(|range| (range.begin..range.end).contains(&at)), "{since:?} {at:x}");
        assert_eq!(memory.iter().map(|byte| u32::from(*byte)).sum::<u32>(), 1);
    }
}
