//! Zip archives: stored and deflated entries that lie one after another, as their list says.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;

use flate2::bufread::DeflateDecoder;
use skylift_model::FileMode;
use skylift_model::manifest::LINK_BYTES_MAX;

use super::bounded::check_ratio;
use super::directory::{self, Directory, Entry, Part, u16_at, u32_at};
use super::outgoing::{Outgoing, Sent, Stop, damaged, not_taken, shown, unreadable};
use crate::frames::Refusal;

/// The fixed part of the header before each entry's bytes.
const LOCAL_BYTES: u64 = 30;
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// The sizes follow the bytes.
const SIZES_FOLLOW: u16 = 1 << 3;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Reads a zip.
pub(super) fn read<W: Write>(file: &File, outgoing: &mut Outgoing<W>) -> Result<(), Stop> {
    let directory = directory::read(file, outgoing.entries_max())?;
    let starts = starts(file, &directory)?;
    // All together, too: many that are small enough make one that is not.
    let sum = |of: fn(&Entry) -> u64| directory.entries.iter().map(of).fold(0, u64::saturating_add);
    check_ratio(sum(|entry| entry.packed), sum(|entry| entry.size))?;
    for (number, (entry, start)) in (1..).zip(directory.entries.iter().zip(starts)) {
        let part = Part { file, at: start, end: start.saturating_add(entry.packed) };
        send(entry, part, outgoing).map_err(|stop| locate(stop, number, entry))?;
    }
    Ok(())
}

/// Where each entry's bytes start. Entries must fill the file from its first byte to the list, without overlap and
/// without anything between them: what lies in between, another reader takes for an entry.
fn starts(file: &File, directory: &Directory) -> Result<Vec<u64>, Stop> {
    let mut order: Vec<(usize, &Entry)> = directory.entries.iter().enumerate().collect();
    order.sort_by_key(|(_, entry)| entry.offset);
    let mut starts = Vec::with_capacity(order.len());
    let mut end = 0;
    let mut slack = 0..=0;
    for (at, entry) in order {
        let number = at as u64 + 1;
        let gap = entry.offset.checked_sub(end).filter(|gap| slack.contains(gap));
        if gap.is_none() {
            return Err(locate(overlap(), number, entry));
        }
        let start = local(file, entry).map_err(|stop| locate(stop, number, entry))?;
        end = start.checked_add(entry.packed).ok_or_else(overlap)?;
        // A descriptor of 12 to 24 bytes may follow.
        slack = if entry.flags & SIZES_FOLLOW == 0 { 0..=0 } else { 12..=24 };
        starts.push((at, start));
    }
    match directory.start.checked_sub(end).filter(|gap| slack.contains(gap)) {
        Some(_) => {
            starts.sort_unstable_by_key(|(at, _)| *at);
            Ok(starts.into_iter().map(|(_, start)| start).collect())
        }
        None => Err(overlap()),
    }
}

fn overlap() -> Stop {
    not_taken("the entries overlap, or something lies between them").hint("make the archive anew").into()
}

/// Checks the header before an entry's bytes against the list; gives where the bytes start.
fn local(file: &File, entry: &Entry) -> Result<u64, Stop> {
    let mut head = [0; LOCAL_BYTES as usize];
    file.read_exact_at(&mut head, entry.offset).map_err(Stop::Input)?;
    let mut name = vec![0; usize::from(u16_at(&head, 26))];
    let name_at = entry.offset.saturating_add(LOCAL_BYTES);
    file.read_exact_at(&mut name, name_at).map_err(Stop::Input)?;
    let follows = entry.flags & SIZES_FOLLOW != 0;
    let agrees = |local: u32, listed: u64| u64::from(local) == listed || local == u32::MAX || (follows && local == 0);
    let right = head.starts_with(b"PK\x03\x04")
        && name == entry.raw_name
        && u16_at(&head, 8) == entry.method
        && (u16_at(&head, 6) ^ entry.flags) & (ENCRYPTED | SIZES_FOLLOW) == 0
        && agrees(u32_at(&head, 14), u64::from(entry.crc))
        && agrees(u32_at(&head, 18), entry.packed)
        && agrees(u32_at(&head, 22), entry.size);
    if !right {
        return Err(damaged("its header and the zip's list disagree").into());
    }
    Ok(name_at + name.len() as u64 + u64::from(u16_at(&head, 28)))
}

fn send<W: Write>(entry: &Entry, part: Part<'_>, outgoing: &mut Outgoing<W>) -> Result<(), Stop> {
    if entry.flags & ENCRYPTED != 0 {
        return Err(not_taken("it is encrypted").hint("make the archive without a password").into());
    }
    check_ratio(entry.packed, entry.size)?;
    let name = &entry.name;
    match (entry.mode & 0o170_000, name.ends_with(b"/")) {
        (0 | 0o040_000, true) if entry.size == 0 => Ok(outgoing.folder(name)?),
        (0 | 0o040_000, true) => Err(not_taken("it is a folder, yet has bytes").into()),
        (0 | 0o100_000, false) => file(entry, part, outgoing),
        (0o120_000, false) => link(entry, part, outgoing),
        (0o040_000, false) => Err(not_taken("it is a folder, yet its name does not end with `/`").into()),
        (_, true) => Err(not_taken("it is no folder, yet its name ends with `/`").into()),
        (0o010_000, _) => Err(not_taken("it is a named pipe").into()),
        (0o020_000 | 0o060_000, _) => Err(not_taken("it is a device").into()),
        (0o140_000, _) => Err(not_taken("it is a socket").into()),
        _ => Err(not_taken("it is of an unknown kind").into()),
    }
}

fn file<W: Write>(entry: &Entry, part: Part<'_>, outgoing: &mut Outgoing<W>) -> Result<(), Stop> {
    let mode = if entry.mode & 0o100 != 0 { FileMode::Executable } else { FileMode::File };
    let mut data = Data::open(entry, part)?;
    match outgoing.file(&entry.name, mode, entry.size, &mut data)? {
        Sent::Yes => data.finish(entry),
        Sent::No => Ok(()),
    }
}

fn link<W: Write>(entry: &Entry, part: Part<'_>, outgoing: &mut Outgoing<W>) -> Result<(), Stop> {
    let mut data = Data::open(entry, part)?;
    let mut target = Vec::new();
    (&mut data).take(entry.size.min(LINK_BYTES_MAX + 1)).read_to_end(&mut target).map_err(Stop::Input)?;
    if target.len() as u64 <= LINK_BYTES_MAX {
        data.finish(entry)?;
    }
    outgoing.link(&entry.name, &target)
}

/// An entry's bytes, unpacked and summed up on the way.
struct Data<'a> {
    unpacked: Unpacked<'a>,
    crc: flate2::Crc,
}

enum Unpacked<'a> {
    Stored(BufReader<Part<'a>>),
    Deflated(Box<DeflateDecoder<BufReader<Part<'a>>>>),
}

impl<'a> Data<'a> {
    fn open(entry: &Entry, part: Part<'a>) -> Result<Self, Stop> {
        let part = BufReader::with_capacity(32 << 10, part);
        let unpacked = match entry.method {
            STORED if entry.size != entry.packed => return Err(damaged("its two sizes disagree").into()),
            STORED => Unpacked::Stored(part),
            DEFLATED => Unpacked::Deflated(Box::new(DeflateDecoder::new(part))),
            _ => {
                let refusal = not_taken(format!("it is packed by method {}", entry.method));
                return Err(refusal.hint("pack with deflate, which every zip program does by default").into());
            }
        };
        Ok(Self { unpacked, crc: flate2::Crc::new() })
    }

    /// After the announced bytes: nothing more may come, and all packed bytes must be used up.
    fn finish(mut self, entry: &Entry) -> Result<(), Stop> {
        let sum = self.crc.sum();
        if self.read(&mut [0]).map_err(Stop::Input)? != 0 {
            return Err(damaged("it has not as many bytes as its header says").into());
        }
        let used = match &self.unpacked {
            Unpacked::Stored(_) => entry.packed,
            Unpacked::Deflated(decoder) => decoder.total_in(),
        };
        if used != entry.packed {
            return Err(damaged("something follows its packed bytes").into());
        }
        if sum != entry.crc {
            return Err(damaged("its checksum is wrong").into());
        }
        Ok(())
    }
}

impl Read for Data<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = match &mut self.unpacked {
            Unpacked::Stored(part) => part.read(buffer)?,
            Unpacked::Deflated(decoder) => decoder.read(buffer)?,
        };
        self.crc.update(buffer.get(..got).unwrap_or_default());
        Ok(got)
    }
}

fn locate(stop: Stop, number: u64, entry: &Entry) -> Stop {
    let name = shown(&entry.name);
    match stop {
        Stop::Refused(refusal) => {
            let message = format!("entry {number} (`{name}`): {}", refusal.message);
            Refusal { message, ..refusal }.into()
        }
        Stop::Input(error) => unreadable(error, &format!("in entry {number} (`{name}`)")).into(),
        Stop::Out(error) => Stop::Out(error),
    }
}
