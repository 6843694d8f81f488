//! One file of a site and its stored forms.

use std::sync::OnceLock;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use skylift_model::Digest;
use skylift_model::site::{Asset, Encoding};

use super::cache_class::CacheClass;
use super::content_type::content_type;
use super::ruled::Heads;
use crate::wire;

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
    rendered: OnceLock<Box<Rendered>>,
}

/// What every answer with one form needs, made once.
#[derive(Debug)]
struct Rendered {
    etag: HeaderValue,
    length: HeaderValue,
    /// The head of a 200 over HTTP/1.1.
    wire: OnceLock<Box<[u8]>>,
    /// The heads that rules of the site make of it.
    ruled: Heads,
}

/// How many bytes of a digest are in an entity tag: enough that two versions of a file never share one.
const ETAG_DIGEST_BYTES: usize = 16;

impl Entry {
    pub(super) fn new(path: &str, asset: Asset) -> Self {
        let form = |digest, size, encoding| Representation { digest, size, encoding, rendered: OnceLock::new() };
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

    /// Whether a file of this name never has other bytes.
    pub(crate) fn is_immutable(&self) -> bool {
        self.cache == CacheClass::Immutable
    }

    /// What kind of file it is.
    pub(crate) fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// The bytes as they were built.
    pub(crate) fn identity(&self) -> &Representation {
        &self.identity
    }

    /// The stored form with this encoding.
    pub(crate) fn variant(&self, encoding: Encoding) -> Option<&Representation> {
        self.variants.iter().find(|variant| variant.encoding == Some(encoding))
    }

    /// The headers of a 200 with one of this file's forms.
    pub(crate) fn headers(&self, form: &Representation) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        let rendered = form.rendered();
        headers.insert(CONTENT_LENGTH, rendered.length.clone());
        headers.insert(ETAG, rendered.etag.clone());
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
        headers
    }

    /// The same headers as they travel over HTTP/1.1, after a status line of 200.
    pub(crate) fn wire<'s>(&self, form: &'s Representation) -> &'s [u8] {
        form.rendered().wire.get_or_init(|| wire::head(StatusCode::OK, &self.headers(form)).into())
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
    fn rendered(&self) -> &Rendered {
        self.rendered.get_or_init(|| {
            // A tag is of hexadecimal digits and letters, so it always is a header's value.
            let etag = HeaderValue::try_from(self.etag()).unwrap_or(HeaderValue::from_static("\"\""));
            let (length, wire, ruled) = (HeaderValue::from(self.size), OnceLock::new(), Heads::default());
            Box::new(Rendered { etag, length, wire, ruled })
        })
    }

    /// The heads that rules make of it, as far as they were asked for.
    pub(crate) fn ruled_heads(&self) -> &Heads {
        &self.rendered().ruled
    }

    /// Its strong entity tag, quotes included: made from the form's own digest and named after its encoding, so that
    /// no two forms share one.
    pub(crate) fn etag(&self) -> String {
        let mut etag = String::with_capacity(2 * ETAG_DIGEST_BYTES + 8);
        etag.push('"');
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
        for byte in self.digest.as_bytes().iter().take(ETAG_DIGEST_BYTES) {
            etag.push(digit(byte >> 4));
            etag.push(digit(byte & 15));
        }
        if let Some(encoding) = self.encoding {
            etag.push('-');
            etag.push_str(encoding.as_str());
        }
        etag.push('"');
        etag
    }
}
