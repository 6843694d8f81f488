//! The description of the API, produced from the handlers themselves.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, Required, ResponseBuilder};

use crate::idempotency::KEY_BYTES_MAX;
use crate::routes;

#[derive(OpenApi)]
#[openapi(
    info(title = "Skylift", description = "A self-hosted cloud: push code, get a URL."),
    paths(
        routes::healthz, routes::readyz, routes::metrics,
        routes::list_apps, routes::create_app, routes::get_app, routes::delete_app, routes::purge,
        routes::create_upload, routes::put_blob, routes::post_blobs,
        routes::create_deployment, routes::list_deployments, routes::list_all, routes::get_deployment,
        routes::cancel, routes::roll_back, routes::events, routes::logs, routes::app_logs, routes::instance_logs,
        routes::list_env, routes::change_env, routes::list_instances, routes::set_instances,
        routes::get_instance, routes::end_instance, routes::restart, routes::run,
        routes::get_scaling, routes::set_scaling, routes::reset_scaling, routes::explain_scaling, routes::get_net, routes::set_net,
        routes::get_template, routes::get_instance_type, routes::set_instance_type,
        routes::get_rollout, routes::pause_rollout, routes::resume_rollout, routes::promote_rollout, routes::abort_rollout,
        routes::list_databases, routes::create_database, routes::delete_database,
        routes::list_volumes, routes::create_volume, routes::delete_volume,
        routes::list_source, routes::source_file, routes::list_built, routes::built_file,
        routes::list_keys, routes::create_key, routes::change_key, routes::revoke_key, routes::ai_usage,
        routes::create_run, routes::run_now, routes::connect_run, routes::create_runs, routes::list_runs, routes::get_run, routes::run_events,
        routes::cancel_run, routes::redrive_run, routes::list_workers, routes::get_tuner, routes::list_languages, routes::get_limits,
        routes::get_callback_secret,
        routes::status, routes::gc, routes::list_jobs, routes::replay,
    ),
    components(schemas(skylift_model::wire::RunSent)),
    security(("bearer" = []), ("api_key" = [])),
    modifiers(&Schemes, &Keys)
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

/// Every mutation takes an `Idempotency-Key`: said here as it is done, in one place.
struct Keys;

impl utoipa::Modify for Keys {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        for item in api.paths.paths.values_mut() {
            for operation in [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten() {
                operation.parameters.get_or_insert_default().push(key().into());
                for (status, what) in [
                    ("400", "not what the endpoint takes"),
                    ("409", "the state of things, or the use of the Idempotency-Key, does not allow it"),
                ] {
                    let envelope = Ref::from_schema_name("ErrorEnvelope");
                    let error = ResponseBuilder::new()
                        .description(what)
                        .content("application/json", ContentBuilder::new().schema(Some(envelope)).build());
                    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| error.build().into());
                }
            }
        }
    }
}

fn key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "One to 255 printable ASCII characters. Repeated with the same key, the same request has one effect and \
             gets the same answer for a week.",
        ))
        .schema(Some(
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(KEY_BYTES_MAX)),
        ))
        .build()
}

/// The description as JSON.
pub fn document() -> String {
    Api::openapi().to_pretty_json().unwrap_or_default()
}

pub(crate) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document())
}
