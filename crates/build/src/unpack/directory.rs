//! The list of entries at the end of a zip, believed only where it is the one possible reading of the file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use super::outgoing::{Stop, damaged, not_taken, too_large};
use crate::frames::Refusal;

/// The record that ends a zip, without its comment.
const END_BYTES: usize = 22;
const END_MARK: &[u8; 4] = b"PK\x05\x06";
/// The longest comment a zip may have.
const COMMENT_BYTES_MAX: u64 = u16::MAX as u64;
/// What stands in a field of 32 bits whose value is elsewhere, in 64.
const ELSEWHERE: u64 = u32::MAX as u64;

/// One entry as the list gives it.
#[derive(Debug)]
pub(super) struct Entry {
    /// The name as its local header must repeat it.
    pub(super) raw_name: Vec<u8>,
    /// The name, in UTF-8 if the archive is to be taken.
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    /// Where its local header starts.
    pub(super) offset: u64,
    /// The Unix mode, where a Unix made the archive; else 0.
    pub(super) mode: u32,
}

/// The list of entries, and where it starts: where the last entry must end.
pub(super) struct Directory {
    pub(super) entries: Vec<Entry>,
    pub(super) start: u64,
}

/// A part of a file, as a reader.
pub(super) struct Part<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let got = self.file.read_at(buffer.get_mut(..room).unwrap_or_default(), self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

/// Reads the list of a zip's entries.
pub(super) fn read(file: &File, entries_max: u64) -> Result<Directory, Stop> {
    let length = file.metadata().map_err(Stop::Input)?.len();
    let ending = find_end(file, length)?;
    if ending.count > entries_max {
        return Err(too_large(format!("the archive has more than {entries_max} entries")).into());
    }
    if ending.start.checked_add(ending.bytes) != Some(ending.at) {
        return Err(damaged("the list of the zip's entries is not where it should be").into());
    }
    let part = Part { file, at: ending.start, end: ending.at };
    let mut list = BufReader::new(part);
    let mut entries = Vec::new();
    for number in 1..=ending.count {
        entries.push(entry(&mut list).map_err(|stop| in_list(stop, number))?);
    }
    if list.read(&mut [0]).map_err(Stop::Input)? != 0 {
        return Err(damaged("the zip lists more entries than it says").into());
    }
    Ok(Directory { entries, start: ending.start })
}

fn in_list(stop: Stop, number: u64) -> Stop {
    match stop {
        Stop::Refused(refusal) => {
            let message = format!("entry {number} in the zip's list: {}", refusal.message);
            Refusal { message, ..refusal }.into()
        }
        Stop::Input(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            damaged(format!("the zip's list ends before entry {number}")).into()
        }
        stop @ (Stop::Input(_) | Stop::Out(_)) => stop,
    }
}

/// What the end of a zip says about its list.
struct Ending {
    /// Where the list must end.
    at: u64,
    count: u64,
    bytes: u64,
    start: u64,
}

fn find_end(file: &File, length: u64) -> Result<Ending, Stop> {
    let tail_at = length.saturating_sub(END_BYTES as u64 + COMMENT_BYTES_MAX);
    let mut tail = Vec::new();
    Part { file, at: tail_at, end: length }.read_to_end(&mut tail).map_err(Stop::Input)?;
    let mut found = None;
    for (at, record) in tail.windows(END_BYTES).enumerate() {
        let comment = tail.len() - at - END_BYTES;
        if record.starts_with(END_MARK)
            && usize::from(u16_at(record, 20)) == comment
            && found.replace((at, record)).is_some()
        {
            return Err(not_taken("the zip has two endings").hint("make the archive anew, without a comment").into());
        }
    }
    let Some((at, record)) = found else {
        return Err(damaged("the zip ends too early: the list of its entries is missing").into());
    };
    let disks = [u16_at(record, 4), u16_at(record, 6)];
    let counts = [u64::from(u16_at(record, 8)), u64::from(u16_at(record, 10))];
    if disks != [0, 0] || counts[0] != counts[1] {
        return Err(not_taken("the zip is one part of several").into());
    }
    let small = Ending {
        at: tail_at + at as u64,
        count: counts[0],
        bytes: u64::from(u32_at(record, 12)),
        start: u64::from(u32_at(record, 16)),
    };
    find_large_end(file, small)
}

/// The ending of a zip with more of something than 16 or 32 bits can say. What both endings say must agree.
fn find_large_end(file: &File, small: Ending) -> Result<Ending, Stop> {
    let Some(locator_at) = small.at.checked_sub(20) else { return Ok(small) };
    let mut locator = [0; 20];
    file.read_exact_at(&mut locator, locator_at).map_err(Stop::Input)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(small);
    }
    let at = u64_at(&locator, 8);
    if at.checked_add(56) != Some(locator_at) {
        return Err(damaged("the zip's 64-bit ending is not where it should be").into());
    }
    let mut record = [0; 56];
    file.read_exact_at(&mut record, at).map_err(Stop::Input)?;
    let large = Ending { at, count: u64_at(&record, 32), bytes: u64_at(&record, 40), start: u64_at(&record, 48) };
    let agree = |small: u64, large: u64, elsewhere: u64| small == large || small == elsewhere;
    let right = record.starts_with(b"PK\x06\x06")
        && u64_at(&record, 24) == large.count
        && u64_at(&record, 16) == 0
        && agree(small.count, large.count, u64::from(u16::MAX))
        && agree(small.bytes, large.bytes, ELSEWHERE)
        && agree(small.start, large.start, ELSEWHERE);
    if right { Ok(large) } else { Err(damaged("the zip's two endings disagree").into()) }
}

fn entry(list: &mut impl Read) -> Result<Entry, Stop> {
    let mut head = [0; 46];
    list.read_exact(&mut head).map_err(Stop::Input)?;
    if !head.starts_with(b"PK\x01\x02") {
        return Err(damaged("it is malformed").into());
    }
    let mut read = |length: u16| {
        let mut bytes = vec![0; usize::from(length)];
        list.read_exact(&mut bytes).map(|()| bytes).map_err(Stop::Input)
    };
    let raw_name = read(u16_at(&head, 28))?;
    let extra = read(u16_at(&head, 30))?;
    read(u16_at(&head, 32))?;
    if u16_at(&head, 34) != 0 {
        return Err(not_taken("it lies on another disk").into());
    }
    let flags = u16_at(&head, 8);
    let fields = Fields::parse(&extra)?;
    let mut large = fields.large;
    let mut wide = |at: usize| match u64::from(u32_at(&head, at)) {
        ELSEWHERE => take_u64(&mut large).ok_or_else(|| damaged("its size is missing")),
        number => Ok(number),
    };
    let (size, packed, offset) = (wide(24)?, wide(20)?, wide(42)?);
    let made_by = head[5];
    let is_unix = matches!(made_by, 3 | 19);
    Ok(Entry {
        name: fields.name(&raw_name, flags)?,
        raw_name,
        flags,
        method: u16_at(&head, 10),
        crc: u32_at(&head, 16),
        packed,
        size,
        offset,
        mode: if is_unix { u32_at(&head, 38) >> 16 } else { 0 },
    })
}

/// The extra fields that matter.
struct Fields<'a> {
    /// Sizes and offset in 64 bits, those that did not fit in 32.
    large: &'a [u8],
    /// The name in UTF-8, after a version and the checksum of the name it stands for.
    unicode: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn parse(mut extra: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = Self { large: &[], unicode: None };
        while let [a, b, c, d, rest @ ..] = extra {
            let length = usize::from(u16::from_le_bytes([*c, *d]));
            let (value, after) =
                rest.split_at_checked(length).ok_or_else(|| damaged("its extra fields are malformed"))?;
            match u16::from_le_bytes([*a, *b]) {
                0x0001 if !fields.large.is_empty() => return Err(damaged("it gives its size twice")),
                0x0001 => fields.large = value,
                0x7075 if fields.unicode.is_some() => return Err(damaged("it gives its name twice")),
                0x7075 => fields.unicode = Some(value),
                _ => {}
            }
            extra = after;
        }
        Ok(fields)
    }

    /// The name in UTF-8. A field that gives an ASCII name another spelling would be read by some tools alone.
    fn name(&self, raw: &[u8], flags: u16) -> Result<Vec<u8>, Refusal> {
        const NAME_IS_UTF8: u16 = 1 << 11;
        let Some([1, crc @ ..]) = self.unicode else { return Ok(raw.to_vec()) };
        let Some((crc, unicode)) = crc.split_first_chunk::<4>() else { return Err(damaged("its name is malformed")) };
        if raw == unicode {
            return Ok(raw.to_vec());
        }
        let mut of_raw = flate2::Crc::new();
        of_raw.update(raw);
        let stands_for_it = of_raw.sum() == u32::from_le_bytes(*crc);
        if raw.is_ascii() || flags & NAME_IS_UTF8 != 0 || !stands_for_it {
            return Err(not_taken("it has two names"));
        }
        Ok(unicode.to_vec())
    }
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

/// Numbers at fixed places of records whose length is fixed; 0 where there is none.
pub(super) fn u16_at(record: &[u8], at: usize) -> u16 {
    record.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

pub(super) fn u32_at(record: &[u8], at: usize) -> u32 {
    record.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    record.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
