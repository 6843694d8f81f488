//! Apps.

use skylift_model::net::NetRules;
use skylift_model::wire::Scaling;
use skylift_model::{AppName, DeploymentId, Timestamp};

use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, WithData, net, removed, scaling, sql, volumes};

/// An app as stored.
#[derive(Clone, Debug)]
pub struct AppRow {
    pub name: AppName,
    /// Numbers apps from 0; the uid of the app's builds follows from it.
    pub slot: u64,
    pub live: Option<DeploymentId>,
    pub generation: u64,
    pub env_version: u64,
    /// How many instances there should be, where its live deployment runs.
    pub instances: u32,
    /// What its owner says about that number.
    pub scaling: Scaling,
    /// Whether its owner has stopped it.
    pub stopped: bool,
    /// When its instances were to be replaced the last time.
    pub restarted_at: Timestamp,
    /// The instance type that its owner chose by command.
    pub instance_type: Option<String>,
    /// The rules for its network that its owner set by command.
    pub net: NetRules,
    pub created_at: Timestamp,
}

const SELECT: &str = "SELECT apps.*, activations.deployment AS live, deployments.plan AS live_plan FROM apps
     LEFT JOIN activations ON activations.id = apps.activation
     LEFT JOIN deployments ON deployments.id = activations.deployment";

fn read(row: &Row<'_>) -> Result<AppRow, StoreError> {
    Ok(AppRow {
        name: sql::parsed(row, "name")?,
        slot: sql::count(row, "slot")?,
        live: sql::parsed_maybe(row, "live")?,
        generation: sql::count(row, "generation")?,
        env_version: sql::count(row, "env_version")?,
        instances: u32::try_from(sql::count(row, "instances")?).unwrap_or(u32::MAX),
        scaling: scaling::read(row)?,
        stopped: row.get::<i64>("stopped")? != 0,
        restarted_at: sql::time(row, "restarted_ms")?,
        instance_type: row.get("instance_type")?,
        net: net::read(row)?,
        created_at: sql::time(row, "created_ms")?,
    })
}

/// What [`find`] asks, of a name.
pub(crate) fn question() -> String {
    format!("{SELECT} WHERE apps.name = ?1")
}

pub(crate) fn find(session: &Session, name: &AppName) -> Result<AppRow, StoreError> {
    session
        .first(&question(), &params![name.as_str()], read)?
        .ok_or_else(|| StoreError::NotFound(Missing::App(name.clone())))
}

impl Store {
    /// Makes an app.
    pub async fn create_app(
        &self,
        name: AppName,
        once: Once<AppRow>,
        now: Timestamp,
    ) -> Result<Done<AppRow>, StoreError> {
        self.write_once(once, now, move |session| {
            // Never given out twice: what an earlier app left on a builder's disk must not be taken for this one's.
            let slot: i64 = session.one(
                "INSERT INTO counters (name, value) VALUES ('slot', 0)
                 ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value",
                &[],
                |row| row.get("value"),
            )?;
            let made = session.execute(
                "INSERT INTO apps (name, slot, created_ms) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING",
                &params![name.as_str(), slot, now.as_millis()],
            )?;
            if made == 0 {
                return Err(Conflict::AppExists(name).into());
            }
            removed::take_back(session, &name)?;
            find(session, &name)
        })
        .await
    }

    /// One app.
    pub async fn app(&self, name: AppName) -> Result<AppRow, StoreError> {
        self.read(move |session| find(session, &name)).await
    }

    /// Every app, by name.
    pub async fn apps(&self) -> Result<Vec<AppRow>, StoreError> {
        self.read(|session| session.all(&format!("{SELECT} ORDER BY apps.name"), &[], read)).await
    }

    /// Removes an app with all that belongs to it; where it keeps data, only if that is to go, too. Its blobs and objects are left
    /// to clean-up. Returns the deployments it had.
    pub async fn delete_app(
        &self,
        name: AppName,
        with: WithData,
        once: Once<Vec<DeploymentId>>,
        now: Timestamp,
    ) -> Result<Done<Vec<DeploymentId>>, StoreError> {
        self.write_once(once, now, move |session| {
            find(session, &name)?;
            volumes::leave(session, &name, with, now)?;
            let deployments =
                session.all("SELECT id FROM deployments WHERE app = ?1", &params![name.as_str()], |row| {
                    sql::parsed(row, "id")
                })?;
            session.execute(
                "DELETE FROM jobs WHERE subject IN (SELECT id FROM deployments WHERE app = ?1
                 UNION SELECT id FROM uploads WHERE app = ?1)",
                &params![name.as_str()],
            )?;
            session.execute("DELETE FROM deployments WHERE app = ?1", &params![name.as_str()])?;
            session.execute("DELETE FROM apps WHERE name = ?1", &params![name.as_str()])?;
            removed::note(session, &name, now)?;
            Ok(deployments)
        })
        .await
    }
}
