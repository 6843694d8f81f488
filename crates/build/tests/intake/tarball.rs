//! Tar archives made byte by byte, so that they can be wrong in any way.

/// One header block.
#[derive(Clone)]
pub(crate) struct Header(pub(crate) [u8; 512]);

impl Header {
    pub(crate) fn new(name: &[u8], kind: u8, size: u64) -> Self {
        let mut header = Self([0; 512]);
        header.put(0, name);
        header.put(100, b"0000644\0");
        header.put(108, b"0001750\0");
        header.put(116, b"0001750\0");
        header.put(124, format!("{size:011o}\0").as_bytes());
        header.put(136, b"14700000000\0");
        header.0[156] = kind;
        header.put(257, b"ustar\x0000");
        header
    }

    /// Writes bytes at a place of the block; the checksum is made when the block is.
    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn summed(mut self) -> [u8; 512] {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

/// An archive that grows.
#[derive(Clone, Default)]
pub(crate) struct Tarball(Vec<u8>);

impl Tarball {
    pub(crate) fn header(mut self, header: Header) -> Self {
        self.0.extend(header.summed());
        self
    }

    /// Bytes, filled up to a whole block.
    pub(crate) fn data(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn entry(self, name: &str, kind: u8, data: &[u8]) -> Self {
        self.header(Header::new(name.as_bytes(), kind, data.len() as u64)).data(data)
    }

    pub(crate) fn file(self, name: &str, data: &str) -> Self {
        self.entry(name, b'0', data.as_bytes())
    }

    pub(crate) fn folder(self, name: &str) -> Self {
        self.entry(name, b'5', b"")
    }

    /// A symbolic (`2`) or hard (`1`) link.
    pub(crate) fn link(self, kind: u8, name: &str, target: &str) -> Self {
        let mut header = Header::new(name.as_bytes(), kind, 0);
        header.put(157, target.as_bytes());
        self.header(header)
    }

    /// A PAX header with these records.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        self.extended(b'x', records)
    }

    pub(crate) fn extended(self, kind: u8, records: &[(&str, &str)]) -> Self {
        let records: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.entry("PaxHeaders/x", kind, records.as_bytes())
    }

    /// The whole archive.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length += 1;
    }
    format!("{length}{rest}")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()), &mut packed)
        .unwrap();
    packed
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
