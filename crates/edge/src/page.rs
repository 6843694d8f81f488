//! Pages of our own: what went wrong and what to do next, for people or for programs.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use skylift_model::wire::{Code, ErrorBody, ErrorEnvelope};

use crate::accept::prefers_json;
use crate::body::EdgeBody;
use crate::site::insert_security;

/// A page of our own.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    status: StatusCode,
    code: Code,
    title: &'static str,
    message: String,
    hint: String,
    extra: Option<(HeaderName, HeaderValue)>,
}

impl Page {
    fn new(status: StatusCode, code: Code, title: &'static str, message: String, hint: String) -> Self {
        Self { status, code, title, message, hint, extra: None }
    }

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

    /// 404: no app of this name.
    pub(crate) fn unknown_app(label: &str) -> Self {
        let message = format!("There is no app called “{label}” here.");
        let hint = format!("Check the spelling, or create it: skylift deploy --app {label}");
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "No such app", message, hint)
    }

    /// 404: no deployment of this id.
    pub(crate) fn unknown_deployment(label: &str) -> Self {
        let message = format!("The deployment {label} does not exist, or is no longer kept.");
        let hint = "List those that are kept: skylift deployments APP".into();
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "No such deployment", message, hint)
    }

    /// 404: an app without a live deployment.
    pub(crate) fn nothing_live(app: &str) -> Self {
        let message = format!("The app “{app}” has nothing live yet.");
        let hint = format!("Deploy something, or wait for its first build: skylift deploy --app {app}");
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "Nothing here yet", message, hint)
    }

    /// 404: no such page in a site.
    pub(crate) fn not_found() -> Self {
        let message = "There is no page at this address.".into();
        let hint = "Check the spelling, or go to the start page. Owners: a 404.html is shown instead of this.".into();
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "Page not found", message, hint)
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

    /// 502: what should be served is damaged or gone; the log says how.
    pub(crate) fn bad_content() -> Self {
        let message = "What belongs here cannot be read, so nothing is shown rather than something wrong.".into();
        let hint = "Try again later. Owners: the platform's log names the reason under this request's id; deploying again repairs it.".into();
        Self::new(StatusCode::BAD_GATEWAY, Code::Internal, "Content not readable", message, hint)
    }

    /// Renders the page in the form the request prefers.
    pub(crate) fn respond(self, request: &HeaderMap) -> Response<EdgeBody> {
        let (media_type, text) = match prefers_json(request) {
            true => ("application/json; charset=utf-8", self.as_json()),
            false => ("text/html; charset=utf-8", self.as_html()),
        };
        let mut headers = HeaderMap::with_capacity(10);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
        insert_security(&mut headers);
        headers.extend(self.extra);
        respond(self.status, headers, text.into())
    }

    fn as_json(&self) -> String {
        let error = ErrorBody { code: self.code, message: self.message.clone(), hint: self.hint.clone() };
        serde_json::to_string(&ErrorEnvelope { error }).unwrap_or_default()
    }

    fn as_html(&self) -> String {
        let (status, title) = (self.status.as_u16(), self.title);
        let (message, hint) = (escape(&self.message), escape(&self.hint));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             <main><p>{status}</p><h1>{title}</h1><p>{message}</p><p>{hint}</p></main>\n</html>\n"
        )
    }
}

/// 308 to a path of the same host.
pub(crate) fn redirect(to: &str, request: &HeaderMap) -> Response<EdgeBody> {
    let Ok(location) = HeaderValue::from_str(to) else { return Page::not_found().respond(request) };
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(LOCATION, location);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    // Going live with other settings must take a redirect back.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
    insert_security(&mut headers);
    respond(StatusCode::PERMANENT_REDIRECT, headers, EdgeBody::empty())
}

/// An answer of these parts.
pub(crate) fn respond(status: StatusCode, headers: HeaderMap, body: EdgeBody) -> Response<EdgeBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

const STYLE: &str = "body{margin:0;min-height:100vh;display:grid;place-items:center;\
font:16px/1.6 system-ui,sans-serif;background:#fafafa;color:#1a1a1a}\
main{max-width:34rem;padding:2rem}h1{margin:.2rem 0 1rem;font-size:1.6rem}p{margin:.4rem 0;overflow-wrap:anywhere}\
p:first-child{color:#767676;font-variant-numeric:tabular-nums}p:last-child{color:#595959}\
@media(prefers-color-scheme:dark){body{background:#16181c;color:#e8e8e8}p:first-child{color:#9a9a9a}p:last-child{color:#b0b0b0}}";

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let html = Page::unknown_app("<script>alert(1)</script>").as_html();
        assert!(!html.contains("<script>"));
        assert!(html.contains("&lt;script&gt;"));
    }

    #[test]
    fn programs_get_the_envelope() {
        let json = Page::unknown_app("shop").as_json();
        let envelope: ErrorEnvelope = serde_json::from_str(&json).unwrap();
        assert_eq!(envelope.error.code, Code::NotFound);
        assert!(envelope.error.hint.contains("--app shop"));
    }
}
