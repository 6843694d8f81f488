//! What a site answers, but for the bytes of files: decided at once, and read afterwards where that takes waiting.

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::heads::{head_of, head_of_part, head_of_parts, not_modified};
use super::steer::{Away, Steered, dress, steer};
use crate::access::Arrival;
use crate::body::EdgeBody;
use crate::content::Piece;
use crate::page::{Page, redirect};
use crate::path::RequestPath;
use crate::range::Part;
use crate::site::ServedSite;
use crate::site::decide::{Ask, Chosen, Decision, Ranges};

/// An answer but for the bytes of files in it.
pub(super) struct Draft {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) pieces: Pieces,
}

/// What a body is made of.
pub(super) enum Pieces {
    None,
    One(Piece),
    /// Each with what comes before it, and what comes after all of them.
    Several(Vec<(String, Piece)>, String),
}

/// What a request comes to where it is no file.
pub(super) enum Otherwise {
    /// This answer.
    Answer(Box<Response<EdgeBody>>),
    /// Another host's.
    Away(Away),
}

impl From<Box<Response<EdgeBody>>> for Otherwise {
    fn from(response: Box<Response<EdgeBody>>) -> Self {
        Self::Answer(response)
    }
}

/// What a site answers, but for the bytes of files. `before` has the file that is asked for and that the site lacks, as if
/// it were the site's own.
pub(super) fn draft(
    site: &ServedSite,
    before: Option<&ServedSite>,
    request: &Request<Incoming>,
    arrival: &Arrival,
) -> Result<Draft, Otherwise> {
    let headers = request.headers();
    let page = |page: Page| Err(Otherwise::Answer(Box::new(page.respond(headers))));
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !only_reads && site.rules().is_none() {
        return page(Page::method_not_allowed());
    }
    let path = match RequestPath::parse(request.uri().path()) {
        Ok(path) => path,
        Err(error) => return page(Page::bad_request(&error)),
    };
    let query = request.uri().query();
    let files = before.unwrap_or(site);
    let Some(rules) = site.rules() else { return Ok(draft_file(files, request.method(), headers, path, query)?) };
    let mut draft = match steer(files, rules, (request, arrival), &path) {
        Steered::Away(away) => return Err(Otherwise::Away(Away { keeps: site.keeps_answers(), ..away })),
        Steered::Answer(response) if site.is_cloudflares() => return Err(Otherwise::Answer(response)),
        // Only another host may take more than questions.
        _ if !only_reads => return page(Page::method_not_allowed()),
        Steered::Straight => draft_file(files, request.method(), headers, path, query)?,
        Steered::To { path, query, status } => match RequestPath::parse(&path) {
            Ok(path) if status == StatusCode::OK => {
                // Cloudflare leads on from there with what the client asked.
                let query = if site.is_cloudflares() { request.uri().query() } else { query.as_deref() };
                draft_file(site, request.method(), headers, path, query)?
            }
            Ok(path) => draft_as(status, site, request.method(), headers, path)?,
            // Part of it came from the request.
            Err(_) => return page(Page::not_found()),
        },
        Steered::Answer(response) => return Err(Otherwise::Answer(response)),
    };
    match dress(rules, (request, arrival), draft.status, &mut draft.headers) {
        Some(()) => Ok(draft),
        None => page(Page::not_found()),
    }
}

/// What the files of a site answer to a path.
fn draft_file(
    site: &ServedSite,
    method: &Method,
    headers: &HeaderMap,
    path: RequestPath<'_>,
    query: Option<&str>,
) -> Result<Draft, Box<Response<EdgeBody>>> {
    let page = |page: Page| Err(Box::new(page.respond(headers)));
    let ranges = if *method == Method::GET { Ranges::Allowed } else { Ranges::Ignored };
    let draft = match site.decide(&Ask { path, query, headers, ranges }) {
        Decision::Whole(chosen) => draft_whole(StatusCode::OK, chosen),
        Decision::NotFoundPage(chosen) => draft_whole(StatusCode::NOT_FOUND, chosen),
        Decision::Part(chosen, part) => draft_part(chosen, part),
        Decision::Parts(chosen, parts) => draft_parts(chosen, &parts),
        Decision::NotModified(chosen) => {
            Draft { status: StatusCode::NOT_MODIFIED, headers: not_modified(chosen), pieces: Pieces::None }
        }
        Decision::Redirect(to) => return Err(Box::new(redirect(&to, headers))),
        Decision::NotFound => return page(Page::not_found()),
        Decision::NotAcceptable => return page(Page::not_acceptable()),
        Decision::PreconditionFailed => return page(Page::precondition_failed()),
        Decision::RangeNotSatisfiable(size) => return page(Page::range_not_satisfiable(size)),
    };
    Ok(if *method == Method::HEAD { Draft { pieces: Pieces::None, ..draft } } else { draft })
}

/// A file sent with a status of its own, such as 404: no condition and no range has a meaning for that.
fn draft_as(
    status: StatusCode,
    site: &ServedSite,
    method: &Method,
    headers: &HeaderMap,
    path: RequestPath<'_>,
) -> Result<Draft, Box<Response<EdgeBody>>> {
    let kept = [ACCEPT, ACCEPT_ENCODING].map(|name| headers.get(&name).map(|value| (name, value.clone())));
    let kept = kept.into_iter().flatten().collect();
    let draft = draft_file(site, method, &kept, path, None)?;
    Ok(if draft.status == StatusCode::OK { Draft { status, ..draft } } else { draft })
}

fn draft_whole(status: StatusCode, chosen: Chosen<'_>) -> Draft {
    let pieces = Pieces::One(piece(chosen, Part { first: 0, length: chosen.form.size }));
    Draft { status, headers: head_of(status, chosen), pieces }
}

fn draft_part(chosen: Chosen<'_>, part: Part) -> Draft {
    let pieces = Pieces::One(piece(chosen, part));
    Draft { status: StatusCode::PARTIAL_CONTENT, headers: head_of_part(chosen, part), pieces }
}

fn draft_parts(chosen: Chosen<'_>, parts: &[Part]) -> Draft {
    // No file can contain its own digest.
    let boundary = chosen.form.digest.to_string();
    let (content_type, size) = (chosen.entry.content_type(), chosen.form.size);
    let mut pieces = Vec::with_capacity(parts.len());
    for (place, part) in parts.iter().enumerate() {
        let line_end = if place == 0 { "" } else { "\r\n" };
        let last = part.first + part.length.saturating_sub(1);
        let before = format!(
            "{line_end}--{boundary}\r\ncontent-type: {content_type}\r\ncontent-range: bytes {}-{last}/{size}\r\n\r\n",
            part.first
        );
        pieces.push((before, piece(chosen, *part)));
    }
    let end = format!("\r\n--{boundary}--\r\n");
    let length =
        pieces.iter().map(|(before, piece)| before.len() as u64 + piece.length).sum::<u64>() + end.len() as u64;
    let headers = head_of_parts(chosen, &boundary, length);
    Draft { status: StatusCode::PARTIAL_CONTENT, headers, pieces: Pieces::Several(pieces, end) }
}

fn piece(chosen: Chosen<'_>, part: Part) -> Piece {
    Piece { digest: chosen.form.digest, size: chosen.form.size, first: part.first, length: part.length }
}
