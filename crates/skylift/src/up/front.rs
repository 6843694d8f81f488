//! Who answers on the bare domain: the API of this process, that of another one, or this process for itself.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderValue, Request, Response, StatusCode};
use skylift_api::{JUDGE0, PISTON, Part, Parts, elsewhere, is_of_the_process, no_ai_here, part_of, without_slash};
use skylift_edge::{ClientAddress, ControlPlane, EdgeBody, Metrics, OwnName, RequestBody};
use skylift_model::RequestId;
use tower_service::Service;
use tracing::Instrument;

use super::upstream::Upstream;
use super::vitals::lost_apps;
use super::{ai, switching};
use crate::config::Config;
use crate::roles::{Role, Roles};

/// What leads from the edge to the control plane. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Front(Arc<Ways>);

struct Ways {
    parts: Parts,
    /// Whether this process is an edge alone, which is well also where no store answers.
    is_edge_alone: bool,
    /// The API is made after the edge is bound: only then is the port known that its addresses name.
    own: OnceLock<axum::Router>,
    /// Whether this process answers for models, and what does.
    is_ai: bool,
    own_ai: OnceLock<axum::Router>,
    /// What is answered as Judge0.
    own_judge0: OnceLock<axum::Router>,
    /// What Piston's clients are answered.
    own_piston: OnceLock<axum::Router>,
    /// Where the parts are that are not answered here.
    api: Option<String>,
    upload: Option<String>,
    ai: Option<String>,
    upstream: Upstream,
    metrics: Metrics,
}

impl Front {
    pub(crate) fn new(roles: &Roles, config: &Config, metrics: Metrics) -> Self {
        let parts = roles.parts();
        // Who listens for nothing but questions about itself hands nothing on.
        let api = config.edge.api.clone().filter(|_| roles.listen());
        let upload = config.edge.upload.clone().filter(|_| roles.listen()).or_else(|| api.clone());
        Self(Arc::new(Ways {
            parts,
            is_edge_alone: roles.has(Role::Edge) && !roles.answer(),
            own: OnceLock::new(),
            is_ai: roles.has(Role::Ai),
            own_ai: OnceLock::new(),
            own_judge0: OnceLock::new(),
            own_piston: OnceLock::new(),
            api,
            upload,
            ai: config.edge.ai.clone(),
            upstream: Upstream::new(&config.domain),
            metrics,
        }))
    }

    /// Gives it this process's own API, or what it tells of itself.
    pub(crate) fn fill(&self, router: axum::Router) {
        let _ = self.0.own.set(router);
    }

    /// Gives it what answers as Judge0 here.
    pub(crate) fn fill_judge0(&self, router: axum::Router) {
        let _ = self.0.own_judge0.set(router);
    }

    /// Gives it what answers for models here.
    pub(crate) fn fill_ai(&self, router: axum::Router) {
        let _ = self.0.own_ai.set(router);
    }

    /// Gives it what answers Piston's clients here.
    pub(crate) fn fill_piston(&self, router: axum::Router) {
        let _ = self.0.own_piston.set(router);
    }

    pub(crate) fn control_plane(&self) -> ControlPlane {
        let ways = self.0.clone();
        Arc::new(move |request, client, id| {
            let ways = ways.clone();
            let span = tracing::info_span!("request", request.id = %id);
            Box::pin(async move { ways.answer(request, client, id).await }.instrument(span))
        })
    }
}

impl Ways {
    async fn answer(
        &self,
        mut request: Request<RequestBody>,
        client: ClientAddress,
        id: RequestId,
    ) -> Response<EdgeBody> {
        let named = request.extensions().get::<OwnName>().map(|own| own.0);
        if named == Some(ai::NAME) {
            return self.answer_for_models(request, client, id).await;
        }
        if let Some(meant) = without_slash(request.uri(), named.is_some()) {
            *request.uri_mut() = meant;
        }
        // What is asked of another name is the API's, whatever its path is.
        let is_own = named.is_none() && is_of_the_process(request.uri().path());
        let part = if named.is_some() { Part::Api } else { part_of(request.method(), request.uri().path()) };
        if self.parts.has(part) || is_own && !self.is_edge_alone {
            let router = match named {
                Some(JUDGE0) => &self.own_judge0,
                Some(PISTON) => &self.own_piston,
                _ => &self.own,
            };
            return answer_here(router, request, client).await;
        }
        if is_own {
            return self.tell_of_the_process(request.uri().path(), client);
        }
        let place = match part {
            Part::Api => &self.api,
            Part::Upload => &self.upload,
        };
        match place {
            Some(place) => self.upstream.ask((place, named), request, client.0.ip(), &id).await,
            None => elsewhere(part).into_response().map(EdgeBody::other),
        }
    }

    /// On the AI node's own name nothing else answers.
    async fn answer_for_models(
        &self,
        request: Request<RequestBody>,
        client: ClientAddress,
        id: RequestId,
    ) -> Response<EdgeBody> {
        if self.is_ai {
            return answer_here(&self.own_ai, request, client).await;
        }
        match &self.ai {
            Some(place) => self.upstream.ask((place, Some(ai::NAME)), request, client.0.ip(), &id).await,
            None => no_ai_here().map(EdgeBody::other),
        }
    }

    /// An edge without an API tells how it is itself; its numbers only to this machine.
    fn tell_of_the_process(&self, path: &str, ClientAddress(client): ClientAddress) -> Response<EdgeBody> {
        if path == "/readyz"
            && let Some(remark) = lost_apps(&self.metrics)
        {
            return text(StatusCode::OK, format!("ok, but {remark}\n"));
        }
        if path != "/metrics" {
            return text(StatusCode::OK, "ok\n");
        }
        if !client.ip().is_loopback() {
            return text(StatusCode::FORBIDDEN, "this edge tells its metrics on its own machine only\n");
        }
        let mut metrics = String::new();
        self.metrics.render(&mut metrics);
        text(StatusCode::OK, metrics)
    }
}

async fn answer_here(
    router: &OnceLock<axum::Router>,
    request: Request<RequestBody>,
    client: ClientAddress,
) -> Response<EdgeBody> {
    let Some(mut router) = router.get().cloned() else {
        let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "starting\n");
        response.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
        return response;
    };
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(skylift_api::ClientAddress(client.0.ip()));
    if switching::is_asked(request.headers()) {
        return switching::ask(router, request).await;
    }
    let Ok(response) = router.call(request).await;
    response.map(EdgeBody::other)
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
