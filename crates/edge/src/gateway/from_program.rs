//! Answers of an app's instances.

use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use skylift_balance::{Group, Unserved};
use skylift_model::{DeploymentId, RequestId, chain};

use super::{Asked, Gateway, errand};
use crate::access::Led;
use crate::body::EdgeBody;
use crate::incoming::RequestBody;
use crate::page::{Page, respond};
use crate::program::{Answered, Asking, Trouble};
use crate::routes::table::Kind;
use crate::upstream::SentBody;
use crate::upstream::fields::{self, Known};
use crate::websocket::{Handshake, Switch};

impl Gateway {
    /// Has an instance answer.
    pub(super) async fn ask_program(
        self: &Arc<Self>,
        group: &Group,
        request: Request<Incoming>,
        asked: &Asked,
        led: &Led,
    ) -> Response<EdgeBody> {
        let arrival = &asked.arrival;
        let handshake = match admit(&request) {
            Ok(handshake) => handshake,
            Err(refusal) => return refusal.respond(request.headers()),
        };
        if group.ready() == 0
            && let Some(route) = led.route.as_ref().filter(|route| route.is_stopped)
        {
            let page = if route.kind == Kind::App { Page::stopped() } else { Page::not_running() };
            return page.respond(request.headers());
        }
        let (mut parts, body) = request.into_parts();
        let theirs = std::mem::take(&mut parts.headers);
        let host = errand::host_of(&theirs);
        let known = Known { client: arrival.client.0.ip(), scheme: arrival.scheme.as_str(), id: &arrival.id };
        parts.headers = fields::inward(&theirs, known);
        if handshake.is_some() {
            Handshake::ask(&mut parts.headers);
        }
        parts.version = http::Version::HTTP_11;
        parts.uri = parts.uri.path_and_query().cloned().map_or_else(Default::default, Into::into);
        parts.extensions.clear();
        let body = SentBody::of(RequestBody::new(body, self.limits.body_timeout), u64::MAX);
        let stream_timeout = self.limits.stream_timeout;
        let keeper = self.keeper(led, arrival);
        let sticky = keeper.as_ref().and_then(|keeper| keeper.of(&theirs));
        let asking = Asking { group, instances: &*self.instances, seed: seed(&arrival.id), sticky, stream_timeout };
        let answered = match asking.send(parts, body).await {
            Ok(answered) => {
                let kept = keeper.and_then(|keeper| keeper.keep(answered.instance(), asking.sticky.as_ref()));
                let given = give(answered, handshake.as_ref().zip(asked.switch.as_ref()), &host).await;
                given.map(|response| with_cookie(response, kept))
            }
            Err(trouble) => Err(trouble),
        };
        answered.unwrap_or_else(|trouble| {
            let target = led.route.as_ref().and_then(|route| route.target.as_ref());
            told(&trouble, target.map(|target| &target.deployment), &arrival.id).respond(&theirs)
        })
    }
}

fn with_cookie(mut response: Response<EdgeBody>, cookie: Option<HeaderValue>) -> Response<EdgeBody> {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// What a request wants of an instance: an answer, or a WebSocket; or the page that refuses it.
fn admit(request: &Request<Incoming>) -> Result<Option<Handshake>, Box<Page>> {
    if !fields::is_passed_on(request.method()) {
        return Err(Box::new(Page::method_not_allowed()));
    }
    Handshake::of(request).map_err(|error| Box::new(Page::bad_request(&error)))
}

/// The answer for the client. Where a WebSocket was asked for and the instance agrees to it, the instance's side of it is offered.
async fn give(
    answered: Answered,
    asked: Option<(&Handshake, &Switch)>,
    host: &str,
) -> Result<Response<EdgeBody>, Trouble> {
    match asked {
        Some((handshake, switch)) if handshake.is_met(answered.status(), answered.headers()) => {
            let (headers, far) = answered.into_far_end().await?;
            switch.offer(far);
            let mut headers = fields::homeward(headers, host);
            Handshake::confirm(&mut headers);
            Ok(respond(StatusCode::SWITCHING_PROTOCOLS, headers, EdgeBody::empty()))
        }
        _ => {
            let (head, body) = answered.into_response()?.into_parts();
            Ok(respond(head.status, fields::homeward(head.headers, host), body))
        }
    }
}

/// The page for a request that no instance answered. The owner is told why, the visitor what to do.
pub(crate) fn told(trouble: &Trouble, deployment: Option<&DeploymentId>, id: &RequestId) -> Page {
    let error = chain(trouble);
    let deployment = deployment.map(DeploymentId::as_str);
    tracing::warn!(request.id = %id, deployment.id = deployment, error, "no instance answered a request");
    match trouble {
        Trouble::Unserved(Unserved::AllTried) | Trouble::Connect(..) | Trouble::Reset(..) | Trouble::Cut(..) => {
            Page::no_instance_answered()
        }
        Trouble::Unserved(_) => Page::no_instance_ready(),
        Trouble::NoAnswer(..) | Trouble::Ambiguous(_) | Trouble::Upgrade(..) => Page::not_answered(),
        Trouble::TimedOut(_) => Page::passed_on_too_long(),
    }
}

/// Request ids end in random digits.
pub(crate) fn seed(id: &RequestId) -> u64 {
    id.as_str().bytes().fold(0, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(byte))
}
