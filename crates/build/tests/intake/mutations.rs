//! Real archives with random damage: whatever happens to them, nothing panics, nothing escapes, nothing is half taken.

use std::sync::LazyLock;

use skylift_build::frames::IntakeLimits;

use super::differential::{self, Made};
use super::received::{frames_of, received};

static LIMITS: LazyLock<IntakeLimits> =
    LazyLock::new(|| IntakeLimits { files_max: 1000, bytes_max: 1 << 20, file_bytes_max: 1 << 20 });

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

/// Damages an archive in one to eight places.
fn mutate(archive: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 0x7f, 0x80, 0xff, b'/', b'.', b'0', b'7'][random.below(8)],
            2 => bytes.truncate(at.max(1)),
            3 => {
                bytes.remove(at);
                bytes.push(0);
            }
            4 => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
            5 => {
                let block = at / 512 * 512;
                let end = (block + 512).min(bytes.len());
                let copy = bytes[block..end].to_vec();
                bytes.splice(block..block, copy);
            }
            6 => {
                let word = [&b"../"[..], b"/etc/passwd", b".git/", b"\0\0\0\0", b"\xff\xff\xff\xff", b"99999999"]
                    [random.below(6)];
                let end = (at + word.len()).min(bytes.len());
                bytes.splice(at..end, word.iter().copied());
            }
            _ => fix_sums(&mut bytes, at),
        }
    }
    // Half of the damage must get past the checksums to reach what is behind them.
    if random.below(2) == 0 {
        for block in (0..bytes.len()).step_by(512) {
            fix_sums(&mut bytes, block);
        }
    }
    bytes
}

/// Makes the checksum of the tar header at `at` right, where one seems to be.
fn fix_sums(bytes: &mut [u8], at: usize) {
    let Some(header) = bytes.get_mut(at / 512 * 512..).and_then(|rest| rest.get_mut(..512)) else { return };
    if header[257..262] != *b"ustar" {
        return;
    }
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Unpacks `count` damaged archives. Panics fail the test; an accepted one is received with every check of the host.
fn survive(count: u64, seed: u64) {
    let Some(archives) = differential::archives() else { return };
    let mut random = Random(seed);
    let mut taken = 0;
    for number in 0..count {
        let Made { bytes, .. } = &archives[random.below(archives.len())];
        let damaged = mutate(bytes, &mut random);
        match received(&frames_of(&damaged, &LIMITS), &LIMITS) {
            Ok(_) => taken += 1,
            Err(error) => {
                let refusal = error.as_refusal();
                let refusal = refusal.unwrap_or_else(|| panic!("seed {seed}, archive {number}: {error}"));
                assert!(!refusal.message.is_empty());
            }
        }
    }
    println!("seed {seed}: {taken} of {count} damaged archives were still good");
    assert!(taken < count / 2, "the damage does nothing");
}

#[test]
fn three_hundred_damaged_archives_do_no_harm() {
    survive(300, 20_240_607);
}

#[test]
#[ignore = "soak: minutes; run with --run-ignored"]
fn ten_thousand_damaged_archives_do_no_harm() {
    let seed = std::env::var("SKYLIFT_SEED").ok().and_then(|text| text.parse().ok());
    survive(10_000, seed.unwrap_or_else(|| u64::from(std::process::id())));
}
