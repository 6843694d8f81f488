//! Volumes: what outlives an app's instances. Databases on the owner's server are in `databases`.
//!
//! A volume is a row here and a folder on a node. Its row is only marked when its owner removes it; whoever has the folder removes
//! that, and then the row. An app is not removed with them unless its owner says so.

use skylift_model::volume::{MountPath, Writers};
use skylift_model::wire::Scaling;
use skylift_model::{AppName, Timestamp, VolumeId, VolumeName};

use crate::deployments::live_of;
use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, app_databases, apps, rollouts, sql};

/// What a volume is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeKind {
    /// Whatever its app keeps there.
    Plain,
    /// The file of a SQLite database.
    Sqlite,
}

/// A volume as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeRow {
    pub id: VolumeId,
    pub app: AppName,
    /// The number of the app that it belongs to.
    pub slot: u64,
    pub name: VolumeName,
    pub kind: VolumeKind,
    /// Where the app sees it.
    pub path: MountPath,
    pub writers: Writers,
    /// The node that has its folder, once an instance had it.
    pub node: Option<String>,
    pub created_at: Timestamp,
    /// When its owner removed it; its folder goes then.
    pub removed_at: Option<Timestamp>,
}

/// A volume to be made.
#[derive(Clone, Debug)]
pub struct NewVolume {
    pub name: VolumeName,
    pub kind: VolumeKind,
    pub path: MountPath,
    pub writers: Writers,
}

/// Whether an app may be removed with what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithData {
    Yes,
    /// Refused where it keeps anything.
    No,
}

impl VolumeKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sqlite => "sqlite",
        }
    }
}

fn read(row: &Row<'_>) -> Result<VolumeRow, StoreError> {
    let (kind, path, writers): (String, String, String) = (row.get("kind")?, row.get("path")?, row.get("writers")?);
    let damaged = |what: &str| StoreError::Damaged(format!("volume {what:?}"));
    Ok(VolumeRow {
        id: sql::parsed(row, "id")?,
        app: sql::parsed(row, "app")?,
        slot: sql::count(row, "slot")?,
        name: sql::parsed(row, "name")?,
        kind: [VolumeKind::Plain, VolumeKind::Sqlite]
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| damaged(&kind))?,
        path: path.parse().map_err(|_| damaged(&path))?,
        writers: Writers::from_name(&writers).ok_or_else(|| damaged(&writers))?,
        node: row.get("node")?,
        created_at: sql::time(row, "created_ms")?,
        removed_at: sql::time_maybe(row, "removed_ms")?,
    })
}

/// Those of an app that were not removed, oldest first.
pub(crate) fn of(session: &Session, app: &AppName) -> Result<Vec<VolumeRow>, StoreError> {
    session.all("SELECT * FROM volumes WHERE app = ?1 AND removed_ms IS NULL ORDER BY id", &params![app.as_str()], read)
}

/// The name of a volume of an app that bears one writer.
pub(crate) fn one_writer(session: &Session, app: &AppName) -> Result<Option<VolumeName>, StoreError> {
    let of_app = of(session, app)?;
    Ok(of_app.into_iter().find(|volume| volume.writers == Writers::One).map(|volume| volume.name))
}

/// Refuses more than one instance of an app with a volume that bears one writer.
pub(crate) fn refuse_more_than_one(session: &Session, app: &AppName, count: u32) -> Result<(), StoreError> {
    match one_writer(session, app)? {
        Some(volume) if count > 1 => Err(Conflict::OneWriter { app: app.clone(), volume, wanted: count }.into()),
        _ => Ok(()),
    }
}

/// Before an app goes: refused where it keeps anything, unless that is to go, too.
pub(crate) fn leave(session: &Session, app: &AppName, with: WithData, now: Timestamp) -> Result<(), StoreError> {
    let volumes = of(session, app)?.into_iter().map(|volume| volume.name);
    let keeps: Vec<_> =
        volumes.chain(app_databases::of(session, app)?.into_iter().map(|database| database.name)).collect();
    if with == WithData::No && !keeps.is_empty() {
        return Err(Conflict::KeepsData { app: app.clone(), names: keeps }.into());
    }
    session.execute(
        "UPDATE volumes SET removed_ms = ?2 WHERE app = ?1 AND removed_ms IS NULL",
        &params![app.as_str(), now.as_millis()],
    )?;
    session.execute("DELETE FROM databases WHERE app = ?1", &params![app.as_str()])?;
    Ok(())
}

pub(crate) fn refuse_name(session: &Session, app: &AppName, name: &VolumeName) -> Result<(), StoreError> {
    let is_taken = of(session, app)?.iter().any(|volume| volume.name == *name)
        || app_databases::of(session, app)?.iter().any(|database| database.name == *name);
    if is_taken { Err(Conflict::VolumeExists { app: app.clone(), name: name.clone() }.into()) } else { Ok(()) }
}

/// One instance at most from now on: what its owner said is not changed behind their back, what nobody said is.
fn bound_to_one(session: &Session, app: &AppName, name: &VolumeName) -> Result<(), StoreError> {
    // Two versions stand side by side; the volume would be both's.
    if rollouts::under_way(session, app)?.is_some() {
        return Err(Conflict::RollsOut(app.clone()).into());
    }
    bound(session, app, name)
}

/// Bounds an app that bears no second instance to one, where neither its owner nor what is live says how many there may be.
fn bound(session: &Session, app: &AppName, name: &VolumeName) -> Result<(), StoreError> {
    let row = apps::find(session, app)?;
    if row.scaling.max <= 1 {
        return Ok(());
    }
    let by_command = session.first("SELECT scaling FROM apps WHERE name = ?1", &params![app.as_str()], |row| {
        Ok(row.get::<Option<String>>("scaling")?.is_some())
    })?;
    let by_file = live_of(session, app)?.and_then(|live| live.plan).is_some_and(|plan| plan.scale.is_some());
    if by_command == Some(true) || by_file {
        let (app, volume) = (app.clone(), name.clone());
        return Err(Conflict::OneWriter { app, volume, wanted: row.scaling.max }.into());
    }
    let scaling = Scaling { min: row.scaling.min.min(1), max: 1, ..row.scaling };
    let json = serde_json::to_string(&scaling)?;
    session.execute(
        "UPDATE apps SET scaling = ?2, instances = CASE WHEN instances > 1 THEN 1 ELSE instances END WHERE name = ?1",
        &params![app.as_str(), &json],
    )?;
    Ok(())
}

/// After what its owner said was forgotten: still one at most, where a volume bears no more.
pub(crate) fn keep_bound(session: &Session, app: &AppName) -> Result<(), StoreError> {
    match one_writer(session, app)? {
        Some(volume) => bound(session, app, &volume),
        None => Ok(()),
    }
}

/// Instances from before neither have what was made nor lack what was removed.
pub(crate) fn replace_instances(session: &Session, app: &AppName, now: Timestamp) -> Result<(), StoreError> {
    session.execute("UPDATE apps SET restarted_ms = ?2 WHERE name = ?1", &params![app.as_str(), now.as_millis()])?;
    Ok(())
}

impl Store {
    /// Makes a volume of an app; its instances are replaced by some that have it. One that bears one writer makes the app one of a
    /// single instance, and is refused where its owner said that there may be more.
    pub async fn create_volume(
        &self,
        app: AppName,
        new: NewVolume,
        once: Once<VolumeRow>,
        now: Timestamp,
    ) -> Result<Done<VolumeRow>, StoreError> {
        self.write_once(once, now, move |session| {
            let slot = apps::find(session, &app)?.slot;
            refuse_name(session, &app, &new.name)?;
            if let Some(other) = of(session, &app)?.into_iter().find(|other| other.path.overlaps(&new.path)) {
                return Err(Conflict::PathTaken { app, path: new.path, by: other.name }.into());
            }
            if new.writers == Writers::One {
                bound_to_one(session, &app, &new.name)?;
            }
            let id = VolumeId::new(now, sql::random()?);
            session.execute(
                "INSERT INTO volumes (id, app, slot, name, kind, path, writers, created_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                &params![
                    id.as_str(),
                    app.as_str(),
                    sql::signed(slot),
                    new.name.as_str(),
                    new.kind.as_str(),
                    new.path.as_str(),
                    new.writers.as_str(),
                    now.as_millis()
                ],
            )?;
            replace_instances(session, &app, now)?;
            session.one("SELECT * FROM volumes WHERE id = ?1", &params![id.as_str()], read)
        })
        .await
    }

    /// Those of an app that were not removed, oldest first.
    pub async fn volumes(&self, app: AppName) -> Result<Vec<VolumeRow>, StoreError> {
        self.read(move |session| {
            apps::find(session, &app)?;
            of(session, &app)
        })
        .await
    }

    /// Those of all apps that were not removed and that a node has: each app with the volume's name.
    pub async fn kept_volumes(&self) -> Result<Vec<(AppName, VolumeName)>, StoreError> {
        self.read(|session| {
            let sql = "SELECT * FROM volumes WHERE node IS NOT NULL AND removed_ms IS NULL ORDER BY app, name";
            Ok(session.all(sql, &[], read)?.into_iter().map(|volume| (volume.app, volume.name)).collect())
        })
        .await
    }

    /// Removes a volume: instances are replaced by some without it, then its folder goes.
    pub async fn remove_volume(
        &self,
        app: AppName,
        name: VolumeName,
        kind: VolumeKind,
        once: Once<VolumeRow>,
        now: Timestamp,
    ) -> Result<Done<VolumeRow>, StoreError> {
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            let found = of(session, &app)?.into_iter().find(|volume| volume.name == name && volume.kind == kind);
            let volume = found.ok_or_else(|| missing(&app, &name, kind))?;
            session.execute(
                "UPDATE volumes SET removed_ms = ?2 WHERE id = ?1",
                &params![volume.id.as_str(), now.as_millis()],
            )?;
            replace_instances(session, &app, now)?;
            Ok(volume)
        })
        .await
    }

    /// Volumes that were removed, whose folders a node has or nobody.
    pub async fn removed_volumes(&self, node: String) -> Result<Vec<VolumeRow>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT * FROM volumes WHERE removed_ms IS NOT NULL AND (node IS NULL OR node = ?1) ORDER BY id",
                &params![&node],
                read,
            )
        })
        .await
    }

    /// Forgets a volume that was removed, and whose folder is gone.
    pub async fn forget_volume(&self, id: VolumeId) -> Result<(), StoreError> {
        self.write(move |session| {
            let sql = "DELETE FROM volumes WHERE id = ?1 AND removed_ms IS NOT NULL";
            session.execute(sql, &params![id.as_str()]).map(drop)
        })
        .await
    }

    /// Says that a volume's folder is on this node, unless another has it. Returns which has it; `None` where it was removed.
    pub async fn claim_volume(&self, id: VolumeId, node: String) -> Result<Option<String>, StoreError> {
        self.write(move |session| {
            session.execute(
                "UPDATE volumes SET node = ?2 WHERE id = ?1 AND node IS NULL AND removed_ms IS NULL",
                &params![id.as_str(), &node],
            )?;
            let sql = "SELECT node FROM volumes WHERE id = ?1 AND removed_ms IS NULL";
            session.first(sql, &params![id.as_str()], |row| row.get("node"))
        })
        .await
    }
}

pub(crate) fn missing(app: &AppName, name: &VolumeName, kind: VolumeKind) -> StoreError {
    let (app, name) = (app.clone(), name.clone());
    StoreError::NotFound(match kind {
        VolumeKind::Plain => Missing::Volume { app, name },
        VolumeKind::Sqlite => Missing::Database { app, name },
    })
}
