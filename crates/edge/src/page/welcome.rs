//! The start page of the bare domain, for people who open it in a browser. Programs get the API there.

use http::header::HOST;
use http::{HeaderMap, Method, Response, StatusCode, Uri};

use super::html::Document;
use super::{answer, without_body_for_head};
use crate::accept::prefers_page;
use crate::body::EdgeBody;

/// The page, where the request is a browser's for the top of the bare domain.
pub(crate) fn welcome(method: &Method, uri: &Uri, headers: &HeaderMap, domain: &str) -> Option<Response<EdgeBody>> {
    let is_asked = matches!(*method, Method::GET | Method::HEAD) && uri.path() == "/" && prefers_page(headers);
    is_asked.then(|| {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or(domain);
        let html = page(host, domain);
        let response = answer(StatusCode::OK, "text/html; charset=utf-8", html, None);
        without_body_for_head(response, method)
    })
}

fn page(host: &str, domain: &str) -> String {
    let login = format!("skylift login http://{host}");
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let port = port.map(|(_, port)| format!(":{port}")).unwrap_or_default();
    let example = format!("http://my-site.{domain}{port}");
    let served = format!("Skylift builds what you push and serves it at an address of its own, such as {example}.");
    Document {
        title: "Push code, get a URL",
        kicker: "Skylift",
        paragraphs: &[&served],
        commands: &[
            ("In a project's folder, on this server:", "skylift deploy"),
            ("From another machine, once before that:", &login),
            ("Everything else it can do:", "skylift help"),
        ],
        links: &[("/v1/openapi.json", "API description"), ("/healthz", "Health")],
        ..Document::default()
    }
    .render()
}
