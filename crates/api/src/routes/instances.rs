//! `/v1/apps/{app}/instances`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use skylift_bus::Message;
use skylift_model::program::WEB;
use skylift_model::wire::{ErrorEnvelope, Instance, InstanceList, SetInstances};
use skylift_model::{AppName, InstanceId, InstanceState};
use skylift_store::{AppRow, ByHand, Done, InstanceRow};

use crate::address::At;
use crate::body::Sent;
use crate::crash_loops::crash_loops;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// More than any one machine runs; a slip of the finger is not to start them.
pub(super) const INSTANCES_MAX: u32 = 100;

/// The instances of an app.
#[utoipa::path(get, path = "/v1/apps/{app}/instances", tag = "apps", params(("app" = String, Path)),
    responses((status = 200, body = InstanceList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_instances(auth: Authorized, At(app): At<AppName>) -> Result<Json<InstanceList>, ApiError> {
    list(&auth, app).await
}

/// Set how many instances a process of an app should have: of `web` within its bounds, from where scaling goes on; 0 stops it until
/// it is set again.
#[utoipa::path(put, path = "/v1/apps/{app}/instances", tag = "apps", params(("app" = String, Path)),
    request_body = SetInstances,
    responses((status = 200, body = SetInstances), (status = 404, body = ErrorEnvelope),
    (status = 400, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn set_instances(
    auth: Authorized,
    At(app): At<AppName>,
    Sent(request): Sent<SetInstances>,
) -> Result<Response, ApiError> {
    if request.wanted > INSTANCES_MAX {
        let hint = "ask for fewer; each has the memory and CPU of [instances] in config.toml";
        return Err(ApiError::invalid(format!("a process has at most {INSTANCES_MAX} instances"), hint));
    }
    let SetInstances { wanted, process } = request;
    let (named, is_web) = (process.clone(), process == WEB);
    let once = auth.once(StatusCode::OK, |_, wanted: &u32| SetInstances { wanted: *wanted, process: named })?;
    let done = if is_web {
        let by_hand = if wanted == 0 { ByHand::Stop } else { ByHand::Wanted(wanted) };
        auth.store.scale_by_hand(app.clone(), by_hand, once, auth.clock.now()).await?
    } else {
        auth.store.set_process_count(app.clone(), process, wanted, once, auth.clock.now()).await?
    };
    if matches!(done, Done::Now(..)) {
        // Whether requests wait for an instance, or are told at once that there is none, is said by the routes.
        auth.bus.publish(Message::RoutesChanged(app.clone()));
        auth.bus.publish(Message::InstancesChanged(app.clone()));
        let row = auth.store.app(app.clone()).await?;
        if row.live.is_some() {
            auth.wait_for_edges(&app, row.generation).await;
        }
    }
    Ok(answered(done))
}

async fn list(auth: &Authorized, app: AppName) -> Result<Json<InstanceList>, ApiError> {
    let row = auth.store.app(app.clone()).await?;
    let processes = auth.store.processes(app.clone()).await?;
    let waits_for = waits_for(auth, &row).await?;
    let rows = auth.store.instances(app).await?;
    let crash_looping = crash_loops(row.live.as_ref(), &rows, auth.clock.now());
    // What runs is looked for first, and what ended last next.
    let (mut ended, mut instances): (Vec<_>, Vec<_>) =
        rows.into_iter().map(view).partition(|one| one.state == InstanceState::Ended);
    ended.sort_by_key(|one| std::cmp::Reverse(one.ended_at));
    instances.extend(ended);
    Ok(Json(InstanceList { wanted: row.instances, waits_for, processes, crash_looping, instances }))
}

/// What is missing for the instances of what is live that are to be started, where something is.
pub(super) async fn waits_for(auth: &Authorized, app: &AppRow) -> Result<Option<String>, ApiError> {
    let fleet = auth.store.fleet(app.name.clone(), auth.clock.now()).await?;
    let is_there = |row: &&InstanceRow| {
        let is_live = Some(&row.deployment) == app.live.as_ref() && !fleet.outdated.contains(&row.id);
        is_live
            && row.created_at >= fleet.restarted_at
            && matches!(row.state, InstanceState::Starting | InstanceState::Ready)
    };
    let there =
        |rows: &[InstanceRow], process: &str| rows.iter().filter(is_there).filter(|row| row.process == process).count();
    let (web, beside) = (&fleet.instances, &fleet.beside);
    let is_short_of = |(process, wanted): (&String, &u32)| there(&beside.instances, process) < *wanted as usize;
    if there(web, WEB) >= fleet.wanted as usize && !beside.wanted.iter().any(is_short_of) {
        return Ok(None);
    }
    Ok(auth.store.unstarted(app.name.clone(), auth.clock.now()).await?.map(|unstarted| unstarted.reason))
}

/// One instance that runs, or ended lately.
#[utoipa::path(get, path = "/v1/instances/{instance}", tag = "apps", params(("instance" = String, Path)),
    responses((status = 200, body = Instance), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn get_instance(auth: Authorized, At(instance): At<InstanceId>) -> Result<Json<Instance>, ApiError> {
    Ok(Json(view(auth.store.instance(instance).await?)))
}

pub(crate) fn view(row: InstanceRow) -> Instance {
    Instance {
        id: row.id,
        deployment: row.deployment,
        process: row.process,
        template: row.template,
        node: row.node,
        state: row.state,
        unhealthy_since: row.unhealthy_since,
        created_at: row.created_at,
        ready_at: row.ready_at,
        ended_at: row.ended_at,
        reason: row.reason,
        exit_code: row.exit_code,
    }
}
