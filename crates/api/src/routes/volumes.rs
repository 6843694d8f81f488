//! `/v1/apps/{app}/volumes`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use skylift_model::volume::Writers;
use skylift_model::wire::{CreateVolume, ErrorEnvelope, Volume, VolumeList};
use skylift_model::{AppName, VolumeName};
use skylift_store::{Done, NewVolume, VolumeKind, VolumeRow};

use crate::address::At;
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;

/// The volumes of an app, those of its databases included.
#[utoipa::path(get, path = "/v1/apps/{app}/volumes", tag = "data", params(("app" = String, Path)),
    responses((status = 200, body = VolumeList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_volumes(auth: Authorized, At(app): At<AppName>) -> Result<Json<VolumeList>, ApiError> {
    let rows = auth.store.volumes(app).await?;
    Ok(Json(VolumeList { volumes: rows.iter().map(view).collect() }))
}

/// Make a volume: a folder that outlives instances. Those of the app are replaced by some that have it. With one writer, the usual,
/// the app never has two instances, not even for a moment; 409 where it may have more.
#[utoipa::path(post, path = "/v1/apps/{app}/volumes", tag = "data", params(("app" = String, Path)),
    request_body = CreateVolume,
    responses((status = 201, body = Volume), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn create_volume(
    auth: Authorized,
    At(app): At<AppName>,
    Sent(CreateVolume { name, path, writers }): Sent<CreateVolume>,
) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::CREATED, |_, row: &VolumeRow| view(row))?;
    let new = NewVolume { name, kind: VolumeKind::Plain, path, writers };
    let now = auth.clock.now();
    let done = auth.store.create_volume(app.clone(), new, once, now).await?;
    if matches!(done, Done::Now(..)) {
        auth.replace_instances(app, now).await?;
    }
    Ok(answered(done))
}

/// Remove a volume with everything in it.
#[utoipa::path(delete, path = "/v1/apps/{app}/volumes/{volume}", tag = "data",
    params(("app" = String, Path), ("volume" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn delete_volume(
    auth: Authorized,
    At((app, volume)): At<(AppName, VolumeName)>,
) -> Result<Response, ApiError> {
    remove(&auth, app, volume, VolumeKind::Plain).await
}

/// Removes a volume, or the one of a SQLite database.
pub(super) async fn remove(
    auth: &Authorized,
    app: AppName,
    name: VolumeName,
    kind: VolumeKind,
) -> Result<Response, ApiError> {
    let once = auth.once(StatusCode::NO_CONTENT, |_, _: &VolumeRow| ())?;
    let now = auth.clock.now();
    let done = auth.store.remove_volume(app.clone(), name, kind, once, now).await?;
    if matches!(done, Done::Now(..)) {
        auth.replace_instances(app, now).await?;
    }
    Ok(answered(done))
}

fn view(row: &VolumeRow) -> Volume {
    Volume {
        name: row.name.clone(),
        path: row.path.clone(),
        writers: row.writers,
        database: row.kind == VolumeKind::Sqlite,
        node: row.node.clone(),
        created_at: row.created_at,
    }
}

/// The volume that a SQLite database is to have.
pub(super) fn of_database(name: VolumeName, path: Option<skylift_model::volume::MountPath>) -> NewVolume {
    NewVolume { name, kind: VolumeKind::Sqlite, path: path.unwrap_or_default(), writers: Writers::One }
}
