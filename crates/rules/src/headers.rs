//! Header fields that the owner of a site adds to its answers, from `_headers`, `netlify.toml` and `vercel.json`.

pub(crate) mod cloudflare;
pub(crate) mod find;
pub(crate) mod lines;
pub(crate) mod name;
pub(crate) mod pattern;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Fields for the answers to some paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderBlock {
    /// The paths it is for.
    pub path: String,
    /// Fields to set, names in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, String)>,
    /// Fields to take away, names in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
}

/// What to do to the header of an answer, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderChange<'r> {
    /// Set a field, whatever was there.
    Set(&'r str, Cow<'r, str>),
    /// Add a value to those of a field, after a comma.
    Append(&'r str, Cow<'r, str>),
    /// Take a field away.
    Remove(&'r str),
}

impl HeaderChange<'_> {
    /// The name of the field, in lower case.
    pub fn name(&self) -> &str {
        match self {
            Self::Set(name, _) | Self::Append(name, _) | Self::Remove(name) => name,
        }
    }
}
