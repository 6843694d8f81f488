//! Answers from the files of a deployment.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use skylift_balance::Group;
use skylift_model::{DeploymentId, RequestId};

use super::answer::Answer;
use super::draft::{Otherwise, Pieces, draft};
use super::steer::Away;
use super::{Asked, Gateway};
use crate::access::{Arrival, Led};
use crate::body::EdgeBody;
use crate::content::{ContentError, Outage};
use crate::page::{Page, respond, without_body_for_head};
use crate::routes::table::{Kind, Route, Target};

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// How far an answer has come.
enum Made {
    Response(Response<EdgeBody>),
    Away(Away),
    /// An instance's.
    Program(Group),
    /// Something has to be read first.
    NotYet,
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
