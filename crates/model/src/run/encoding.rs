//! How bytes travel in JSON.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// How bytes are written in a JSON string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As text. Of what is no UTF-8, each broken piece becomes U+FFFD.
    #[default]
    Utf8,
    /// In base 64 (RFC 4648, section 4).
    Base64,
    /// In hexadecimal digits.
    Hex,
}

impl Encoding {
    /// The bytes that a text stands for, where it is what it says.
    pub fn decode(self, text: String) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.into_bytes()),
            Self::Base64 => BASE64_STANDARD.decode(text).ok(),
            Self::Hex => from_hex(text.as_bytes()),
        }
    }

    /// The text that stands for bytes.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Base64 => BASE64_STANDARD.encode(bytes),
            Self::Hex => bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
                // Writing to a text cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            }),
        }
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_went() {
        let bytes: Vec<u8> = (0..=255).collect();
        for encoding in [Encoding::Base64, Encoding::Hex] {
            assert_eq!(encoding.decode(encoding.encode(&bytes)), Some(bytes.clone()));
        }
        assert_eq!(Encoding::Utf8.encode(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(Encoding::Hex.decode("+1".to_owned()), None);
    }
}
