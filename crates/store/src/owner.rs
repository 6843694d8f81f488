//! What an owner does with instances by hand: restart them, run a command beside them, end one.

use skylift_model::{AppName, InstanceId, InstanceState, Timestamp};

use crate::deployments::live_of;
use crate::error::{Conflict, Missing};
use crate::idempotency::{Done, Once};
use crate::instances::{InstanceRow, SELECT, change, insert, read};
use crate::session::{Session, params};
use crate::{Store, StoreError, templates};

/// What a one-off command is called where others have the name of their process.
const ONE_OFF: &str = "run";

fn find_instance(session: &Session, id: &InstanceId) -> Result<InstanceRow, StoreError> {
    session
        .first(&format!("{SELECT} WHERE id = ?1"), &params![id.as_str()], read)?
        .ok_or_else(|| StoreError::NotFound(Missing::Instance(id.clone())))
}

/// What is live of an app; refused where that is nothing that runs.
fn live_that_runs(session: &Session, app: &AppName) -> Result<crate::DeploymentRow, StoreError> {
    live_of(session, app)?.filter(|live| live.runs).ok_or_else(|| Conflict::NothingRuns(app.clone()).into())
}

impl Store {
    /// Has every instance of an app from before `now` replaced. Returns when that is.
    pub async fn restart(
        &self,
        app: AppName,
        once: Once<Timestamp>,
        now: Timestamp,
    ) -> Result<Done<Timestamp>, StoreError> {
        self.write_once(once, now, move |session| {
            live_that_runs(session, &app)?;
            session.execute(
                "UPDATE apps SET restarted_ms = ?2 WHERE name = ?1",
                &params![app.as_str(), now.as_millis()],
            )?;
            Ok(now)
        })
        .await
    }

    /// Has a command run once, as an instance of what is live, on the node where that ran last.
    pub async fn run_once(
        &self,
        app: AppName,
        command: Vec<String>,
        once: Once<InstanceRow>,
        now: Timestamp,
    ) -> Result<Done<InstanceRow>, StoreError> {
        let types = self.instance_types();
        self.write_once(once, now, move |session| {
            let live = live_that_runs(session, &app)?;
            let node = session.first(
                "SELECT node FROM instances WHERE app = ?1 ORDER BY id DESC LIMIT 1",
                &params![app.as_str()],
                |row| row.get::<String>("node"),
            )?;
            let node = node.ok_or_else(|| Conflict::NothingRuns(app.clone()))?;
            let template = templates::ensure(session, &app, &live.id, &types, now)?;
            let id = insert(session, &app, &live.id, ONE_OFF, (&node, &template), now)?;
            let command = serde_json::to_string(&command)?;
            session.execute("UPDATE instances SET command = ?2 WHERE id = ?1", &params![id.as_str(), &command])?;
            find_instance(session, &id)
        })
        .await
    }

    /// Has one instance ended: one that answers requests gets no new ones and finishes what it has. Returns it as it is then.
    pub async fn end_instance(
        &self,
        id: InstanceId,
        once: Once<InstanceRow>,
        now: Timestamp,
    ) -> Result<Done<InstanceRow>, StoreError> {
        self.write_once(once, now, move |session| {
            let row = find_instance(session, &id)?;
            let drains = row.is_web() && row.state == InstanceState::Ready;
            change(session, &id, if drains { InstanceState::Draining } else { InstanceState::Stopping }, now)?;
            find_instance(session, &id)
        })
        .await
    }

    /// One instance that runs, or ended lately.
    pub async fn instance(&self, id: InstanceId) -> Result<InstanceRow, StoreError> {
        self.read(move |session| find_instance(session, &id)).await
    }
}
