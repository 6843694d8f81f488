//! A kept answer of which the other host says that it has not changed (RFC 9111, 3.2 and 4.3.4).

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, SET_COOKIE};
use http::{HeaderMap, HeaderName};

use crate::Millis;
use crate::freshness::Freshness;
use crate::stored::Stored;
use crate::tags::tags_of;

/// What describes the bytes that are kept, and stays with them.
const OF_THE_BYTES: [HeaderName; 5] =
    [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName::from_static("content-md5")];

impl Stored {
    /// The answer with what a 304 says anew. The fields of the 304 take the place of those of the same name.
    #[must_use]
    pub fn refreshed(&self, not_modified: &HeaderMap, (asked, received): (Millis, Millis)) -> Self {
        let mut headers = self.headers.clone();
        // An old age is none of the new answer's.
        headers.remove(http::header::AGE);
        for name in not_modified.keys().filter(|name| !OF_THE_BYTES.contains(name)) {
            headers.remove(name);
            for value in not_modified.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let freshness = Freshness::of(self.status, &headers, asked, received);
        let tags = tags_of(&headers);
        Self { headers, freshness, tags, ..self.clone() }
    }

    /// Whether what a 304 says forbids to keep the answer any longer.
    pub fn is_forbidden_by(not_modified: &HeaderMap) -> bool {
        let (directives, _) = crate::freshness::directives_of(not_modified);
        directives.no_store || directives.private || not_modified.contains_key(SET_COOKIE)
    }
}
