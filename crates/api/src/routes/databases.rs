//! `/v1/apps/{app}/databases`.

use std::collections::HashSet;

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use skylift_model::volume::{DatabaseKind, sqlite_environment};
use skylift_model::wire::{CreateDatabase, Database, DatabaseList, ErrorEnvelope};
use skylift_model::{AppName, VolumeName};
use skylift_store::{Done, VolumeKind, VolumeRow};

use super::volumes;
use crate::address::At;
use crate::body::Sent;
use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;
use crate::tenants;

/// The databases of an app.
#[utoipa::path(get, path = "/v1/apps/{app}/databases", tag = "data", params(("app" = String, Path)),
    responses((status = 200, body = DatabaseList), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn list_databases(auth: Authorized, At(app): At<AppName>) -> Result<Json<DatabaseList>, ApiError> {
    Ok(Json(DatabaseList { databases: all(&auth, app).await? }))
}

/// The databases of an app, the oldest first. A variable that several could have leads to the oldest of them.
async fn all(auth: &Authorized, app: AppName) -> Result<Vec<Database>, ApiError> {
    let rows = auth.store.volumes(app.clone()).await?;
    let files = rows.iter().filter(|row| row.kind == VolumeKind::Sqlite).map(in_file);
    let on_server = auth.store.databases(app).await?;
    let mut databases: Vec<Database> = files.chain(on_server.iter().map(tenants::view)).collect();
    databases.sort_by_key(|database| database.created_at);
    let mut taken = HashSet::new();
    for database in &mut databases {
        database.variables.retain(|name| taken.insert(name.clone()));
    }
    Ok(databases)
}

/// The variables that lead to databases which an app has, so that they will not lead to another one.
pub(crate) async fn taken(auth: &Authorized, app: AppName) -> Result<HashSet<String>, ApiError> {
    Ok(all(auth, app).await?.into_iter().flat_map(|database| database.variables).collect())
}

/// Make a database, which the app finds by `DATABASE_URL`: a SQLite file on a volume with one writer, or a database and a role of its
/// own on the owner's PostgreSQL server. Instances are replaced by some that have it.
#[utoipa::path(post, path = "/v1/apps/{app}/databases", tag = "data", params(("app" = String, Path)),
    request_body = CreateDatabase,
    responses((status = 201, body = Database), (status = 404, body = ErrorEnvelope), (status = 409, body = ErrorEnvelope)))]
pub(crate) async fn create_database(
    auth: Authorized,
    At(app): At<AppName>,
    Sent(request): Sent<CreateDatabase>,
) -> Result<Response, ApiError> {
    let usual =
        if auth.tenants.is_some() && request.path.is_none() { DatabaseKind::Postgres } else { DatabaseKind::Sqlite };
    match request.kind.unwrap_or(usual) {
        DatabaseKind::Sqlite => {}
        DatabaseKind::Postgres if request.path.is_some() => {
            return Err(ApiError::invalid(
                "a path is where a SQLite file is seen",
                "leave out `path`, or ask for SQLite",
            ));
        }
        DatabaseKind::Postgres => return tenants::create(&auth, app, request.name).await,
    }
    let taken = taken(&auth, app.clone()).await?;
    let once = auth.once(StatusCode::CREATED, move |_, row: &VolumeRow| without(&taken, in_file(row)))?;
    let now = auth.clock.now();
    let new = volumes::of_database(request.name, request.path);
    let done = auth.store.create_volume(app.clone(), new, once, now).await?;
    if matches!(done, Done::Now(..)) {
        auth.replace_instances(app, now).await?;
    }
    Ok(answered(done))
}

/// Remove a database with everything in it.
#[utoipa::path(delete, path = "/v1/apps/{app}/databases/{database}", tag = "data",
    params(("app" = String, Path), ("database" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn delete_database(
    auth: Authorized,
    At((app, name)): At<(AppName, VolumeName)>,
) -> Result<Response, ApiError> {
    let on_server = auth.store.databases(app.clone()).await?;
    match on_server.into_iter().find(|row| row.name == name) {
        Some(row) => tenants::remove(&auth, row).await,
        None => volumes::remove(&auth, app, name, VolumeKind::Sqlite).await,
    }
}

/// A database that is found by none of these variables.
pub(crate) fn without(taken: &HashSet<String>, mut database: Database) -> Database {
    database.variables.retain(|name| !taken.contains(name));
    database
}

fn in_file(row: &VolumeRow) -> Database {
    Database {
        name: row.name.clone(),
        kind: DatabaseKind::Sqlite,
        variables: sqlite_environment(&row.name, &row.path).into_keys().collect(),
        created_at: row.created_at,
    }
}
