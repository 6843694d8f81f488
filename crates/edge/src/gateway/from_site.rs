//! Answers from the files of a deployment.

use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use skylift_balance::Group;
use skylift_model::{DeploymentId, RequestId};

use super::answer::Answer;
use super::heads::{head_of, head_of_part, head_of_parts, not_modified};
use super::steer::{Away, Steered, dress, steer};
use super::{Asked, Gateway};
use crate::access::{Arrival, Led};
use crate::body::EdgeBody;
use crate::content::{ContentError, Outage, Piece};
use crate::page::{Page, redirect, respond, without_body_for_head};
use crate::path::RequestPath;
use crate::range::Part;
use crate::routes::table::{Kind, Route, Target};
use crate::site::ServedSite;
use crate::site::decide::{Ask, Chosen, Decision, Ranges};

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// An answer but for the bytes of files in it.
struct Draft {
    status: StatusCode,
    headers: HeaderMap,
    pieces: Pieces,
}

/// What a request comes to where it is no file.
enum Otherwise {
    /// This answer.
    Answer(Box<Response<EdgeBody>>),
    /// Another host's.
    Away(Away),
}

/// How far an answer has come.
enum Made {
    Response(Response<EdgeBody>),
    Away(Away),
    /// An instance's.
    Program(Group),
    /// Something has to be read first.
    NotYet,
}

/// What a body is made of.
enum Pieces {
    None,
    One(Piece),
    /// Each with what comes before it, and what comes after all of them.
    Several(Vec<(String, Piece)>, String),
}

impl Gateway {
    pub(super) fn answer_from_site(
        self: &Arc<Self>,
        route: Arc<Route>,
        request: Request<Incoming>,
        asked: Asked,
    ) -> Answer {
        let made = self.answer_at_once(&route, &request, &asked);
        let led = Led { counters: route.counters.clone(), route: Some(route) };
        if let Made::Response(response) = made {
            return Answer::Now(Some(Box::new(self.finish(named(response, &led, request.method()), asked, led))));
        }
        let gateway = self.clone();
        Answer::Later(Box::pin(async move {
            let made = match made {
                Made::NotYet => gateway.answer_in_time(&led, &request, &asked.arrival).await,
                made => made,
            };
            let method = request.method().clone();
            let response = match made {
                Made::Response(response) => response,
                Made::Away(away) => gateway.pass_on(away, request, &asked.arrival, &led).await,
                Made::Program(group) => gateway.ask_program(&group, request, &asked, &led).await,
                Made::NotYet => Page::not_found().respond(request.headers()),
            };
            gateway.finish(named(response, &led, &method), asked, led)
        }))
    }

    /// The answer, if it takes no waiting.
    fn answer_at_once(&self, route: &Route, request: &Request<Incoming>, asked: &Asked) -> Made {
        let headers = request.headers();
        if let Err(wait) = self.limit(asked.arrival.client.0, route, asked.arrival.started) {
            return Made::Response(Page::too_many_requests(wait).respond(headers));
        }
        let Some(target) = &route.target else {
            return Made::Response(Page::nothing_live(route.app.as_str()).respond(headers));
        };
        if let Some(group) = &target.group {
            return Made::Program(group.clone());
        }
        let Some(site) = &target.site else { return Made::NotYet };
        if self.may_be_of_another(route, site, request, asked.arrival.started) {
            return Made::NotYet;
        }
        let draft = match draft(site, None, request, &asked.arrival) {
            Ok(draft) => draft,
            Err(otherwise) => return otherwise.into(),
        };
        let body = match &draft.pieces {
            Pieces::None => Some(EdgeBody::empty()),
            Pieces::One(piece) => self.content.open_now(piece),
            Pieces::Several(..) => None,
        };
        body.map_or(Made::NotYet, |body| Made::Response(respond(draft.status, draft.headers, body)))
    }

    /// The answer, when what it takes was read.
    async fn answer_in_time(&self, led: &Led, request: &Request<Incoming>, arrival: &Arrival) -> Made {
        let headers = request.headers();
        let led = led.route.as_ref().and_then(|route| Some((route, route.target.as_ref()?)));
        let Some((route, target)) = led else { return Made::Response(Page::not_found().respond(headers)) };
        let Target { deployment, artifact, site, .. } = target;
        let unreadable = |error: &(dyn std::error::Error + 'static), outage| {
            Made::Response(unreadable(error, outage, deployment, headers, &arrival.id))
        };
        let site = match site {
            Some(site) => site.clone(),
            None => match self.sites.get(artifact).await {
                Ok(site) => site,
                Err(error) => return unreadable(&error, error.outage()),
            },
        };
        let before = self.of_another(route, &site, request, arrival.started).await;
        let draft = match draft(&site, before.as_deref(), request, arrival) {
            Ok(draft) => draft,
            Err(otherwise) => return otherwise.into(),
        };
        match self.read(draft.pieces).await {
            Ok(body) => Made::Response(respond(draft.status, draft.headers, body)),
            Err(error) => unreadable(&error, error.outage()),
        }
    }

    async fn read(&self, pieces: Pieces) -> Result<EdgeBody, ContentError> {
        match pieces {
            Pieces::None => Ok(EdgeBody::empty()),
            Pieces::One(piece) => self.content.open(piece).await,
            Pieces::Several(pieces, end) => {
                let mut bodies = Vec::with_capacity(2 * pieces.len() + 1);
                for (before, piece) in pieces {
                    bodies.push(EdgeBody::from(before));
                    bodies.push(self.content.open(piece).await?);
                }
                bodies.push(EdgeBody::from(end));
                Ok(EdgeBody::several(bodies))
            }
        }
    }
}

impl From<Otherwise> for Made {
    fn from(otherwise: Otherwise) -> Self {
        match otherwise {
            Otherwise::Answer(response) => Self::Response(*response),
            Otherwise::Away(away) => Self::Away(away),
        }
    }
}

impl From<Box<Response<EdgeBody>>> for Otherwise {
    fn from(response: Box<Response<EdgeBody>>) -> Self {
        Self::Answer(response)
    }
}

/// What a site answers, but for the bytes of files. `before` has the file that is asked for and that the site lacks, as if
/// it were the site's own.
fn draft(
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
        // Only another host may take more than questions.
        _ if !only_reads => return page(Page::method_not_allowed()),
        Steered::Straight => draft_file(files, request.method(), headers, path, query)?,
        Steered::To { path, query, status } => match RequestPath::parse(&path) {
            Ok(path) if status == StatusCode::OK => {
                draft_file(site, request.method(), headers, path, query.as_deref())?
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

/// What all answers from a site have in common.
fn named(response: Response<EdgeBody>, led: &Led, method: &Method) -> Response<EdgeBody> {
    let mut response = without_body_for_head(response, method);
    let route = led.route.as_ref();
    if route.is_some_and(|route| route.kind == Kind::Deployment && route.target.is_some()) {
        // A deployment's own address is for looking at it; search engines should know the app's.
        response.headers_mut().insert(X_ROBOTS_TAG, HeaderValue::from_static("noindex"));
    }
    response
}

fn unreadable(
    error: &(dyn std::error::Error + 'static),
    outage: Option<Outage>,
    deployment: &DeploymentId,
    headers: &HeaderMap,
    id: &RequestId,
) -> Response<EdgeBody> {
    tracing::error!(request.id = %id, deployment.id = %deployment, error, "content cannot be served");
    outage.map_or_else(Page::bad_content, Page::out_of_reach).respond(headers)
}
