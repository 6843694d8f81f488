//! Databases of apps on the owner's PostgreSQL server: made and removed there, and noted.
//!
//! It is begun, made, then noted, and removed before it is forgotten, so that what is noted is there. Where the platform is killed
//! before it is noted, what was begun is removed (`control/unfinished.rs`): nobody has its password. Where it is killed before
//! one is forgotten, that is gone and is removed once more.

use axum::http::StatusCode;
use axum::response::Response;
use skylift_model::volume::{DatabaseKind, prefix};
use skylift_model::wire::{Code, Database};
use skylift_model::{AppName, VolumeName};
use skylift_store::{DatabaseRow, Done, Tenant, TenantError, TenantServer};

use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;
use crate::routes::databases;

/// Makes a database and a role of its own.
pub(crate) async fn create(auth: &Authorized, app: AppName, name: VolumeName) -> Result<Response, ApiError> {
    let server = server(auth)?;
    let at = auth.clock.now();
    auth.store.app(app.clone()).await?;
    let taken = databases::taken(auth, app.clone()).await?;
    let tenant = Tenant::random()?;
    let context = context(&app, &name);
    let sealed = auth.key.seal(&context, tenant.password.as_bytes()).map_err(|error| ApiError::internal(&error))?;
    auth.store.begin_database(tenant.place.clone(), at).await?;
    if let Err(error) = server.make(&tenant).await {
        give_up(auth, server, &tenant.place).await;
        return Err(refused(error));
    }
    let row = DatabaseRow { app: app.clone(), name, place: tenant.place.clone(), sealed, created_at: at };
    let once = auth.once(StatusCode::CREATED, move |_, row: &DatabaseRow| databases::without(&taken, view(row)))?;
    let noted = auth.store.note_database(row, once, at).await;
    // Not noted by this request: nobody will ever have its password.
    if !matches!(noted, Ok(Done::Now(..))) {
        give_up(auth, server, &tenant.place).await;
    }
    let done = noted?;
    if matches!(done, Done::Now(..)) {
        // The name there tells nothing; the owner finds what is whose by this.
        tracing::info!(%app, place = tenant.place, "made a database");
        auth.replace_instances(app, at).await?;
    }
    Ok(answered(done))
}

/// Removes what was begun. What cannot be removed now is later.
async fn give_up(auth: &Authorized, server: &TenantServer, place: &str) {
    match server.remove(place).await {
        Ok(()) => {
            if let Err(error) = auth.store.forget_begun_database(place.to_owned()).await {
                tracing::warn!(place, error = skylift_model::chain(&error), "cannot forget a database that is gone");
            }
        }
        Err(error) => tracing::warn!(place, error = skylift_model::chain(&error), "cannot remove a database yet"),
    }
}

/// Removes a database with its role.
pub(crate) async fn remove(auth: &Authorized, row: DatabaseRow) -> Result<Response, ApiError> {
    server(auth)?.remove(&row.place).await.map_err(refused)?;
    let once = auth.once(StatusCode::NO_CONTENT, |_, _: &()| ())?;
    let at = auth.clock.now();
    let done = auth.store.forget_database(row.app.clone(), row.name, once, at).await?;
    if matches!(done, Done::Now(..)) {
        auth.replace_instances(row.app, at).await?;
    }
    Ok(answered(done))
}

/// Removes every database that an app has there, before the app goes.
pub(crate) async fn remove_all(auth: &Authorized, app: &AppName) -> Result<(), ApiError> {
    for row in auth.store.databases(app.clone()).await? {
        server(auth)?.remove(&row.place).await.map_err(refused)?;
    }
    Ok(())
}

/// What its owner is told of one.
pub(crate) fn view(row: &DatabaseRow) -> Database {
    let variables = vec!["DATABASE_URL".to_owned(), format!("{}_URL", prefix(&row.name))];
    Database { name: row.name.clone(), kind: DatabaseKind::Postgres, variables, created_at: row.created_at }
}

/// What a password is sealed for.
fn context(app: &AppName, name: &VolumeName) -> String {
    format!("database/{app}/{name}")
}

fn server(auth: &Authorized) -> Result<&TenantServer, ApiError> {
    auth.tenants.as_ref().ok_or_else(|| {
        ApiError::new(
            Code::Conflict,
            "the platform has no PostgreSQL server for databases of apps",
            "its owner names one in config.toml, [database] url, and restarts; `--kind sqlite` needs none",
        )
    })
}

fn refused(error: TenantError) -> ApiError {
    tracing::error!(error = skylift_model::chain(&error), "a database of an app");
    let hint = "see the platform's log; [database] url names a user that may make roles and databases";
    ApiError::new(Code::Unavailable, error.to_string(), hint)
}
