//! Back to what was live before, since what replaced it does not do: a rollback that nobody asked for.

use skylift_model::wire::Failure;
use skylift_model::{DeploymentState, Timestamp};

use super::{WentLive, activate, below_top};
use crate::error::Conflict;
use crate::log::{add_event, add_line};
use crate::rollouts::{self, RolloutRow, STEP};
use crate::session::params;
use crate::{Store, StoreError, apps, sql};

impl Store {
    /// Makes live what the rollout of what is live has replaced, and says why: in the rollout, the deployment's events and its log. `None`
    /// where another is live by now or on its way, that rollout is not `seen` any more, or what it replaced is not kept.
    pub async fn take_live_back(
        &self,
        seen: RolloutRow,
        why: String,
        now: Timestamp,
    ) -> Result<Option<WentLive>, StoreError> {
        self.write(move |session| {
            let (app, deployment) = (&seen.app, &seen.deployment);
            let is_live = apps::find(session, app)?.live.as_ref() == Some(deployment);
            let is_as_seen = rollouts::of(session, deployment)?.as_ref() == Some(&seen);
            if !is_live || !is_as_seen || rollouts::under_way(session, app)?.is_some() {
                return Ok(None);
            }
            let (before, below) = match below_top(session, app) {
                Err(StoreError::Conflict(Conflict::NothingBelow(_))) => return Ok(None),
                found => found?,
            };
            if Some(&before.id) != seen.old.as_ref() {
                return Ok(None);
            }
            let shown = format!("`skylift logs {app} --deployment {deployment}` shows what it printed");
            let hint = Some(format!("{} is live again; {shown}", before.id));
            let failure = Failure { step: STEP.to_owned(), message: why.clone(), exit_code: None, hint };
            session.execute(
                "UPDATE rollouts SET reason = ?2 WHERE deployment = ?1",
                &params![deployment.as_str(), &why],
            )?;
            session.execute(
                "UPDATE deployments SET failure = ?2 WHERE id = ?1",
                &params![deployment.as_str(), &serde_json::to_string(&failure)?],
            )?;
            let message = format!("live again: {deployment}, which had replaced it, was taken back");
            let live = activate(session, &before, below, &message, now)?;
            add_event(session, deployment, DeploymentState::Previous, &why, now)?;
            add_line(session, deployment, STEP, &why, now)?;
            session.execute(
                "UPDATE apps SET env_version = ?2 WHERE name = ?1",
                &params![app.as_str(), sql::signed(before.env_version)],
            )?;
            Ok(Some(live))
        })
        .await
    }
}
