//! Starting an instance where its node has room for it, and making that room where its app cannot do without.
//!
//! An app must have its least number of healthy instances, the first instance of a version that is to take over, and the first one
//! after a restart or a new template. For those, instances beyond their own app's least give their room, see [`crate::spare`]; for
//! the others of a version that takes over, old ones of the same app do.

use skylift_model::instance_type::InstanceTypes;
use skylift_model::program::WEB;
use skylift_model::{AppName, DeploymentId, Timestamp};

use crate::instances::insert;
use crate::room::{Unstarted, room};
use crate::session::{Session, params};
use crate::spare::Donors;
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

/// How much an app needs an instance that it is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It has its least, and none is replaced.
    None,
    /// It takes the place of an old one of the same app.
    Swap,
    /// The app cannot do without.
    Least,
}

/// Starts one instance from the template in force, where there is room for it. `takes_over`: whether nothing else is about to.
pub(crate) fn start(
    session: &Session,
    app: &AppName,
    (deployment, process, node, takes_over): (&DeploymentId, &str, &str, bool),
    types: &InstanceTypes,
    now: Timestamp,
) -> Result<Start, StoreError> {
    let template = match templates::ensure(session, app, deployment, types, now) {
        Ok(template) => template,
        Err(error) => {
            let reason = templates::unknown_type(error)?.to_string();
            let missing = Some(Unstarted { reason, is_passing: false, is_needed: true });
            return Ok(Start { missing, gave: Vec::new() });
        }
    };
    let wanted = template.template.instance.takes();
    let claimed = claims::of_others(session, node, app, now)?;
    let Some(mut missing) = room(session, node, wanted, claimed)? else {
        insert(session, app, deployment, process, (node, &template), now)?;
        if process == WEB {
            claims::give_up(session, app)?;
        }
        return Ok(Start::default());
    };
    let need = need(session, app, (deployment, process), &template)?;
    missing.is_needed = need == Need::Least;
    let mut gave = Vec::new();
    let donors = match need {
        Need::Least => Donors::All(app),
        Need::Swap if takes_over => Donors::Own(app),
        Need::Swap | Need::None => return Ok(Start { missing: Some(missing), gave }),
    };
    if !missing.is_passing {
        gave = spare::give(session, donors, deployment, (node, types), (wanted, claimed), now)?;
        missing.is_passing = !gave.is_empty();
    }
    if missing.is_passing {
        claims::hold(session, node, app, wanted, (claims::ASKED_FOR, now))?;
    } else if process == WEB {
        claims::give_up(session, app)?;
    }
    Ok(Start { missing: Some(missing), gave })
}

/// What there is of a process of an app.
struct There {
    /// Start or answer, and are not said to be unhealthy.
    healthy: u64,
    /// Those of them that are what is to be there.
    fresh: u64,
    /// Others, unhealthy ones included.
    old: u64,
    /// Of what is to be there, ended by themselves: another try is none that others are to give way for.
    failed: u64,
}

fn need(
    session: &Session,
    app: &AppName,
    (deployment, process): (&DeploymentId, &str),
    template: &TemplateRow,
) -> Result<Need, StoreError> {
    let row = apps::find(session, app)?;
    let least = if process == WEB { row.scaling.least() } else { 1 };
    let there = session.one(
        "SELECT CAST(COALESCE(SUM(CASE WHEN lives = 1 AND healthy = 1 THEN 1 ELSE 0 END), 0) AS BIGINT) AS healthy,
             CAST(COALESCE(SUM(CASE WHEN lives = 1 AND healthy = 1 AND fresh = 1 THEN 1 ELSE 0 END), 0) AS BIGINT) AS fresh,
             CAST(COALESCE(SUM(CASE WHEN lives = 1 AND fresh = 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS old,
             CAST(COALESCE(SUM(CASE WHEN lives = 0 AND fresh = 1 AND reason IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT)
                 AS failed
         FROM (SELECT reason, CASE WHEN state IN ('starting', 'ready') THEN 1 ELSE 0 END AS lives,
                 CASE WHEN unhealthy_ms IS NULL THEN 1 ELSE 0 END AS healthy,
                 CASE WHEN deployment = ?3 AND template = ?4 AND created_ms >= ?5 THEN 1 ELSE 0 END AS fresh
             FROM instances WHERE app = ?1 AND process = ?2) AS rows",
        &params![
            app.as_str(),
            process,
            deployment.as_str(),
            sql::signed(template.version),
            row.restarted_at.as_millis()
        ],
        |row| {
            let count = |column| sql::count(row, column);
            Ok(There { healthy: count("healthy")?, fresh: count("fresh")?, old: count("old")?, failed: count("failed")? })
        },
    )?;
    Ok(match there {
        There { healthy, .. } if healthy < u64::from(least) => Need::Least,
        There { fresh: 0, failed: 0, .. } => Need::Least,
        There { old: 1.., .. } if process == WEB => Need::Swap,
        _ => Need::None,
    })
}
