//! The records of a PAX extended header: what they say of the entry after it.

use super::outgoing::{damaged, not_taken};
use crate::frames::Refusal;

/// What a PAX header says that matters here. Times, owners, attributes and comments are dropped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
}

impl Extended {
    /// Reads records of the form `length key=value\n`.
    pub(super) fn parse(mut records: &[u8]) -> Result<Self, Refusal> {
        let mut extended = Self::default();
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or_else(|| damaged("an extended header is malformed"))?;
            extended.take(key, value)?;
            records = rest;
        }
        Ok(extended)
    }

    /// A header for all entries after it may say nothing of theirs.
    pub(super) fn check_global(records: &[u8]) -> Result<(), Refusal> {
        if Self::parse(records)? == Self::default() {
            return Ok(());
        }
        Err(not_taken("a global header gives a name or a size to all entries"))
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match key {
            b"path" => once(&mut self.path, value.to_vec(), value),
            b"linkpath" => once(&mut self.target, value.to_vec(), value),
            b"size" => {
                let size = decimal(value).ok_or_else(|| damaged("an extended header's size is no number"))?;
                once(&mut self.size, size, value)
            }
            b"hdrcharset" if value != b"ISO-IR 10646 2000 UTF-8" => Err(not_taken("its name is not UTF-8")),
            _ if key.starts_with(b"GNU.sparse") || key == b"SCHILY.realsize" => {
                Err(not_taken("it is a sparse file").hint("make the archive without `--sparse`"))
            }
            _ => Ok(()),
        }
    }
}

/// Sets a value that may be said once and not be empty: readers disagree on the rest.
fn once<T>(slot: &mut Option<T>, parsed: T, value: &[u8]) -> Result<(), Refusal> {
    if value.is_empty() || slot.is_some() {
        return Err(damaged("an extended header says something twice or leaves it empty"));
    }
    *slot = Some(parsed);
    Ok(())
}

/// The first record: its key, its value, and what follows.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(records.get(..space)?)?).ok()?;
    let record = records.get(space + 1..length)?;
    let record = record.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    Some((record.get(..equals)?, record.get(equals + 1..)?, records.get(length..)?))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sizes_are_read_and_the_rest_dropped() {
        let extended = Extended::parse(b"12 path=a/b\n11 size=10\n20 mtime=1234567.25\n20 SCHILY.xattr.u=x\n").unwrap();
        assert_eq!(extended, Extended { path: Some(b"a/b".to_vec()), target: None, size: Some(10) });
    }

    #[test]
    fn malformed_or_doubtful_records_are_refused() {
        let cases: &[&[u8]] = &[
            b"11 path=a/b\n",
            b"13 path=a/b\n",
            b"12 path=a/b",
            b"99 path=a/b\n",
            b"+12 path=a/b\n",
            b"8 path=\n",
            b"10 path=a\n10 path=b\n",
            b"9 size=-1\n",
            b"9 size=+1\n",
            b"5 =a\n",
            b"22 GNU.sparse.major=1\n",
            b"99999999999999999999999 a=b\n",
        ];
        for records in cases {
            assert!(Extended::parse(records).is_err(), "{:?}", String::from_utf8_lossy(records));
        }
        assert!(Extended::check_global(b"19 comment=0123456\n").is_ok());
        assert!(Extended::check_global(b"10 path=a\n").is_err());
    }
}
