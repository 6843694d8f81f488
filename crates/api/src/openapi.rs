//! The description of the API, produced from the handlers themselves.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::routes;

#[derive(OpenApi)]
#[openapi(
    info(title = "Skylift", description = "A self-hosted cloud: push code, get a URL."),
    paths(
        routes::healthz, routes::readyz, routes::metrics,
        routes::list_apps, routes::create_app, routes::get_app, routes::delete_app,
        routes::create_upload, routes::put_blob, routes::post_blobs,
        routes::create_deployment, routes::list_deployments, routes::list_all, routes::get_deployment,
        routes::cancel, routes::roll_back, routes::events, routes::logs, routes::app_logs,
        routes::list_env, routes::change_env,
        routes::list_source, routes::source_file, routes::list_built, routes::built_file,
        routes::status, routes::gc, routes::list_jobs, routes::replay,
    ),
    security(("bearer" = []), ("api_key" = [])),
    modifiers(&Schemes)
)]
struct Api;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_with(Default::default);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let key = ApiKey::Header(ApiKeyValue::new("x-api-key"));
        components.add_security_scheme("api_key", SecurityScheme::ApiKey(key));
    }
}

/// The description as JSON.
pub fn document() -> String {
    Api::openapi().to_pretty_json().unwrap_or_default()
}

pub(crate) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document())
}
