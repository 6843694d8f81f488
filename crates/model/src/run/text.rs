//! How bytes are kept in rows: as text where they are text, so that a row is no larger than what was sent.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept<T> {
    Text(T),
    Bytes { base64: String },
}

fn kept(bytes: &[u8]) -> Kept<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Kept::Text(text),
        Err(_) => Kept::Bytes { base64: BASE64_STANDARD.encode(bytes) },
    }
}

fn bytes<E: Error>(kept: Kept<String>) -> Result<Vec<u8>, E> {
    match kept {
        Kept::Text(text) => Ok(text.into_bytes()),
        Kept::Bytes { base64 } => BASE64_STANDARD.decode(base64).map_err(E::custom),
    }
}

/// For one field.
pub(super) mod one {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        super::kept(bytes).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        super::bytes(Deserialize::deserialize(from)?)
    }
}

/// For a list of them.
pub(super) mod many {
    use super::{Deserialize, Deserializer, Kept, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(list: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|bytes| super::kept(bytes)))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let list: Vec<Kept<String>> = Deserialize::deserialize(from)?;
        list.into_iter().map(super::bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Both {
        #[serde(with = "one")]
        one: Vec<u8>,
        #[serde(with = "many")]
        many: Vec<Vec<u8>>,
    }

    #[test]
    fn bytes_come_back_as_they_went_and_text_stays_text() {
        let both = Both { one: b"a\0\"\xff".to_vec(), many: vec![b"text\n".to_vec(), vec![0x80], Vec::new()] };
        let json = serde_json::to_string(&both).unwrap();
        assert!(json.contains(r#""text\n""#), "{json}");
        assert_eq!(serde_json::from_str::<Both>(&json).unwrap(), both);
    }
}
