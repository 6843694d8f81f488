//! Archives, written by code: good ones, and such as nobody's tool would write.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};
use tar::{Builder, EntryType, Header};

/// A tar in the making.
pub struct Tar(Builder<Vec<u8>>);

impl Default for Tar {
    fn default() -> Self {
        Self::new()
    }
}

impl Tar {
    pub fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    #[must_use]
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, path, "", contents.as_ref())
    }

    #[must_use]
    pub fn folder(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, "", &[])
    }

    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, target, &[])
    }

    #[must_use]
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, path, target, &[])
    }

    /// Any entry: the path goes into the header as it is, past the checks of the library.
    #[must_use]
    pub fn entry(mut self, kind: EntryType, path: &str, target: &str, contents: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        self.0.append(&header, contents).unwrap();
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    pub fn gzip(self) -> Vec<u8> {
        gzip(&self.bytes())
    }

    pub fn zstd(self) -> Vec<u8> {
        zstd::encode_all(self.bytes().as_slice(), 3).unwrap()
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A zip of files by their paths, as they are given.
pub fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, contents) in files {
        writer.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(contents.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A gzip of a tar with one file of `gib` GiB of zeros. A fully flushed piece of a deflate stream stands for itself, so
/// that one piece, repeated, makes the whole without our having to compress as much.
pub fn bomb(gib: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_mode(0o644);
    header.set_size(gib << 30);
    header.set_cksum();
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(flushed(header.as_bytes()));
    let zeros = flushed(&vec![0; 64 << 20]);
    for _ in 0..gib * 16 {
        bytes.extend_from_slice(&zeros);
    }
    bytes
}

/// So many times 64 MiB of zeros, as zlib packs them, made like [`bomb`].
pub fn zeros(pieces: u64) -> Vec<u8> {
    let piece = flushed(&vec![0; 64 << 20]);
    let mut bytes = vec![0x78, 0xda];
    for _ in 0..pieces {
        bytes.extend_from_slice(&piece);
    }
    // An empty last block. Of zeros alone, the first half of the checksum counts them and the other stays one.
    bytes.extend([0x03, 0x00]);
    let count = u16::try_from((pieces << 26) % 65_521).unwrap();
    bytes.extend(count.to_be_bytes());
    bytes.extend(1_u16.to_be_bytes());
    bytes
}

/// A piece of a raw deflate stream.
fn flushed(bytes: &[u8]) -> Vec<u8> {
    let mut piece = Vec::with_capacity(bytes.len() / 500 + 1024);
    let status = Compress::new(Compression::best(), false).compress_vec(bytes, &mut piece, FlushCompress::Full);
    assert!(status.is_ok() && piece.len() < piece.capacity());
    piece
}
