//! Zip archives made byte by byte, so that they can be wrong in any way.

/// One entry, with every field that a test may want to be wrong.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) packed: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) crc: u32,
    pub(crate) size: u32,
    pub(crate) mode: u32,
    pub(crate) made_by: u8,
    pub(crate) extra: Vec<u8>,
}

impl Entry {
    pub(crate) fn stored(name: &str, data: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        Self {
            name: name.into(),
            local_name: None,
            packed: data.into(),
            method: 0,
            flags: 0,
            crc: crc.sum(),
            size: u32::try_from(data.len()).unwrap(),
            mode: 0o100_644,
            made_by: 3,
            extra: Vec::new(),
        }
    }

    pub(crate) fn deflated(name: &str, data: &[u8]) -> Self {
        let mut packed = Vec::new();
        let mut encoder = flate2::read::DeflateEncoder::new(data, flate2::Compression::fast());
        std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
        Self { packed, method: 8, ..Self::stored(name, data) }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn common(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        for number in [self.flags, self.method, 0, 0x21] {
            fields.extend(number.to_le_bytes());
        }
        for number in [self.crc, u32::try_from(self.packed.len()).unwrap(), self.size] {
            fields.extend(number.to_le_bytes());
        }
        fields
    }

    fn local(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut bytes = b"PK\x03\x04\x14\0".to_vec();
        bytes.extend(self.common());
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(name);
        bytes.extend(&self.packed);
        bytes
    }

    fn listed(&self, offset: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02\x14".to_vec();
        bytes.extend([self.made_by, 0x14, 0]);
        bytes.extend(self.common());
        bytes.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        bytes.extend(u16::try_from(self.extra.len()).unwrap().to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend((self.mode << 16).to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.extend(&self.name);
        bytes.extend(&self.extra);
        bytes
    }
}

/// How the parts of a zip are put together.
#[derive(Default)]
pub(crate) struct Zipball {
    pub(crate) entries: Vec<Entry>,
    /// Bytes before the first entry.
    pub(crate) before: Vec<u8>,
    /// Bytes between the last entry and the list.
    pub(crate) between: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    /// How many entries the end claims, where it lies.
    pub(crate) count: Option<u16>,
    /// All entries point at the first one's bytes.
    pub(crate) overlap: bool,
}

impl Zipball {
    pub(crate) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { entries: entries.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.before.clone();
        let mut list = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            if self.overlap && number > 0 {
                list.extend(entry.listed(0));
                continue;
            }
            list.extend(entry.listed(u32::try_from(bytes.len()).unwrap()));
            bytes.extend(entry.local());
        }
        bytes.extend(&self.between);
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend(&list);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        let count = self.count.unwrap_or(u16::try_from(self.entries.len()).unwrap());
        bytes.extend(count.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(u32::try_from(list.len()).unwrap().to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend(u16::try_from(self.comment.len()).unwrap().to_le_bytes());
        bytes.extend(&self.comment);
        bytes
    }
}
