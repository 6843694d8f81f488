//! The names of objects that are not named by their digest.

use std::fmt;
use std::str::FromStr;

/// A name such as `output/d-0123456789abcdef/manifest.json`: parts of `[a-z0-9][a-z0-9._-]*` joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<str>);

/// Text that is not the name of an object.
#[derive(Debug, thiserror::Error)]
#[error("object names are parts of lower-case letters, digits, `.`, `_` and `-`, joined by `/`")]
pub struct InvalidKey;

impl ObjectKey {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let part_is_fine = |part: &str| {
            let mut bytes = part.bytes();
            bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
        };
        if text.len() <= 256 && text.split('/').all(part_is_fine) { Ok(Self(text.into())) } else { Err(InvalidKey) }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
