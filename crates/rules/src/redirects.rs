//! Redirects, rewrites and proxying from `_redirects` and `netlify.toml`.

pub(crate) mod cloudflare;
pub(crate) mod conditions;
pub(crate) mod find;
pub(crate) mod lines;
pub(crate) mod parse;
pub(crate) mod pattern;
pub(crate) mod query;
pub(crate) mod rule;
pub(crate) mod target;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use conditions::Conditions;

/// One redirect as it is kept with a deployment. It has passed every check when it was read; one that was tampered with is
/// at worst a rule that its owner did not write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// The scheme and host it is for; any where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The path it is for.
    pub from: String,
    /// Parameters of the query that have to be there: a value, or `:name` for any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Where it leads to.
    pub to: String,
    /// The status of the answer.
    pub status: u16,
    /// Whether it applies even where a file exists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// What else a request has to be.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// Fields that a proxied request gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// The scheme and host that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `http` or `https`; either where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The host in lower case.
    pub host: String,
}
