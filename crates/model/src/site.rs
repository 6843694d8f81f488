//! What a static deployment serves: the artifact's table of contents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skylift_rules::RuleSet;

use crate::{Digest, FilePath};

/// The artifact of a static deployment. Its digest (of this document as JSON) names the artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Every file that can be served, by path.
    pub files: BTreeMap<FilePath, Asset>,
    /// How they are served.
    #[serde(default)]
    pub settings: SiteSettings,
    /// The redirects and header fields that the site brings in its own files.
    #[serde(default, skip_serializing_if = "RuleSet::is_empty")]
    pub rules: RuleSet,
}

/// One file of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The SHA-256 of its bytes, also its strong ETag.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The same bytes, compressed; only those that came out smaller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// Whether its name changes with its bytes; `None` where the build does not know, and only its looks tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
}

/// A compressed form of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// How it is compressed.
    pub encoding: Encoding,
    /// The SHA-256 of the compressed bytes.
    pub sha256: Digest,
    /// Their length in bytes.
    pub size: u64,
}

/// A content coding (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
}

impl Encoding {
    /// The token of the `Content-Encoding` header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// How a site is served, from `skylift.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSettings {
    /// Whether unknown pages are answered with `index.html` (a single-page app).
    pub spa: bool,
    /// Whether `/x.html` and `/x/index.html` are redirected to `/x`.
    pub clean_urls: bool,
    /// Whose rules for paths apply.
    pub compat: Compat,
    /// Whether answers of other hosts, to which rules pass requests on, may be kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
    /// Whether source maps are left out of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_source_maps: bool,
}

/// Whose rules for paths a site follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Ours, close to Netlify's.
    #[default]
    Skylift,
    /// Cloudflare Pages'.
    Cloudflare,
}
