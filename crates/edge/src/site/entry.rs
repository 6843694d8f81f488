//! One file of a site and its stored forms.

use std::fmt::Write;
use std::sync::OnceLock;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};
use skylift_model::Digest;
use skylift_model::site::{Asset, Encoding};

use super::cache_class::CacheClass;
use super::content_type::content_type;

/// One file of a site.
#[derive(Debug)]
pub(crate) struct Entry {
    content_type: &'static str,
    cache: CacheClass,
    identity: Representation,
    variants: Box<[Representation]>,
}

/// One stored form of a file.
#[derive(Debug)]
pub(crate) struct Representation {
    /// The digest of its bytes.
    pub(crate) digest: Digest,
    /// How many bytes it has.
    pub(crate) size: u64,
    encoding: Option<Encoding>,
    // Made at the first request, so that a large site costs memory only for what is visited.
    head: OnceLock<Box<Head>>,
}

/// What stays the same in every answer with one form of a file.
#[derive(Debug)]
pub(crate) struct Head {
    /// Its strong entity tag, quotes included.
    pub(crate) etag: String,
    /// The headers of a 200.
    pub(crate) headers: HeaderMap,
}

/// How many bytes of a digest are in an entity tag: enough that two versions of a file never share one.
const ETAG_DIGEST_BYTES: usize = 16;

impl Entry {
    pub(super) fn new(path: &str, asset: Asset) -> Self {
        let form = |digest, size, encoding| Representation { digest, size, encoding, head: OnceLock::new() };
        let variants = asset.variants.into_iter().map(|v| form(v.sha256, v.size, Some(v.encoding))).collect();
        Self {
            content_type: content_type(path),
            cache: match asset.immutable {
                Some(true) => CacheClass::Immutable,
                Some(false) => CacheClass::Revalidate,
                None => CacheClass::of(path),
            },
            identity: form(asset.sha256, asset.size, None),
            variants,
        }
    }

    /// The bytes as they were built.
    pub(crate) fn identity(&self) -> &Representation {
        &self.identity
    }

    /// The stored form with this encoding.
    pub(crate) fn variant(&self, encoding: Encoding) -> Option<&Representation> {
        self.variants.iter().find(|variant| variant.encoding == Some(encoding))
    }

    /// The head of answers with one of this file's forms.
    pub(crate) fn head<'s>(&'s self, form: &'s Representation) -> &'s Head {
        form.head.get_or_init(|| Box::new(self.render(form)))
    }

    fn render(&self, form: &Representation) -> Head {
        let etag = form.etag();
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(form.size));
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            headers.insert(ETAG, etag);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache.as_str()));
        match form.encoding {
            Some(encoding) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
            }
            None => {
                headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            }
        }
        if !self.variants.is_empty() {
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        insert_security(&mut headers);
        Head { etag, headers }
    }
}

/// What every answer of ours says to browsers. A site cannot be framed by other origins, its scripts cannot be
/// smuggled in under another type, and its full addresses stay with it.
pub(crate) fn insert_security(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
}

impl Representation {
    /// Made from the form's own digest, and named after its encoding, so that no two forms share one.
    fn etag(&self) -> String {
        let mut etag = String::with_capacity(2 * ETAG_DIGEST_BYTES + 8);
        etag.push('"');
        for byte in self.digest.as_bytes().iter().take(ETAG_DIGEST_BYTES) {
            let _ = write!(etag, "{byte:02x}");
        }
        if let Some(encoding) = self.encoding {
            etag.push('-');
            etag.push_str(encoding.as_str());
        }
        etag.push('"');
        etag
    }
}
