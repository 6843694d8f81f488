//! The guard before the AI node, whose clients know errors of one shape: `{"error": "…"}`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use skylift_bus::Bus;
use skylift_model::key::Scope;
use skylift_model::{Clock, TokenId};
use skylift_store::Store;

use crate::allowance::take_rate;
use crate::error::ApiError;
use crate::guard::{ROWS_WITHIN, check, demand};

#[derive(Clone)]
struct Guard {
    store: Store,
    bus: Bus,
    clock: Clock,
}

/// Lets through whoever may ask models, as often as it may, with the [`TokenId`] of who asks among the request's extensions. Decided
/// before the body is read.
pub fn guarded(router: Router, store: Store, bus: Bus, clock: Clock) -> Router {
    router.layer(from_fn_with_state(Guard { store, bus, clock }, guard))
}

async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    match who(&guard, request.headers()).await {
        Ok(token) => {
            request.extensions_mut().insert(token);
            next.run(request).await
        }
        Err(error) => told(error),
    }
}

async fn who(guard: &Guard, headers: &HeaderMap) -> Result<TokenId, ApiError> {
    let store = guard.store.with_patience(ROWS_WITHIN);
    let now = guard.clock.now();
    let (token, grant) = check(headers, &store, now).await?;
    demand(&grant, Scope::Ai)?;
    if let Some(rate) = grant.rate {
        // As often as it may run code, and not instead of that.
        take_rate(&guard.bus, ("ai", "ask models", &token), rate, 1, now).await?;
    }
    Ok(token)
}

/// The same status and headers, and the words in the shape that these clients know.
fn told(error: ApiError) -> Response {
    let message = error.in_one_line();
    let (mut parts, _) = error.into_response().into_parts();
    parts.headers.remove("content-length");
    let mut response = (parts.status, Json(json!({ "error": message }))).into_response();
    parts.headers.insert("content-type", HeaderValue::from_static("application/json"));
    response.headers_mut().extend(parts.headers);
    response
}

/// What is answered where no process that is known has the role.
pub fn no_ai_here() -> Response {
    let message = "no AI node is known here: give this process the role `ai`, or name one that has it, \
                   `ai = \"HOST:PORT\"` below [edge]";
    (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "5")], Json(json!({ "error": message }))).into_response()
}
