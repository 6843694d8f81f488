//! Pages about the request itself: what of it is wrong, or not for whoever sent it.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_RANGE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use skylift_model::AppName;
use skylift_model::wire::Code;

use super::Page;

impl Page {
    /// 400: the request itself is wrong.
    pub(crate) fn bad_request(reason: &dyn std::error::Error) -> Self {
        let message = format!("This request cannot be answered: {reason}.");
        let hint = "Check the address, or the program that sent the request.".into();
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, "Bad request", message, hint)
    }

    /// 414: the address is too long.
    pub(crate) fn uri_too_long(bytes_max: usize) -> Self {
        let message = format!("The address is longer than {bytes_max} bytes.");
        let hint = "Send long data in the body of a request.".into();
        Self::new(StatusCode::URI_TOO_LONG, Code::BadRequest, "Address too long", message, hint)
    }

    /// 421: a host that is not served here.
    pub(crate) fn misdirected(domain: &str) -> Self {
        let message = "This host name is not served here.".into();
        let hint = format!("Apps are served at names of the form app.{domain}; check the address.");
        Self::new(StatusCode::MISDIRECTED_REQUEST, Code::Misdirected, "Unknown host", message, hint)
    }

    /// 403: the app does not take requests of this client.
    pub(crate) fn not_let_in() -> Self {
        let message = "This app does not take requests from your address.".into();
        let hint = "Its owner sees and changes who may reach it with `skylift net`.".into();
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden, "Not for you", message, hint)
    }

    /// 421: another host than that of the app that a link leads to.
    pub(crate) fn not_linked(app: &AppName) -> Self {
        let message = format!("This link leads to the app “{app}” and nowhere else.");
        let hint = "Ask under the host name of the link's variable, or add a [[link]] to skylift.toml.".into();
        Self::new(StatusCode::MISDIRECTED_REQUEST, Code::Misdirected, "Unknown host", message, hint)
    }

    /// 405: sites are only read.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "This site only answers GET and HEAD.".into();
        let hint = "Send forms and other data to an app that takes them.".into();
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut page = Self::new(status, Code::MethodNotAllowed, "Method not allowed", message, hint);
        page.extra = Some((ALLOW, HeaderValue::from_static("GET, HEAD")));
        page
    }

    /// 406: the client refuses every stored form of a file.
    pub(crate) fn not_acceptable() -> Self {
        let message = "This file is not stored in any encoding that the request accepts.".into();
        let hint = "Accept identity, or one of br, zstd and gzip.".into();
        Self::new(StatusCode::NOT_ACCEPTABLE, Code::BadRequest, "Not acceptable", message, hint)
    }

    /// 412: another version was asked for.
    pub(crate) fn precondition_failed() -> Self {
        let message = "The file is not the version that the request asks for.".into();
        let hint = "Ask again without If-Match.".into();
        Self::new(StatusCode::PRECONDITION_FAILED, Code::Conflict, "Another version", message, hint)
    }

    /// 416: no such bytes in a file of this size.
    pub(crate) fn range_not_satisfiable(size: u64) -> Self {
        let message = format!("The range lies outside the file, which has {size} bytes.");
        let hint = "Ask for a range within it.".into();
        let mut page =
            Self::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::BadRequest, "Range not satisfiable", message, hint);
        page.extra = HeaderValue::from_str(&format!("bytes */{size}")).ok().map(|value| (CONTENT_RANGE, value));
        page
    }

    /// 429: the client, or the app, has had its share.
    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let message = "There were more requests than this site takes in so short a time.".into();
        let hint = format!("Try again in {seconds} s.");
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut page = Self::new(status, Code::RateLimited, "Too many requests", message, hint);
        page.extra = Some((RETRY_AFTER, HeaderValue::from(seconds)));
        page
    }
}
