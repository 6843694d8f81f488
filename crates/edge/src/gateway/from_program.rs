//! Answers of an app's instances.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use skylift_balance::{Group, Unserved};
use skylift_model::{DeploymentId, chain};

use super::{Gateway, errand};
use crate::access::{Arrival, Led};
use crate::body::EdgeBody;
use crate::incoming::RequestBody;
use crate::page::{Page, respond};
use crate::program::{Asking, Trouble};
use crate::upstream::SentBody;
use crate::upstream::fields::{self, Known};

impl Gateway {
    /// Has an instance answer.
    pub(super) async fn ask_program(
        self: &Arc<Self>,
        group: &Group,
        request: Request<Incoming>,
        arrival: &Arrival,
        led: &Led,
    ) -> Response<EdgeBody> {
        if !fields::is_passed_on(request.method()) {
            return Page::method_not_allowed().respond(request.headers());
        }
        if fields::wants_another_protocol(request.headers()) {
            return Page::no_other_protocol().respond(request.headers());
        }
        let (mut parts, body) = request.into_parts();
        let asked = std::mem::take(&mut parts.headers);
        let host = errand::host_of(&asked);
        let known = Known { client: arrival.client.0.ip(), scheme: arrival.scheme.as_str(), id: &arrival.id };
        parts.headers = fields::inward(&asked, known);
        parts.version = http::Version::HTTP_11;
        parts.uri = parts.uri.path_and_query().cloned().map_or_else(Default::default, Into::into);
        parts.extensions.clear();
        let body = SentBody::of(RequestBody::new(body, self.limits.body_timeout), u64::MAX);
        let asking = Asking { group, instances: &*self.instances, seed: seed(arrival) };
        match asking.send(parts, body).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                respond(head.status, fields::homeward(head.headers, &host), EdgeBody::other(body))
            }
            Err(trouble) => {
                let deployment =
                    led.route.as_ref().and_then(|route| route.target.as_ref()).map(|target| &target.deployment);
                told(&trouble, deployment, arrival).respond(&asked)
            }
        }
    }
}

/// The page for a request that no instance answered. The owner is told why, the visitor what to do.
fn told(trouble: &Trouble, deployment: Option<&DeploymentId>, arrival: &Arrival) -> Page {
    let error = chain(trouble);
    let deployment = deployment.map(DeploymentId::as_str);
    tracing::warn!(request.id = %arrival.id, deployment.id = deployment, error, "no instance answered a request");
    match trouble {
        Trouble::Unserved(Unserved::AllTried) | Trouble::Connect(..) | Trouble::Reset(..) => {
            Page::no_instance_answered()
        }
        Trouble::Unserved(_) => Page::no_instance_ready(),
        Trouble::TimedOut(_) => Page::passed_on_too_long(),
    }
}

/// Request ids end in random digits.
fn seed(arrival: &Arrival) -> u64 {
    arrival.id.as_str().bytes().fold(0, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(byte))
}
