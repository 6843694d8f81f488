//! A reader that stops an archive from becoming more than it may.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::outgoing::too_large;
use crate::frames::{IntakeLimits, Refusal};

/// Up to here any ratio is taken: an empty log of that size is no bomb.
const RATIO_COUNTS_FROM: u64 = 64 << 20;
/// Above that, how many bytes one packed byte may become. Sources come to 3 to 20.
const RATIO_MAX: u64 = 200;
/// What an archive may have beyond the bytes of its files: headers, and files that are skipped.
const OTHERS_PER_BYTE: u64 = 4;

/// How much may come out of an archive's wrapping.
#[derive(Clone, Copy)]
pub(super) struct Bounded {
    bytes_max: u64,
}

impl Bounded {
    pub(super) fn new(limits: &IntakeLimits) -> Self {
        let headers = limits.files_max.saturating_mul(2048);
        Self { bytes_max: limits.bytes_max.saturating_mul(OTHERS_PER_BYTE).saturating_add(headers) }
    }

    /// Bytes that are not packed.
    pub(super) fn plain<R: Read>(self, input: R) -> impl Read {
        let packed = Rc::new(Cell::new(u64::MAX));
        BoundedReader { input, packed, unpacked: 0, bytes_max: self.bytes_max }
    }

    /// Bytes as `decoder` unpacks them.
    pub(super) fn unpacked<R: BufRead, D: Read>(
        self,
        input: R,
        decoder: impl FnOnce(CountedReader<R>) -> io::Result<D>,
    ) -> io::Result<impl Read> {
        let packed = Rc::new(Cell::new(0));
        let counted = CountedReader { input, count: Rc::clone(&packed) };
        let input = decoder(counted)?;
        Ok(BoundedReader { input, packed, unpacked: 0, bytes_max: self.bytes_max })
    }
}

/// Refuses what grows too much as it is unpacked.
pub(super) fn check_ratio(packed: u64, unpacked: u64) -> Result<(), Refusal> {
    if unpacked > RATIO_COUNTS_FROM && unpacked / RATIO_MAX > packed {
        return Err(too_large(format!("the archive unpacks to more than {RATIO_MAX} times its size")));
    }
    Ok(())
}

/// Counts what is taken from a reader.
pub(super) struct CountedReader<R> {
    input: R,
    count: Rc<Cell<u64>>,
}

impl<R: BufRead> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.count.set(self.count.get() + got as u64);
        Ok(got)
    }
}

impl<R: BufRead> BufRead for CountedReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.count.set(self.count.get() + amount as u64);
        self.input.consume(amount);
    }
}

struct BoundedReader<R> {
    input: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    bytes_max: u64,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.unpacked += got as u64;
        if self.unpacked > self.bytes_max {
            return Err(io::Error::other(too_large("the archive unpacks to more than is taken")));
        }
        check_ratio(self.packed.get(), self.unpacked).map_err(io::Error::other)?;
        Ok(got)
    }
}
