//! One block of a tar that describes an entry.

use std::borrow::Cow;

use super::outgoing::{damaged, not_taken};
use crate::frames::Refusal;

/// Tar consists of blocks of this many bytes.
pub(super) const BLOCK: usize = 512;

/// A header block whose checksum was found right.
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Header<'a> {
    /// Whether an archive that starts with these bytes is a tar.
    pub(super) fn starts_tar(start: &[u8]) -> bool {
        start.first_chunk().is_some_and(|block| Header(block).sum_is_right())
    }

    pub(super) fn parse(block: &'a [u8; BLOCK]) -> Result<Self, Refusal> {
        let header = Self(block);
        if header.sum_is_right() { Ok(header) } else { Err(damaged("a header's checksum is wrong")) }
    }

    /// The kind of the entry, as its letter.
    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    /// The name, with the prefix that the ustar format has for long ones.
    pub(super) fn name(&self) -> Result<Cow<'a, [u8]>, Refusal> {
        let name = until_nul(&self.0[..100]);
        let prefix = &self.0[345..500];
        if self.is_ustar() {
            let prefix = until_nul(prefix);
            return Ok(if prefix.is_empty() { name.into() } else { [prefix, b"/", name].concat().into() });
        }
        // Other formats keep times or nothing here. Readers disagree on whether to take it for a name.
        if prefix.iter().any(|byte| *byte != 0) {
            return Err(not_taken("its header is of a kind that is read in two ways")
                .hint("make the archive with plain `tar c`"));
        }
        Ok(name.into())
    }

    /// The target of a link.
    pub(super) fn target(&self) -> &'a [u8] {
        until_nul(&self.0[157..257])
    }

    /// How many bytes follow the header.
    pub(super) fn size(&self) -> Result<u64, Refusal> {
        number(&self.0[124..136]).ok_or_else(|| damaged("a header's size is no number"))
    }

    /// Whether the owner may execute it. Every other bit of the mode (set-uid above all) is dropped.
    pub(super) fn is_executable(&self) -> Result<bool, Refusal> {
        let mode = number(&self.0[100..108]).ok_or_else(|| damaged("a header's mode is no number"))?;
        Ok(mode & 0o100 != 0)
    }

    fn is_ustar(&self) -> bool {
        self.0[257..263] == *b"ustar\0"
    }

    fn sum_is_right(&self) -> bool {
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        let field: u64 = self.0[148..156].iter().map(|byte| u64::from(*byte)).sum();
        octal(&self.0[148..156]) == Some(sum - field + 8 * u64::from(b' '))
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits or, where the first bit is set, in binary.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    match first {
        0x80 => {
            let (high, low) = rest.split_at(rest.len().saturating_sub(8));
            let low = low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            high.iter().all(|byte| *byte == 0).then_some(low)
        }
        0x81.. => None,
        _ => octal(field),
    }
}

/// Octal digits, spaces before them, and NULs or spaces alone after them. Nothing at all is 0, as everywhere.
fn octal(field: &[u8]) -> Option<u64> {
    let start = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
    let digits = field.get(start..).unwrap_or_default();
    let end = digits.iter().position(|byte| !(b'0'..=b'7').contains(byte)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let clean = rest.iter().all(|byte| matches!(byte, 0 | b' '));
    clean.then(|| digits.iter().fold(0, |number, digit| number << 3 | u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary_and_never_half_read() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff"), None, "negative");
        assert_eq!(number(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), None, "past 64 bits");
        assert_eq!(number(b"644x\0\0\0\0"), None);
        assert_eq!(number(b"64\x0044\0\0\0"), None);
        assert_eq!(number(b"-0000644"), None);
        assert_eq!(number(b"777777777777"), Some(0o777777777777));
    }
}
