//! Starting an instance where its node has room for it, and making that room where its app cannot do without.
//!
//! An app must have its least number of instances, the first instance of a version that is to take over, and the first one after
//! a restart or a new template. For those, other instances beyond their own app's least give their room, see [`crate::spare`].

use skylift_model::instance_type::InstanceTypes;
use skylift_model::program::WEB;
use skylift_model::{AppName, DeploymentId, Timestamp};

use crate::instances::insert;
use crate::room::{Unstarted, room};
use crate::session::{Session, params};
use crate::templates::TemplateRow;
use crate::{StoreError, apps, claims, spare, sql, templates};

/// What became of a start.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// Why there was none, where that is so.
    pub(crate) missing: Option<Unstarted>,
    /// Apps that give up an instance for it.
    pub(crate) gave: Vec<AppName>,
}

/// Starts one instance from the template in force, where there is room for it.
pub(crate) fn start(
    session: &Session,
    app: &AppName,
    (deployment, process, node): (&DeploymentId, &str, &str),
    types: &InstanceTypes,
    now: Timestamp,
) -> Result<Start, StoreError> {
    let template = match templates::ensure(session, app, deployment, types, now) {
        Ok(template) => template,
        Err(error) => {
            let reason = templates::unknown_type(error)?.to_string();
            return Ok(Start { missing: Some(Unstarted { reason, is_passing: false }), gave: Vec::new() });
        }
    };
    let wanted = template.template.instance.takes();
    let claimed = claims::of_others(session, node, app, now)?;
    let Some(mut missing) = room(session, node, wanted, claimed)? else {
        insert(session, app, deployment, process, (node, &template), now)?;
        claims::give_up(session, app)?;
        return Ok(Start::default());
    };
    let mut gave = Vec::new();
    if is_needed(session, app, (deployment, process), &template)? {
        if !missing.is_passing {
            gave = spare::give(session, app, node, (wanted, claimed), now)?;
            missing.is_passing = !gave.is_empty();
        }
        if missing.is_passing {
            claims::hold(session, node, app, wanted, now)?;
        } else {
            claims::give_up(session, app)?;
        }
    }
    Ok(Start { missing: Some(missing), gave })
}

/// Whether an app cannot do without another instance: it has fewer than its least, or none yet of what is to take over.
fn is_needed(
    session: &Session,
    app: &AppName,
    (deployment, process): (&DeploymentId, &str),
    template: &TemplateRow,
) -> Result<bool, StoreError> {
    let row = apps::find(session, app)?;
    let least = if process == WEB { row.scaling.least() } else { 1 };
    let (all, fresh) = session.one(
        "SELECT COUNT(*) AS there, CAST(COALESCE(SUM(
             CASE WHEN deployment = ?3 AND template = ?4 AND created_ms >= ?5 THEN 1 ELSE 0 END), 0) AS BIGINT) AS fresh
         FROM instances WHERE app = ?1 AND process = ?2 AND state IN ('starting', 'ready')",
        &params![
            app.as_str(),
            process,
            deployment.as_str(),
            sql::signed(template.version),
            row.restarted_at.as_millis()
        ],
        |row| Ok((sql::count(row, "there")?, sql::count(row, "fresh")?)),
    )?;
    Ok(all < u64::from(least) || fresh == 0)
}
