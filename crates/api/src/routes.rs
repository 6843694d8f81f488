//! Every endpoint.

mod ai;
mod apps;
pub(crate) mod databases;
mod deployments;
mod env;
mod files;
mod follow;
pub(crate) mod health;
mod instances;
mod jobs;
mod keys;
mod net;
mod owner;
mod piston;
mod purge;
mod rollout;
pub(crate) mod runs;
mod scaling;
mod status;
mod template;
mod uploads;
mod volumes;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post, put};
use skylift_model::wire::Code;

use crate::answers;
use crate::error::ApiError;
use crate::idempotency::{self, Keys};
use crate::part::{self, Parts};
use crate::services::Services;
use crate::vitals;

pub use health::ClientAddress;
pub use piston::{PISTON, PistonSettings, piston_router};

pub(crate) use ai::__path_ai_usage;
pub(crate) use apps::{__path_create_app, __path_delete_app, __path_get_app, __path_list_apps};
pub(crate) use databases::{__path_create_database, __path_delete_database, __path_list_databases};
pub(crate) use deployments::{
    __path_cancel, __path_create_deployment, __path_get_deployment, __path_list_all, __path_list_deployments,
    __path_roll_back,
};
pub(crate) use env::{__path_change_env, __path_list_env};
pub(crate) use files::{__path_built_file, __path_list_built, __path_list_source, __path_source_file};
pub(crate) use follow::{__path_app_logs, __path_events, __path_instance_logs, __path_logs};
pub(crate) use health::{__path_healthz, __path_metrics, __path_readyz};
pub(crate) use instances::{__path_get_instance, __path_list_instances, __path_set_instances};
pub(crate) use jobs::{__path_list_jobs, __path_replay};
pub(crate) use keys::{__path_change_key, __path_create_key, __path_list_keys, __path_revoke_key};
pub(crate) use net::{__path_get_net, __path_set_net};
pub(crate) use owner::{__path_end_instance, __path_restart, __path_run};
pub(crate) use purge::__path_purge;
pub(crate) use rollout::{
    __path_abort_rollout, __path_get_rollout, __path_pause_rollout, __path_promote_rollout, __path_resume_rollout,
};
pub(crate) use runs::{
    __path_cancel_run, __path_connect_run, __path_create_run, __path_create_runs, __path_get_callback_secret,
    __path_get_limits, __path_get_run, __path_list_languages, __path_list_runs, __path_redrive_run, __path_run_events,
    __path_run_now,
};
pub use runs::{Callback, callback};
pub(crate) use scaling::{__path_explain_scaling, __path_get_scaling, __path_reset_scaling, __path_set_scaling};
pub(crate) use status::{__path_gc, __path_status};
pub(crate) use template::{__path_get_instance_type, __path_get_template, __path_set_instance_type};
pub(crate) use uploads::{__path_create_upload, __path_post_blobs, __path_put_blob};
pub(crate) use volumes::{__path_create_volume, __path_delete_volume, __path_list_volumes};
pub(crate) use workers::{__path_get_tuner, __path_list_workers};

/// How long an answer waits for every edge to serve what it says is live, or to stop serving what it says is gone.
/// Longer than an edge counts that died.
pub(crate) const EDGE_WAIT: Duration = Duration::from_secs(12);

/// The API, as far as this process answers it.
pub fn router(services: Arc<Services>, parts: Parts) -> Router {
    Router::new()
        .merge(vitals::routes())
        .route("/v1/openapi.json", get(crate::openapi::serve))
        .route("/v1/apps", get(apps::list_apps).post(apps::create_app))
        .route("/v1/apps/{app}", get(apps::get_app).delete(apps::delete_app))
        .route("/v1/apps/{app}/uploads", post(uploads::create_upload))
        .route("/v1/uploads/{upload}/blobs/{sha256}", put(uploads::put_blob))
        .route("/v1/uploads/{upload}/blobs", post(uploads::post_blobs))
        .route("/v1/apps/{app}/deployments", get(deployments::list_deployments).post(deployments::create_deployment))
        .route("/v1/apps/{app}/rollback", post(deployments::roll_back))
        .route("/v1/apps/{app}/purge", post(purge::purge))
        .route("/v1/apps/{app}/env", get(env::list_env).patch(env::change_env))
        .route("/v1/apps/{app}/instances", get(instances::list_instances).put(instances::set_instances))
        .route(
            "/v1/apps/{app}/scaling",
            get(scaling::get_scaling).put(scaling::set_scaling).delete(scaling::reset_scaling),
        )
        .route("/v1/apps/{app}/scaling/explain", get(scaling::explain_scaling))
        .route("/v1/apps/{app}/template", get(template::get_template))
        .route("/v1/apps/{app}/instance-type", get(template::get_instance_type).put(template::set_instance_type))
        .route("/v1/apps/{app}/rollout", get(rollout::get_rollout))
        .route("/v1/apps/{app}/rollout/pause", post(rollout::pause_rollout))
        .route("/v1/apps/{app}/rollout/resume", post(rollout::resume_rollout))
        .route("/v1/apps/{app}/rollout/promote", post(rollout::promote_rollout))
        .route("/v1/apps/{app}/rollout/abort", post(rollout::abort_rollout))
        .route("/v1/apps/{app}/databases", get(databases::list_databases).post(databases::create_database))
        .route("/v1/apps/{app}/databases/{database}", delete(databases::delete_database))
        .route("/v1/apps/{app}/volumes", get(volumes::list_volumes).post(volumes::create_volume))
        .route("/v1/apps/{app}/volumes/{volume}", delete(volumes::delete_volume))
        .route("/v1/apps/{app}/net", get(net::get_net).put(net::set_net))
        .route("/v1/apps/{app}/restart", post(owner::restart))
        .route("/v1/apps/{app}/run", post(owner::run))
        .route("/v1/apps/{app}/logs", get(follow::app_logs))
        .route("/v1/instances/{instance}", get(instances::get_instance).delete(owner::end_instance))
        .route("/v1/instances/{instance}/logs", get(follow::instance_logs))
        .route("/v1/deployments", get(deployments::list_all))
        .route("/v1/deployments/{deployment}", get(deployments::get_deployment))
        .route("/v1/deployments/{deployment}/cancel", post(deployments::cancel))
        .route("/v1/deployments/{deployment}/events", get(follow::events))
        .route("/v1/deployments/{deployment}/logs", get(follow::logs))
        .route("/v1/deployments/{deployment}/output", get(files::list_source))
        .route("/v1/deployments/{deployment}/output/{*path}", get(files::source_file))
        .route("/v1/deployments/{deployment}/build", get(files::list_built))
        .route("/v1/deployments/{deployment}/build/{*path}", get(files::built_file))
        .route("/v1/keys", get(keys::list_keys).post(keys::create_key))
        .route("/v1/keys/{key}", delete(keys::revoke_key).patch(keys::change_key))
        .route("/v1/ai/usage", get(ai::ai_usage))
        .route("/run", post(runs::run_now))
        .route("/v1/runs", get(runs::list_runs).post(runs::create_run))
        .route("/v1/runs/batch", post(runs::create_runs))
        .route("/v1/runs/connect", get(runs::connect_run))
        .route("/v1/runs/{run}", get(runs::get_run))
        .route("/v1/runs/{run}/events", get(runs::run_events))
        .route("/v1/runs/{run}/cancel", post(runs::cancel_run))
        .route("/v1/runs/{run}/redrive", post(runs::redrive_run))
        .route("/v1/languages", get(runs::list_languages))
        .route("/v1/limits", get(runs::get_limits))
        .route("/v1/callback-secret", get(runs::get_callback_secret))
        .route("/v1/workers", get(workers::list_workers))
        .route("/v1/tuner", get(workers::get_tuner))
        .route("/v1/status", get(status::status))
        .route("/v1/gc", post(status::gc))
        .route("/v1/jobs", get(jobs::list_jobs))
        .route("/v1/jobs/{job}/replay", post(jobs::replay))
        .route_layer(from_fn_with_state(Keys::new(services.clone()), idempotency::layer))
        .fallback(async || {
            ApiError::new(Code::NotFound, "there is no such endpoint", "/v1/openapi.json lists every endpoint")
        })
        .method_not_allowed_fallback(async || {
            ApiError::new(
                Code::MethodNotAllowed,
                "the endpoint does not take this method",
                "/v1/openapi.json lists the methods of every endpoint",
            )
        })
        .layer(from_fn_with_state(services.under_way.answers.clone(), answers::layer_of_runs))
        .with_state(services)
        .layer(from_fn(move |request, next| part::only(parts, request, next)))
}
