//! How many instances apps should have: what owners say, what was decided, and why.

use serde::Deserialize;
use skylift_model::wire::{Scaling, ScalingStep};
use skylift_model::{AppName, Timestamp};

use crate::apps::AppRow;
use crate::error::Conflict;
use crate::idempotency::{Done, Once};
use crate::processes::refuse_sites;
use crate::session::{Row, Session, params};
use crate::{Store, StoreError, apps, rollouts, sql, volumes};

/// How many steps are kept for each app.
const STEPS_KEPT: u32 = 100;

/// An app that runs, as whoever scales it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaled {
    pub app: AppName,
    pub scaling: Scaling,
    /// Whether its owner has stopped it.
    pub stopped: bool,
    /// How many instances there should be.
    pub wanted: u32,
    /// How many of what is live answer.
    pub ready: u32,
    /// How many of what is live start.
    pub starting: u32,
    /// How long those that answer took to, at most, in milliseconds.
    pub boot_ms: Option<u64>,
}

/// What an owner sets by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByHand {
    /// So many now; scaling goes on from there.
    Wanted(u32),
    /// None, and nothing wakes it.
    Stop,
}

/// The part of a plan that counts here.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    scale: Option<Scaling>,
}

/// What an owner said by command, else what the `skylift.toml` of what is live says (its plan is `live_plan`), else what is usual.
pub(crate) fn read(row: &Row<'_>) -> Result<Scaling, StoreError> {
    if let Some(json) = row.get::<Option<String>>("scaling")? {
        return serde_json::from_str(&json).map_err(|error| StoreError::Damaged(format!("scaling: {error}")));
    }
    let said: Option<Said> = sql::json_maybe(row, "live_plan")?;
    Ok(said.and_then(|said| said.scale).unwrap_or_default())
}

/// Brings how many there should be inside the bounds that are in force.
pub(crate) fn keep_within(session: &Session, app: &AppName, now: Timestamp) -> Result<(), StoreError> {
    let AppRow { scaling, instances, stopped, .. } = apps::find(session, app)?;
    let within = instances.clamp(scaling.min, scaling.max);
    if !stopped && within != instances {
        set(session, app, within, false)?;
        let why = format!("{} to {} are allowed now", scaling.min, scaling.max);
        record(session, app, instances, within, &why, now)?;
    }
    Ok(())
}

fn count(row: &Row<'_>, column: &str) -> Result<u32, StoreError> {
    Ok(u32::try_from(sql::count(row, column)?).unwrap_or(u32::MAX))
}

fn record(session: &Session, app: &AppName, from: u32, to: u32, why: &str, now: Timestamp) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO scalings (app, at_ms, before_count, after_count, reason) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (app, at_ms) DO UPDATE SET after_count = excluded.after_count, reason = excluded.reason",
        &params![app.as_str(), now.as_millis(), from, to, why],
    )?;
    session.execute(
        "DELETE FROM scalings WHERE app = ?1 AND at_ms < (SELECT MIN(at_ms) FROM (
             SELECT at_ms FROM scalings WHERE app = ?1 ORDER BY at_ms DESC LIMIT ?2) AS kept)",
        &params![app.as_str(), STEPS_KEPT],
    )?;
    Ok(())
}

fn set(session: &Session, app: &AppName, wanted: u32, stopped: bool) -> Result<(), StoreError> {
    // Whether an app is stopped is part of its routes.
    session.execute(
        "UPDATE apps SET instances = ?2, stopped = ?3, generation = generation + CASE stopped WHEN ?3 THEN 0 ELSE 1 END
         WHERE name = ?1",
        &params![app.as_str(), wanted, i64::from(stopped)],
    )?;
    Ok(())
}

/// Takes back how many there should be to `there`, where it is more: there is no room for them.
pub(crate) fn lower(session: &Session, app: &AppName, there: u32, why: &str, now: Timestamp) -> Result<(), StoreError> {
    let AppRow { instances, stopped, .. } = apps::find(session, app)?;
    if there < instances {
        set(session, app, there, stopped)?;
        record(session, app, instances, there, why, now)?;
    }
    Ok(())
}

impl Store {
    /// Every app whose live deployment runs.
    pub async fn scaled(&self) -> Result<Vec<Scaled>, StoreError> {
        self.read(|session| {
            session.all(
                "SELECT apps.name, apps.scaling, deployments.plan AS live_plan, apps.stopped, apps.instances AS wanted,
                     COALESCE(SUM(CASE WHEN i.state = 'ready' THEN 1 ELSE 0 END), 0) AS ready,
                     COALESCE(SUM(CASE WHEN i.state = 'starting' THEN 1 ELSE 0 END), 0) AS starting,
                     MAX(i.ready_ms - i.created_ms) AS boot_ms
                 FROM apps JOIN activations ON activations.id = apps.activation
                 JOIN deployments ON deployments.id = activations.deployment AND deployments.runs = 1
                 LEFT JOIN instances AS i ON i.app = apps.name AND i.deployment = deployments.id AND i.process = 'web'
                 GROUP BY apps.name, apps.scaling, deployments.plan, apps.stopped, apps.instances ORDER BY apps.name",
                &[],
                |row| {
                    Ok(Scaled {
                        app: sql::parsed(row, "name")?,
                        scaling: read(row)?,
                        stopped: row.get::<i64>("stopped")? != 0,
                        wanted: count(row, "wanted")?,
                        ready: count(row, "ready")?,
                        starting: count(row, "starting")?,
                        boot_ms: row.get::<Option<i64>>("boot_ms")?.and_then(|ms| u64::try_from(ms).ok()),
                    })
                },
            )
        })
        .await
    }

    /// Whoever scales decided: `to` instead of `from`. `false` where it is not `from` any more, or the app was stopped.
    pub async fn scale(
        &self,
        app: AppName,
        (from, to): (u32, u32),
        why: String,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |session| {
            let changed = session.execute(
                "UPDATE apps SET instances = ?2 WHERE name = ?1 AND instances = ?3 AND stopped = 0",
                &params![app.as_str(), to, from],
            )?;
            if changed == 1 {
                record(session, &app, from, to, &why, now)?;
            }
            Ok(changed == 1)
        })
        .await
    }

    /// Sets how many instances of an app there should be, by hand. Returns that number.
    pub async fn scale_by_hand(
        &self,
        app: AppName,
        by_hand: ByHand,
        once: Once<u32>,
        now: Timestamp,
    ) -> Result<Done<u32>, StoreError> {
        self.write_once(once, now, move |session| {
            let row = apps::find(session, &app)?;
            refuse_sites(session, &app)?;
            if let ByHand::Wanted(wanted) = by_hand {
                volumes::refuse_more_than_one(session, &app, wanted)?;
            }
            let Scaling { min, max, .. } = row.scaling;
            let (wanted, stopped) = match by_hand {
                ByHand::Stop => {
                    rollouts::stop(session, &app, now)?;
                    (0, true)
                }
                ByHand::Wanted(wanted) if wanted < min || wanted > max => {
                    return Err(Conflict::OutOfBounds { app, wanted, min, max }.into());
                }
                ByHand::Wanted(wanted) => (wanted, false),
            };
            set(session, &app, wanted, stopped)?;
            record(session, &app, row.instances, wanted, "set by hand", now)?;
            Ok(wanted)
        })
        .await
    }

    /// Sets what an owner says about how many instances an app has. What is outside the new bounds is brought inside.
    pub async fn set_scaling(
        &self,
        app: AppName,
        scaling: Scaling,
        once: Once<Scaling>,
        now: Timestamp,
    ) -> Result<Done<Scaling>, StoreError> {
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            refuse_sites(session, &app)?;
            volumes::refuse_more_than_one(session, &app, scaling.max)?;
            let json = serde_json::to_string(&scaling).map_err(|error| StoreError::Damaged(error.to_string()))?;
            session.execute("UPDATE apps SET scaling = ?2 WHERE name = ?1", &params![app.as_str(), &json])?;
            keep_within(session, &app, now)?;
            Ok(scaling)
        })
        .await
    }

    /// Forgets what an owner said by command: what is live says how it is scaled. Returns what counts then.
    pub async fn reset_scaling(
        &self,
        app: AppName,
        once: Once<Scaling>,
        now: Timestamp,
    ) -> Result<Done<Scaling>, StoreError> {
        self.write_once(once, now, move |session| {
            apps::find(session, &app)?;
            session.execute("UPDATE apps SET scaling = NULL WHERE name = ?1", &params![app.as_str()])?;
            volumes::keep_bound(session, &app)?;
            keep_within(session, &app, now)?;
            Ok(apps::find(session, &app)?.scaling)
        })
        .await
    }

    /// The latest changes of how many instances an app should have, newest first.
    pub async fn scaling_steps(&self, app: AppName) -> Result<Vec<ScalingStep>, StoreError> {
        self.read(move |session| {
            session.all("SELECT * FROM scalings WHERE app = ?1 ORDER BY at_ms DESC", &params![app.as_str()], |row| {
                let at = sql::time(row, "at_ms")?;
                let (from, to) = (count(row, "before_count")?, count(row, "after_count")?);
                Ok(ScalingStep { at, from, to, reason: row.get("reason")? })
            })
        })
        .await
    }
}
