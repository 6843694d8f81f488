//! What instances take of their node, and whether there is room for one more.

use skylift_model::instance_type::Capacity;
use skylift_model::{AppName, Timestamp};

use crate::apps::find;
use crate::deployments::live_of;
use crate::session::{Row, Session, params};
use crate::templates::{in_force, unknown_type};
use crate::{Store, StoreError, claims, sql};

/// Why something was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstarted {
    /// What is missing, in words.
    pub reason: String,
    /// Whether room is about to be made: instances of the node are on their way out.
    pub is_passing: bool,
    /// Whether the app cannot do without it: it has fewer than its least, or none of what is to take over.
    pub is_needed: bool,
}

pub(crate) fn capacity(row: &Row<'_>) -> Result<Capacity, StoreError> {
    Ok(Capacity { memory_bytes: sql::count(row, "memory_bytes")?, cpu_millicores: sql::count(row, "cpu_millicores")? })
}

/// What instances in some states take of a node.
pub(crate) fn taken(session: &Session, node: &str, states: &str) -> Result<Capacity, StoreError> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(memory_bytes), 0) AS BIGINT) AS memory_bytes,
         CAST(COALESCE(SUM(cpu_millicores), 0) AS BIGINT) AS cpu_millicores
         FROM instances WHERE node = ?1 AND state IN ({states})"
    );
    session.one(&sql, &params![node], capacity)
}

/// What a node's instances may use together; `None` where it never said.
pub(crate) fn capacity_of(session: &Session, node: &str) -> Result<Option<Capacity>, StoreError> {
    session.first("SELECT memory_bytes, cpu_millicores FROM nodes WHERE name = ?1", &params![node], capacity)
}

/// Whether one more fits a node beside what is there and what others have `claimed`. A node that never said what it has takes
/// everything.
pub(crate) fn room(
    session: &Session,
    node: &str,
    wanted: Capacity,
    claimed: Capacity,
) -> Result<Option<Unstarted>, StoreError> {
    let Some(of) = capacity_of(session, node)? else { return Ok(None) };
    let leaving = taken(session, node, "'draining', 'stopping'")?;
    let staying = taken(session, node, "'starting', 'ready'")?.and(claimed);
    Ok(of.fits(staying.and(leaving), wanted).err().map(|missing| Unstarted {
        reason: missing.to_string(),
        is_passing: of.fits(staying, wanted).is_ok(),
        is_needed: false,
    }))
}

/// A node, and what is taken of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub name: String,
    /// What its instances may use together.
    pub of: Capacity,
    /// What those take that have not ended.
    pub taken: Capacity,
    /// How many those are.
    pub instances: u64,
}

impl Store {
    /// Every node that said what its instances may use, by name.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        self.read(|session| {
            let of = session.all("SELECT * FROM nodes ORDER BY name", &[], |row| {
                Ok((row.get::<String>("name")?, capacity(row)?))
            })?;
            let row = |(name, of): (String, Capacity)| {
                let taken = taken(session, &name, "'starting', 'ready', 'draining', 'stopping'")?;
                let sql = "SELECT COUNT(*) AS there FROM instances WHERE node = ?1 AND state != 'ended'";
                let instances = session.one(sql, &params![&name], |row| sql::count(row, "there"))?;
                Ok(NodeRow { name, of, taken, instances })
            };
            of.into_iter().map(row).collect()
        })
        .await
    }

    /// Why another instance of what is live of an app cannot be started, where that is so.
    pub async fn unstarted(&self, app: AppName, now: Timestamp) -> Result<Option<Unstarted>, StoreError> {
        let types = self.instance_types();
        self.read(move |session| {
            let row = find(session, &app)?;
            let Some(live) = live_of(session, &app)?.filter(|live| live.runs) else { return Ok(None) };
            let wanted = match in_force(&row, &live, &types) {
                Ok(template) => template.instance.takes(),
                Err(error) => {
                    let reason = unknown_type(error)?.to_string();
                    return Ok(Some(Unstarted { reason, is_passing: false, is_needed: true }));
                }
            };
            let nodes = session.all("SELECT name FROM nodes ORDER BY name", &[], |row| row.get::<String>("name"))?;
            let mut missing = None;
            for node in nodes {
                let claimed = claims::of_others(session, &node, &app, now)?;
                match room(session, &node, wanted, claimed)? {
                    None => return Ok(None),
                    some => missing = some,
                }
            }
            Ok(missing)
        })
        .await
    }
}
