//! The numbers that the writer and the reader of frames agree on.

use skylift_model::FileMode;

/// What a stream starts with; the last byte is the version.
pub(super) const MAGIC: &[u8; 8] = b"SKYFRM\x00\x01";

pub(super) const NOTE: u8 = b'n';
pub(super) const ENTRY: u8 = b'f';
pub(super) const SAME: u8 = b's';
pub(super) const END: u8 = b'e';
pub(super) const ERROR: u8 = b'x';

/// The most bytes of one chunk.
pub(super) const CHUNK_BYTES_MAX: usize = 64 << 10;
/// In place of a chunk's length: the entry is broken off.
pub(super) const BROKEN_OFF: u32 = u32::MAX;
/// The most bytes of a note.
pub(super) const NOTE_BYTES_MAX: usize = 64 << 10;
/// The most bytes of one text of an error frame.
pub(super) const MESSAGE_BYTES_MAX: usize = 2 << 10;

pub(super) const fn mode_to_byte(mode: FileMode) -> u8 {
    match mode {
        FileMode::File => 0,
        FileMode::Executable => 1,
        FileMode::Symlink => 2,
    }
}

pub(super) const fn mode_from_byte(byte: u8) -> Option<FileMode> {
    match byte {
        0 => Some(FileMode::File),
        1 => Some(FileMode::Executable),
        2 => Some(FileMode::Symlink),
        _ => None,
    }
}
