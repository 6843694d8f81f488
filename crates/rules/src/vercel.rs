//! `vercel.json`: `cleanUrls`, `trailingSlash`, `redirects`, `headers` and `rewrites`.
//!
//! ```text
//! clean URLs (308) → trailing slash (308) → redirects → headers → files → rewrites
//! ```

pub(crate) mod check;
pub(crate) mod conditions;
pub(crate) mod destination;
pub(crate) mod find;
pub(crate) mod json;
pub(crate) mod route;
pub(crate) mod source;
pub(crate) mod template;

use serde::{Deserialize, Serialize};

pub use conditions::Has;

/// What we take from `vercel.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vercel {
    /// Whether `/x.html` and `/x/index` are redirected to `/x`.
    #[serde(default)]
    pub clean_urls: bool,
    /// Whether pages are known with a slash at their end, or without one; either where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trailing_slash: Option<bool>,
    /// Redirects, tried in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Route>,
    /// Rewrites for what is no file, tried in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrites: Vec<Route>,
    /// Header fields; all that match apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Fields>,
}

/// A redirect or a rewrite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The paths it is for, in the syntax of path-to-regexp.
    pub source: String,
    /// Where it leads to.
    pub destination: String,
    /// The status of the answer.
    pub status: u16,
    /// What a request has to have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub has: Vec<Has>,
    /// What it must not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Has>,
}

/// Header fields for some paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// The paths they are for.
    pub source: String,
    /// Names in lower case, and values.
    pub set: Vec<(String, String)>,
    /// What a request has to have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub has: Vec<Has>,
    /// What it must not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Has>,
}
