//! What runs of an app, as its planner sees it, and the changes it makes.
//!
//! Whoever plans reads an app's instances, decides, and writes what follows in one transaction, which is refused where
//! anything changed meanwhile. So any number of planners may be at work, and none starts what another has started.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skylift_model::instance_type::InstanceTypes;
use skylift_model::program::WEB;
use skylift_model::rollout::RolloutSettings;
use skylift_model::{AppName, DeploymentId, InstanceId, InstanceState, Timestamp, VolumeName};

use crate::apps::AppRow;
use crate::deployments::{DeploymentRow, find, live_of};
use crate::instances::{InstanceRow, SELECT, change, read};
use crate::rollouts::RolloutRow;
use crate::room::Unstarted;
use crate::session::{Session, params};
use crate::start::start;
use crate::{Store, StoreError, apps, claims, processes, rollouts, room, sql, templates, volumes};

/// What there is of an app, as its planner sees it.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub app: AppName,
    /// What is live, where that runs.
    pub live: Option<DeploymentId>,
    /// What is about to go live, where that runs.
    pub next: Option<DeploymentId>,
    /// How far what is next is, once its rollout has begun.
    pub rollout: Option<RolloutRow>,
    /// How what is live has gone live, where that was not long ago, it replaced something, and neither was taken back since.
    pub trial: Option<RolloutRow>,
    /// How what is next, else what is live, is to be rolled out.
    pub settings: RolloutSettings,
    /// How many instances there should be.
    pub wanted: u32,
    /// A volume of it that bears one writer: there is never more than one instance then.
    pub one_writer: Option<VolumeName>,
    /// Instances from before then are to be replaced.
    pub restarted_at: Timestamp,
    /// Those of what is live that were started from another template than the one in force.
    pub outdated: BTreeSet<InstanceId>,
    /// How long one may be unhealthy before another one takes its place.
    pub unhealthy_for: Option<Duration>,
    /// Those that have not ended, oldest first.
    pub instances: Vec<InstanceRow>,
    /// Instances that ended by themselves lately, newest first.
    pub crashes: Vec<Crash>,
    /// What it runs beside those.
    pub beside: Beside,
}

/// What an app runs beside what answers its requests.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Whether the release command of what is about to go live is still to come to a good end.
    pub release_is_due: bool,
    /// Instances of other processes that have not ended, oldest first.
    pub instances: Vec<InstanceRow>,
    /// How many instances there should be of each process of what is live.
    pub wanted: BTreeMap<String, u32>,
    /// Those that ended by themselves lately, newest first, with their process.
    pub crashes: Vec<(String, Crash)>,
}

/// An instance that ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    pub deployment: DeploymentId,
    pub at: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// Changes to an app's instances, made together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be started: of which deployment, on which node.
    pub start: Vec<(DeploymentId, String)>,
    /// To be started beside those that answer requests.
    pub start_beside: Vec<NewBeside>,
    /// To get nothing new.
    pub drain: Vec<InstanceId>,
    /// To be stopped.
    pub stop: Vec<InstanceId>,
}

/// What became of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Whether any was made.
    pub is_any: bool,
    /// Why some were not started, where that is so.
    pub unstarted: Option<Unstarted>,
    /// Apps that gave up an instance for those that were not.
    pub gave: Vec<AppName>,
}

/// An instance to be started of a process that answers no requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBeside {
    pub deployment: DeploymentId,
    pub process: String,
    pub node: String,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty() && self.start_beside.is_empty() && self.drain.is_empty() && self.stop.is_empty()
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.start.extend(others.start);
        self.start_beside.extend(others.start_beside);
        self.drain.extend(others.drain);
        self.stop.extend(others.stop);
        self
    }
}

/// Instances that have not ended, of every process.
fn running(session: &Session, app: &AppName) -> Result<Vec<InstanceRow>, StoreError> {
    let sql = format!("{SELECT} WHERE app = ?1 AND state != 'ended' ORDER BY id");
    session.all(&sql, &params![app.as_str()], read)
}

fn fleet(
    session: &Session,
    app: &AppName,
    crashes_since: Timestamp,
    types: &InstanceTypes,
) -> Result<Fleet, StoreError> {
    let row = apps::find(session, app)?;
    let live = live_of(session, app)?.filter(|live| live.runs);
    let next = session.first(
        "SELECT id FROM deployments WHERE app = ?1 AND state = 'deploying' AND runs = 1 ORDER BY id LIMIT 1",
        &params![app.as_str()],
        |row| sql::parsed::<DeploymentId>(row, "id"),
    )?;
    let next = next.map(|next| find(session, &next)).transpose()?;
    let release_is_due = next.as_ref().is_some_and(release_is_due);
    let rollout = next.as_ref().map(|next| rollouts::of(session, &next.id)).transpose()?.flatten();
    let trial = match (&next, &live) {
        (None, Some(live)) => rollouts::on_trial(session, &live.id)?,
        _ => None,
    };
    let plan = next.as_ref().or(live.as_ref()).and_then(|current| current.plan.as_ref());
    let settings = plan.map(|plan| plan.rollout.clone()).unwrap_or_default();
    let wanted = live.as_ref().map(|live| processes::wanted(session, app, live)).transpose()?.unwrap_or_default();
    let all = running(session, app)?;
    let outdated =
        live.as_ref().map(|live| outdated(session, &row, live, &all, types)).transpose()?.unwrap_or_default();
    let checks = live.as_ref().and_then(|live| live.plan.as_ref()).map(|plan| plan.health).unwrap_or_default();
    let replace = Duration::from_secs(u64::from(checks.replace_seconds));
    let (instances, beside) = all.into_iter().partition(InstanceRow::is_web);
    let (of_web, crashes): (Vec<_>, Vec<_>) = crashes(session, app, crashes_since.max(row.restarted_at))?
        .into_iter()
        .partition(|(process, _)| process == WEB);
    Ok(Fleet {
        app: row.name,
        live: live.map(|live| live.id),
        next: next.map(|next| next.id),
        rollout: rollout.filter(|rollout| !rollout.state.is_over()),
        trial,
        settings,
        wanted: row.instances,
        one_writer: volumes::one_writer(session, app)?,
        restarted_at: row.restarted_at,
        outdated,
        unhealthy_for: Some(replace).filter(|replace| !replace.is_zero()),
        instances,
        crashes: of_web.into_iter().map(|(_, crash)| crash).collect(),
        beside: Beside { release_is_due, instances: beside, wanted, crashes },
    })
}

/// Those that are to be replaced since what they were started from is not what is in force.
fn outdated(
    session: &Session,
    app: &AppRow,
    live: &DeploymentRow,
    rows: &[InstanceRow],
    types: &InstanceTypes,
) -> Result<BTreeSet<InstanceId>, StoreError> {
    let in_force = templates::version_in_force(session, app, live, types)?;
    let old = rows.iter().filter(|row| row.deployment == live.id && in_force.outdates(row.template));
    Ok(old.map(|row| row.id.clone()).collect())
}

/// Whether a deployment has a release command that has not come to a good end.
fn release_is_due(deployment: &DeploymentRow) -> bool {
    !deployment.released && deployment.plan.as_ref().is_some_and(|plan| plan.release.is_some())
}

/// Instances that ended by themselves since then, newest first, with their process.
fn crashes(session: &Session, app: &AppName, since: Timestamp) -> Result<Vec<(String, Crash)>, StoreError> {
    session.all(
        "SELECT deployment, process, ended_ms, reason FROM instances WHERE app = ?1 AND state = 'ended'
         AND reason IS NOT NULL AND command IS NULL AND ended_ms >= ?2 ORDER BY ended_ms DESC",
        &params![app.as_str(), since.as_millis()],
        |row| {
            let (deployment, at) = (sql::parsed(row, "deployment")?, sql::time(row, "ended_ms")?);
            Ok((row.get("process")?, Crash { deployment, at, reason: row.get("reason")? }))
        },
    )
}

/// The one that an app cannot do without, else the first.
fn more_urgent(known: Option<Unstarted>, other: Option<Unstarted>) -> Option<Unstarted> {
    match (&known, &other) {
        (Some(known), Some(urgent)) if urgent.is_needed && !known.is_needed => other,
        (None, _) => other,
        _ => known,
    }
}

/// Where the one instance has to end before the next may begin, nobody else takes its room in between.
fn keep_room(session: &Session, seen: &Fleet, changes: &Changes, now: Timestamp) -> Result<(), StoreError> {
    let goes = |row: &&InstanceRow| changes.drain.contains(&row.id) || changes.stop.contains(&row.id);
    let Some(gone) = seen.instances.iter().find(goes).filter(|_| seen.one_writer.is_some() && seen.wanted > 0) else {
        return Ok(());
    };
    let sql = "SELECT memory_bytes, cpu_millicores FROM instances WHERE id = ?1";
    let takes = session.one(sql, &params![gone.id.as_str()], room::capacity)?;
    claims::hold(session, &gone.node, &seen.app, takes, (claims::ENDS_FIRST, now))
}

impl Store {
    /// What there is of an app, for its planner. `crashes_since` bounds how far it looks back.
    pub async fn fleet(&self, app: AppName, crashes_since: Timestamp) -> Result<Fleet, StoreError> {
        let types = self.instance_types();
        self.read(move |session| fleet(session, &app, crashes_since, &types)).await
    }

    /// Every app that runs, is about to, or has instances left.
    pub async fn apps_that_run(&self) -> Result<Vec<AppName>, StoreError> {
        self.read(|session| {
            session.all(
                "SELECT name FROM apps WHERE
                 EXISTS (SELECT 1 FROM instances WHERE instances.app = apps.name AND instances.state != 'ended')
                 OR EXISTS (SELECT 1 FROM activations, deployments WHERE activations.id = apps.activation
                     AND deployments.id = activations.deployment AND deployments.runs = 1)
                 ORDER BY name",
                &[],
                |row| sql::parsed(row, "name"),
            )
        })
        .await
    }

    /// Makes changes to the instances of an app that were planned for `seen`; what has no room on its node is not started. `None`
    /// where its instances are others by now: look again.
    pub async fn change_instances(
        &self,
        seen: Fleet,
        changes: Changes,
        now: Timestamp,
    ) -> Result<Option<Changed>, StoreError> {
        let types = self.instance_types();
        self.write(move |session| {
            let (web, beside): (Vec<_>, Vec<_>) =
                running(session, &seen.app)?.into_iter().partition(InstanceRow::is_web);
            if web != seen.instances || beside != seen.beside.instances {
                return Ok(None);
            }
            let web = changes.start.iter().map(|(deployment, node)| (deployment, WEB, node.as_str()));
            let beside =
                changes.start_beside.iter().map(|new| (&new.deployment, new.process.as_str(), new.node.as_str()));
            let mut is_any = !(changes.drain.is_empty() && changes.stop.is_empty());
            let (mut unstarted, mut gave) = (None, Vec::new());
            for (deployment, process, node) in web.chain(beside) {
                let takes_over = seen.next.as_ref().is_none_or(|next| next == deployment);
                let mut started = start(session, &seen.app, (deployment, process, node, takes_over), &types, now)?;
                is_any |= started.missing.is_none();
                if let Some(missing) = &mut started.missing {
                    // A rollout does without what it only keeps going.
                    missing.is_needed &= takes_over;
                }
                unstarted = more_urgent(unstarted, started.missing);
                gave.extend(started.gave);
            }
            keep_room(session, &seen, &changes, now)?;
            // One that gave its room is drained already, and is not to be one of two.
            let drain = if gave.contains(&seen.app) { &[][..] } else { &changes.drain };
            for id in drain {
                change(session, id, InstanceState::Draining, now)?;
            }
            for id in &changes.stop {
                change(session, id, InstanceState::Stopping, now)?;
            }
            Ok(Some(Changed { is_any, unstarted, gave }))
        })
        .await
    }
}
