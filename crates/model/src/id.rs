//! Ids: short, sortable by creation time, lower-case and safe as a DNS label.
//!
//! An id is a prefix and 16 digits of Crockford's base 32 in lower case: 9 for the milliseconds since the epoch
//! (good until the year 3084), 7 random (35 bits), so that two made in one millisecond differ and none can be
//! guessed from another by counting.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::clock::Timestamp;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TIME_DIGITS: usize = 9;
const RANDOM_DIGITS: usize = 7;
const LENGTH: usize = TIME_DIGITS + RANDOM_DIGITS;
const PREFIX_LENGTH: usize = 2;

/// An id lies where what it names lies: it is read for every request, and one more place in memory would be felt.
type Text = ArrayString<{ PREFIX_LENGTH + LENGTH }>;

/// Text that is not an id of the kind asked for.
#[derive(Debug, thiserror::Error)]
#[error("{kind} ids are `{prefix}` and {LENGTH} letters and digits")]
pub struct InvalidId {
    kind: &'static str,
    prefix: &'static str,
}

/// The digit for the last five bits of a number.
fn digit(value: u64) -> u8 {
    let [last, ..] = value.to_le_bytes();
    // There are as many digits as five bits have values.
    DIGITS.get(usize::from(last & 31)).copied().unwrap_or(b'0')
}

fn render(prefix: &str, now: Timestamp, random: u64) -> String {
    let mut text = String::with_capacity(prefix.len() + LENGTH);
    text.push_str(prefix);
    let mut push = |value: u64, digits: usize| {
        for place in (0..digits).rev() {
            text.push(char::from(digit(value >> (5 * place))));
        }
    };
    push(u64::try_from(now.as_millis()).unwrap_or(0), TIME_DIGITS);
    push(random, RANDOM_DIGITS);
    text
}

/// The text, if it is an id.
fn id(prefix: &str, text: &str) -> Option<Text> {
    let digits = text.strip_prefix(prefix)?;
    let is_id = digits.len() == LENGTH && digits.bytes().all(|b| DIGITS.contains(&b));
    Text::from(text).ok().filter(|_| is_id)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from the time it is made at and 35 random bits.
            pub fn new(now: Timestamp, random: u64) -> Self {
                // Rendered as long as every id is.
                Self(Text::from(&render($prefix, now, random)).unwrap_or_default())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                id($prefix, text).map(Self).ok_or(InvalidId { kind: $kind, prefix: $prefix })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One deployment: its own host name for as long as it is kept.
    DeploymentId, "d-", "deployment";
    /// Bytes a user sent, immutable once complete.
    UploadId, "u-", "upload";
    /// One piece of leased work.
    JobId, "j-", "job";
    /// One API token (its id, never its secret).
    TokenId, "t-", "token";
    /// One running copy of an app.
    InstanceId, "i-", "instance";
    /// One volume: a folder that outlives instances.
    VolumeId, "v-", "volume";
    /// One execution of submitted code.
    RunId, "x-", "run";
    /// One request, from the edge to the last log line about it.
    RequestId, "r-", "request";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_parse_back() {
        let early = DeploymentId::new(Timestamp::from_millis(1_000), u64::MAX);
        let late = DeploymentId::new(Timestamp::from_millis(1_001), 0);
        assert!(early < late);
        assert_eq!(early.as_str().parse::<DeploymentId>().unwrap(), early);
        assert_eq!(early.as_str().len(), 18);
    }

    #[test]
    fn foreign_prefixes_and_letters_are_refused() {
        assert!("u-000000000zzzzzzz".parse::<DeploymentId>().is_err());
        assert!("d-000000000ZZZZZZZ".parse::<DeploymentId>().is_err());
        assert!("d-short".parse::<DeploymentId>().is_err());
    }
}
