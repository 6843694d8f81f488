//! What a site's own redirects and header fields make of a request.

use http::header::HOST;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use skylift_rules::{Ask, Decision, FileExists, Rules};

use super::heads;
use crate::access::Arrival;
use crate::body::EdgeBody;
use crate::page::{Page, redirect};
use crate::path::RequestPath;
use crate::site::ServedSite;

/// Where a request is led before files are looked for.
pub(super) enum Steered {
    /// To the file its own path names.
    Straight,
    /// To the file of another path, sent with that status.
    To { path: String, query: Option<String>, status: StatusCode },
    /// To another host.
    Away(Away),
    /// Away from files: this is the answer.
    Answer(Box<Response<EdgeBody>>),
}

/// What a rule says of another host that is to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Away {
    /// An absolute URL, not looked at yet.
    pub(super) url: String,
    /// Fields to add to the request.
    pub(super) headers: Vec<(String, String)>,
    /// Whether answers may be kept.
    pub(super) keeps: bool,
}

/// Asks the rules about a request whose path was found to be one.
pub(super) fn steer(
    site: &ServedSite,
    rules: &Rules,
    (request, arrival): (&Request<Incoming>, &Arrival),
    path: &RequestPath<'_>,
) -> Steered {
    let headers = request.headers();
    let decision = with_ask(request, arrival, |ask| {
        let file = if site.has_file(path) { FileExists::Yes } else { FileExists::No };
        rules.decide(ask, file)
    });
    match decision {
        Decision::Serve => Steered::Straight,
        Decision::Redirect { status, location } => {
            let mut response = redirect(&location, headers);
            if response.status().is_redirection() {
                *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
            }
            Steered::Answer(Box::new(response))
        }
        Decision::Rewrite { path, query, status } => {
            Steered::To { path, query, status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK) }
        }
        Decision::Proxy { url, headers } => Steered::Away(Away { url, headers: headers.to_vec(), keeps: false }),
        Decision::Denied => Steered::Answer(Box::new(Page::not_found().respond(headers))),
    }
}

/// Changes the head of an answer as the site's rules want it. `None` where they cannot be told: it must not be sent then.
pub(super) fn dress(
    rules: &Rules,
    (request, arrival): (&Request<Incoming>, &Arrival),
    status: StatusCode,
    head: &mut HeaderMap,
) -> Option<()> {
    let changes = with_ask(request, arrival, |ask| rules.headers(ask, status.as_u16()))?;
    heads::dress(changes, head);
    Some(())
}

/// Gives the request to `asks` as rules look at it.
fn with_ask<T>(request: &Request<Incoming>, arrival: &Arrival, asks: impl FnOnce(&Ask<'_>) -> T) -> T {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST.as_str()).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    let (path, query) = (request.uri().path(), request.uri().query());
    let (scheme, country) = (arrival.scheme.as_str(), arrival.country.as_deref());
    asks(&Ask { scheme, host: &host, path, query, country, header: &header })
}
