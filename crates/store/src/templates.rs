//! Launch templates: what an app's instances are started from, written down once for each content, and numbered.
//!
//! What is in force follows from rows alone, so it is the same whoever asks. It is written down with the first instance that
//! is started from it, or as soon as somebody changes what it is made of.

use skylift_model::instance_type::{Capacity, InstanceTypes, UnknownType};
use skylift_model::template::Parts;
use skylift_model::{AppName, DeploymentId, Digest, Template, Timestamp};

use crate::apps::AppRow;
use crate::deployments::{DeploymentRow, find, live_of};
use crate::error::Conflict;
use crate::idempotency::{Done, Once};
use crate::processes::refuse_sites;
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, apps, sql};

/// A template as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRow {
    /// Counts the contents that an app's instances were ever started from.
    pub version: u64,
    pub template: Template,
    /// When it was first in force.
    pub at: Timestamp,
}

fn read(row: &Row<'_>) -> Result<TemplateRow, StoreError> {
    let json: String = row.get("template")?;
    let template = serde_json::from_str(&json)?;
    Ok(TemplateRow { version: sql::count(row, "version")?, template, at: sql::time(row, "at_ms")? })
}

/// What instances of a deployment are to be started from at this moment.
pub(crate) fn in_force(
    app: &AppRow,
    deployment: &DeploymentRow,
    types: &InstanceTypes,
) -> Result<Template, StoreError> {
    let artifact = deployment
        .artifact
        .ok_or_else(|| StoreError::Damaged(format!("{} is to be run and has no artifact", deployment.id)))?;
    let parts = Parts {
        deployment: &deployment.id,
        artifact,
        plan: deployment.plan.as_ref(),
        env_version: deployment.env_version,
        net: &app.net,
        chosen: app.instance_type.as_deref(),
    };
    Template::of(&parts, types).map_err(|unknown| Conflict::NoSuchType(unknown).into())
}

fn with_digest(session: &Session, app: &AppName, digest: &Digest) -> Result<Option<TemplateRow>, StoreError> {
    session.first(
        "SELECT * FROM templates WHERE app = ?1 AND digest = ?2",
        &params![app.as_str(), digest.as_bytes()],
        read,
    )
}

/// The template of that number.
pub(crate) fn with_version(session: &Session, app: &AppName, version: u64) -> Result<Option<TemplateRow>, StoreError> {
    let sql = "SELECT * FROM templates WHERE app = ?1 AND version = ?2";
    session.first(sql, &params![app.as_str(), sql::signed(version)], read)
}

/// The template in force for a deployment, written down where it was not yet.
pub(crate) fn ensure(
    session: &Session,
    app: &AppName,
    deployment: &DeploymentId,
    types: &InstanceTypes,
    now: Timestamp,
) -> Result<TemplateRow, StoreError> {
    let template = in_force(&apps::find(session, app)?, &find(session, deployment)?, types)?;
    let digest = template.digest();
    if let Some(there) = with_digest(session, app, &digest)? {
        return Ok(there);
    }
    let version = session.one(
        "UPDATE apps SET template_last = template_last + 1 WHERE name = ?1 RETURNING template_last",
        &params![app.as_str()],
        |row| sql::count(row, "template_last"),
    )?;
    let json = serde_json::to_string(&template)?;
    session.execute(
        "INSERT INTO templates (app, version, deployment, env_version, digest, template, at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &params![
            app.as_str(),
            sql::signed(version),
            deployment.as_str(),
            sql::signed(template.environment.version),
            digest.as_bytes(),
            &json,
            now.as_millis()
        ],
    )?;
    Ok(TemplateRow { version, template, at: now })
}

/// The same for what is live, where that runs: after a change of what it is made of.
pub(crate) fn ensure_live(
    session: &Session,
    app: &AppName,
    types: &InstanceTypes,
    now: Timestamp,
) -> Result<Option<TemplateRow>, StoreError> {
    let live = live_of(session, app)?.filter(|live| live.runs);
    live.map(|live| ensure(session, app, &live.id, types, now)).transpose()
}

/// The number that instances of a deployment must have to be up to date; `None` where it is not written down yet. Where it cannot
/// be told, since its instance type is gone, whatever runs may go on.
pub(crate) fn version_in_force(
    session: &Session,
    app: &AppRow,
    deployment: &DeploymentRow,
    types: &InstanceTypes,
) -> Result<InForce, StoreError> {
    match in_force(app, deployment, types) {
        Ok(template) => {
            Ok(InForce::Version(with_digest(session, &app.name, &template.digest())?.map(|there| there.version)))
        }
        Err(StoreError::Conflict(Conflict::NoSuchType(_))) => Ok(InForce::Unknown),
        Err(error) => Err(error),
    }
}

/// What is known of the template in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InForce {
    /// Its number, where it has one.
    Version(Option<u64>),
    /// It names what there is not.
    Unknown,
}

impl InForce {
    /// Whether an instance from that template is to be replaced.
    pub(crate) fn outdates(self, version: Option<u64>) -> bool {
        matches!(self, Self::Version(in_force) if in_force.is_none() || version != in_force)
    }
}

impl Store {
    /// The template that instances of what is live are started from; `None` where nothing that runs is live.
    pub async fn template(&self, app: AppName, now: Timestamp) -> Result<Option<TemplateRow>, StoreError> {
        let (types, of) = (self.instance_types(), app.clone());
        let written = self.read(move |session| {
            let row = apps::find(session, &of)?;
            let Some(live) = live_of(session, &of)?.filter(|live| live.runs) else { return Ok(Some(None)) };
            let there = with_digest(session, &of, &in_force(&row, &live, &types)?.digest())?;
            Ok(there.map(Some))
        });
        if let Some(there) = written.await? {
            return Ok(there);
        }
        let types = self.instance_types();
        self.write(move |session| ensure_live(session, &app, &types, now)).await
    }

    /// Chooses the instance type of an app, or leaves it to its `skylift.toml` again. Refused where there is none such.
    pub async fn choose_type(
        &self,
        app: AppName,
        chosen: Option<String>,
        once: Once<Option<String>>,
        now: Timestamp,
    ) -> Result<Done<Option<String>>, StoreError> {
        let types = self.instance_types();
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            refuse_sites(session, &app)?;
            types.get(chosen.as_deref()).map_err(Conflict::NoSuchType)?;
            session.execute(
                "UPDATE apps SET instance_type = ?2 WHERE name = ?1",
                &params![app.as_str(), chosen.as_ref()],
            )?;
            ensure_live(session, &app, &types, now)?;
            Ok(chosen)
        })
        .await
    }

    /// A node says what its instances may use together.
    pub async fn set_node(&self, name: String, capacity: Capacity, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            session.execute(
                "INSERT INTO nodes (name, memory_bytes, cpu_millicores, at_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET memory_bytes = excluded.memory_bytes,
                 cpu_millicores = excluded.cpu_millicores, at_ms = excluded.at_ms",
                &params![
                    &name,
                    sql::signed(capacity.memory_bytes),
                    sql::signed(capacity.cpu_millicores),
                    now.as_millis()
                ],
            )?;
            Ok(())
        })
        .await
    }
}

/// Why no instance can be started from what an app's rows say, in words.
pub(crate) fn unknown_type(error: StoreError) -> Result<UnknownType, StoreError> {
    match error {
        StoreError::Conflict(Conflict::NoSuchType(unknown)) => Ok(unknown),
        error => Err(error),
    }
}
