//! Environments: sealed, versioned, never read here.

use skylift_model::instance_type::InstanceTypes;
use skylift_model::{AppName, Timestamp};

use crate::deployments::{find, subject};
use crate::error::Conflict;
use crate::idempotency::{Done, Once};
use crate::jobs::{self, Lease};
use crate::session::{Session, params};
use crate::{Store, StoreError, apps, sql, templates};

/// An app's environment as stored: what is in it only the holder of the master key can read.
#[derive(Clone, Debug)]
pub struct SealedEnv {
    /// Counts every change; 0 is the empty environment of a new app.
    pub version: u64,
    /// The sealed variables; `None` at version 0.
    pub sealed: Option<Vec<u8>>,
}

pub(crate) fn sealed(session: &Session, app: &AppName, version: u64) -> Result<Option<Vec<u8>>, StoreError> {
    session.first(
        "SELECT sealed FROM env_versions WHERE app = ?1 AND version = ?2",
        &params![app.as_str(), sql::signed(version)],
        |row| row.get("sealed"),
    )
}

/// What is live and runs has that environment from then on, also where it is gone back to later; its instances are replaced.
pub(crate) fn give_to_live(
    session: &Session,
    app: &AppName,
    version: u64,
    types: &InstanceTypes,
    now: Timestamp,
) -> Result<(), StoreError> {
    session.execute(
        "UPDATE deployments SET env_version = ?2 WHERE runs = 1 AND id =
         (SELECT deployment FROM activations WHERE id = (SELECT activation FROM apps WHERE name = ?1))",
        &params![app.as_str(), sql::signed(version)],
    )?;
    // A type that is gone is told where instances are started.
    match templates::ensure_live(session, app, types, now) {
        Ok(_) | Err(StoreError::Conflict(Conflict::NoSuchType(_))) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a new version the app's own.
fn insert(session: &Session, app: &AppName, sealed: &[u8], now: Timestamp) -> Result<u64, StoreError> {
    let version = session
        .first(
            "SELECT COALESCE(MAX(version), 0) + 1 AS version FROM env_versions WHERE app = ?1",
            &params![app.as_str()],
            |row| sql::count(row, "version"),
        )?
        .unwrap_or(1);
    session.execute(
        "INSERT INTO env_versions (app, version, sealed, at_ms) VALUES (?1, ?2, ?3, ?4)",
        &params![app.as_str(), sql::signed(version), sealed, now.as_millis()],
    )?;
    session
        .execute("UPDATE apps SET env_version = ?2 WHERE name = ?1", &params![app.as_str(), sql::signed(version)])?;
    Ok(version)
}

impl Store {
    /// The environment that the app's next deployment gets.
    pub async fn env(&self, app: AppName) -> Result<SealedEnv, StoreError> {
        self.read(move |session| {
            let version = apps::find(session, &app)?.env_version;
            Ok(SealedEnv { version, sealed: sealed(session, &app, version)? })
        })
        .await
    }

    /// Replaces the environment, if it is still at version `from`. What is live runs with it from then on, where it runs. Returns
    /// the new version.
    pub async fn set_env(
        &self,
        app: AppName,
        from: u64,
        sealed: Vec<u8>,
        once: Once<u64>,
        now: Timestamp,
    ) -> Result<Done<u64>, StoreError> {
        let types = self.instance_types();
        self.write_once(once, now, move |session| {
            let current = apps::find(session, &app)?.env_version;
            if current != from {
                return Err(Conflict::EnvChanged(app).into());
            }
            let version = insert(session, &app, &sealed, now)?;
            give_to_live(session, &app, version, &types, now)?;
            Ok(version)
        })
        .await
    }

    /// The sealed versions of an app's environment that are newer than `version`, the newest first: those that it went back behind.
    pub async fn newer_envs(&self, app: AppName, version: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT sealed FROM env_versions WHERE app = ?1 AND version > ?2 ORDER BY version DESC",
                &params![app.as_str(), sql::signed(version)],
                |row| row.get("sealed"),
            )
        })
        .await
    }

    /// Gives the deployment of a build the environment that its app has, which is `sealed` from now on where the build adds to it. Refused
    /// where the app's is not at version `from` any more. What is live keeps its own.
    pub async fn give_env(
        &self,
        lease: Lease,
        from: u64,
        sealed: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |session| {
            jobs::require(session, &lease)?;
            let deployment = find(session, &subject(&lease)?)?;
            if apps::find(session, &deployment.app)?.env_version != from {
                return Err(Conflict::EnvChanged(deployment.app).into());
            }
            let version = match &sealed {
                Some(sealed) => insert(session, &deployment.app, sealed, now)?,
                None => from,
            };
            session.execute(
                "UPDATE deployments SET env_version = ?2 WHERE id = ?1",
                &params![deployment.id.as_str(), sql::signed(version)],
            )?;
            Ok(())
        })
        .await
    }
}
