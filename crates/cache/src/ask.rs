//! A request, as far as a cache looks at it.

use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, PRAGMA, RANGE};
use http::{HeaderMap, Method};

use crate::directives::Directives;

/// A request that may be answered from what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub(crate) directives: Directives,
    /// Only the head is asked for.
    pub is_head: bool,
    /// Only a part is asked for.
    pub wants_range: bool,
}

/// Why a request has nothing to do with what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// It does not read.
    Method,
    /// It has credentials.
    Credentials,
    /// It has a body, which may be what its answer is about.
    Body,
}

impl Bypass {
    /// A word for `Cache-Status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Credentials => "credentials",
            Self::Body => "body",
        }
    }
}

impl Ask {
    /// What a request asks of a cache.
    ///
    /// # Errors
    /// [`Bypass`], where it is none of a cache's business.
    pub fn of(method: &Method, headers: &HeaderMap, has_body: bool) -> Result<Self, Bypass> {
        let is_head = *method == Method::HEAD;
        if *method != Method::GET && !is_head {
            return Err(Bypass::Method);
        }
        if headers.contains_key(AUTHORIZATION) || headers.contains_key(COOKIE) {
            return Err(Bypass::Credentials);
        }
        if has_body {
            return Err(Bypass::Body);
        }
        let mut directives = Directives::read(headers, &CACHE_CONTROL);
        if !headers.contains_key(CACHE_CONTROL) {
            let pragma = headers.get_all(PRAGMA).iter().filter_map(|value| value.to_str().ok());
            directives.no_cache |=
                pragma.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("no-cache"));
        }
        Ok(Self { directives, is_head, wants_range: headers.contains_key(RANGE) })
    }

    /// Whether it wants no other answer than a kept one.
    pub fn only_kept(&self) -> bool {
        self.directives.only_if_cached
    }
}
