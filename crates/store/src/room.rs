//! What instances take of their node, and whether there is room for one more.

use skylift_model::AppName;
use skylift_model::instance_type::Capacity;

use crate::apps::find;
use crate::deployments::live_of;
use crate::session::{Row, Session, params};
use crate::templates::{in_force, unknown_type};
use crate::{Store, StoreError, sql};

/// Why something was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstarted {
    /// What is missing, in words.
    pub reason: String,
    /// Whether room is about to be made: instances of the node are on their way out.
    pub is_passing: bool,
}

fn capacity(row: &Row<'_>) -> Result<Capacity, StoreError> {
    Ok(Capacity { memory_bytes: sql::count(row, "memory_bytes")?, cpu_millicores: sql::count(row, "cpu_millicores")? })
}

/// What instances in some states take of a node.
fn taken(session: &Session, node: &str, states: &str) -> Result<Capacity, StoreError> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(memory_bytes), 0) AS BIGINT) AS memory_bytes,
         CAST(COALESCE(SUM(cpu_millicores), 0) AS BIGINT) AS cpu_millicores
         FROM instances WHERE node = ?1 AND state IN ({states})"
    );
    session.one(&sql, &params![node], capacity)
}

/// Whether one more fits a node. A node that never said what it has takes everything.
pub(crate) fn room(session: &Session, node: &str, wanted: Capacity) -> Result<Option<Unstarted>, StoreError> {
    let of =
        session.first("SELECT memory_bytes, cpu_millicores FROM nodes WHERE name = ?1", &params![node], capacity)?;
    let Some(of) = of else { return Ok(None) };
    let leaving = taken(session, node, "'draining', 'stopping'")?;
    let staying = taken(session, node, "'starting', 'ready'")?;
    Ok(of
        .fits(staying.and(leaving), wanted)
        .err()
        .map(|missing| Unstarted { reason: missing.to_string(), is_passing: of.fits(staying, wanted).is_ok() }))
}

impl Store {
    /// Why another instance of what is live of an app cannot be started, where that is so.
    pub async fn unstarted(&self, app: AppName) -> Result<Option<Unstarted>, StoreError> {
        let types = self.instance_types();
        self.read(move |session| {
            let row = find(session, &app)?;
            let Some(live) = live_of(session, &app)?.filter(|live| live.runs) else { return Ok(None) };
            let wanted = match in_force(&row, &live, &types) {
                Ok(template) => template.instance.takes(),
                Err(error) => {
                    let reason = unknown_type(error)?.to_string();
                    return Ok(Some(Unstarted { reason, is_passing: false }));
                }
            };
            let nodes = session.all("SELECT name FROM nodes ORDER BY name", &[], |row| row.get::<String>("name"))?;
            let mut missing = None;
            for node in nodes {
                match room(session, &node, wanted)? {
                    None => return Ok(None),
                    some => missing = some,
                }
            }
            Ok(missing)
        })
        .await
    }
}
