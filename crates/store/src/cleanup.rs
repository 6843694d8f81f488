//! What is kept and what may go.

use std::time::Duration;

use skylift_durable::{Defence, left_out};
use skylift_model::{AppName, DeploymentId, Digest, Timestamp};

use crate::session::{Session, params};
use crate::{Store, StoreError, apps, removed, runs, sql};

/// How long an upload that no deployment uses is kept, so that it can be resumed.
const UNUSED_UPLOAD_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long idempotency keys are remembered.
const KEYS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many deployments that never went live are kept for each app, for their logs.
const UNSERVED_KEPT: u32 = 20;

/// Deployments that may go.
#[derive(Clone, Debug)]
pub struct Expired {
    pub app: AppName,
    pub deployment: DeploymentId,
}

/// Which documents name blobs that must stay; each list is sorted.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// Blobs with the manifest of an upload.
    pub manifests: Vec<Digest>,
    /// Blobs with the table of a site.
    pub artifacts: Vec<Digest>,
    /// Blobs with a program.
    pub programs: Vec<Digest>,
    /// Blobs with Git objects; they name no others.
    pub packs: Vec<Digest>,
    /// Blobs with what is to be run, and what came of it; they name no others.
    pub runs: Vec<Digest>,
}

impl Store {
    /// Deployments beyond the `kept` newest that were live (per app), and beyond the newest that never were. What is
    /// live or in work is never among them.
    pub async fn expired_deployments(&self, kept: u32) -> Result<Vec<Expired>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT app, id FROM (
                     SELECT app, id, state, ROW_NUMBER() OVER (
                         PARTITION BY app, state = 'previous' ORDER BY COALESCE(last_live, 0) DESC, id DESC) AS age
                     FROM (SELECT app, id, state,
                         (SELECT MAX(activations.id) FROM activations WHERE activations.deployment = deployments.id)
                         AS last_live FROM deployments
                         WHERE state IN ('previous', 'failed', 'cancelled', 'superseded')
                         AND NOT EXISTS (SELECT 1 FROM uploads
                             WHERE uploads.id = deployments.upload AND uploads.git_commit IS NULL)) AS ended) AS aged
                 WHERE (state = 'previous' AND age > ?1) OR (state != 'previous' AND age > ?2)
                 ORDER BY app, age",
                &params![kept, UNSERVED_KEPT],
                |row| Ok(Expired { app: sql::parsed(row, "app")?, deployment: sql::parsed(row, "id")? }),
            )
        })
        .await
    }

    /// Deployments that were live, the longest ago first: what goes when the byte budget asks for more.
    pub async fn oldest_previous(&self) -> Result<Vec<Expired>, StoreError> {
        self.read(|session| {
            session.all(
                "SELECT app, id FROM deployments WHERE state = 'previous' ORDER BY COALESCE(
                 (SELECT MAX(activations.id) FROM activations WHERE activations.deployment = deployments.id), 0), id",
                &[],
                |row| Ok(Expired { app: sql::parsed(row, "app")?, deployment: sql::parsed(row, "id")? }),
            )
        })
        .await
    }

    /// Forgets a deployment, unless it is live or in work by now, or its upload is still to be committed to Git.
    /// Returns whether it is gone.
    pub async fn forget_deployment(&self, id: DeploymentId) -> Result<bool, StoreError> {
        self.write(move |session| {
            let spare = "state IN ('previous', 'failed', 'cancelled', 'superseded') AND NOT EXISTS (
                SELECT 1 FROM uploads WHERE uploads.id = deployments.upload AND uploads.git_commit IS NULL)";
            let spare = if left_out(Defence::Spare) { "1 = 1" } else { spare };
            let gone = session
                .execute(&format!("DELETE FROM deployments WHERE id = ?1 AND {spare}"), &params![id.as_str()])?;
            session.execute("DELETE FROM jobs WHERE subject = ?1 AND state = 'dead'", &params![id.as_str()])?;
            Ok(gone == 1)
        })
        .await
    }

    /// Forgets uploads that nobody uses, keys, environments and removals that nobody asks for any more.
    pub async fn forget_unused(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            let before = |kept: Duration| now.as_millis() - i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
            session.execute(
                "DELETE FROM uploads WHERE created_ms < ?1
                 AND NOT EXISTS (SELECT 1 FROM deployments WHERE deployments.upload = uploads.id)",
                &params![before(UNUSED_UPLOAD_KEPT)],
            )?;
            session.execute("DELETE FROM idempotency WHERE at_ms < ?1", &params![before(KEYS_KEPT)])?;
            removed::forget(session, now)?;
            session.execute(
                "DELETE FROM env_versions WHERE version != (SELECT env_version FROM apps WHERE name = app)
                 AND NOT EXISTS (SELECT 1 FROM deployments WHERE deployments.app = env_versions.app
                     AND deployments.env_version = env_versions.version)
                 AND NOT EXISTS (SELECT 1 FROM templates JOIN instances ON instances.app = templates.app
                     AND instances.template = templates.version AND instances.state != 'ended'
                     WHERE templates.app = env_versions.app AND templates.env_version = env_versions.version)",
                &[],
            )?;
            Ok(())
        })
        .await
    }

    /// Everything that names blobs at this moment.
    pub async fn references(&self) -> Result<References, StoreError> {
        self.read(references).await
    }

    /// Gives the right to remove `candidates`: from here on no upload is told that they are present. `None` where
    /// anything began to name blobs since `seen` was read: look again.
    pub async fn release_blobs(
        &self,
        candidates: Vec<Digest>,
        seen: References,
    ) -> Result<Option<Vec<Digest>>, StoreError> {
        self.write(move |session| {
            // Those of runs are left out: they are named within moments of being stored, long before what is stored may go.
            let now = references(session)?;
            let grew = |now: &[Digest], seen: &[Digest]| now.iter().any(|digest| seen.binary_search(digest).is_err());
            let grew_anywhere = grew(&now.manifests, &seen.manifests)
                || grew(&now.artifacts, &seen.artifacts)
                || grew(&now.programs, &seen.programs)
                || grew(&now.packs, &seen.packs);
            if grew_anywhere && !left_out(Defence::Look) {
                return Ok(None);
            }
            session.execute_each(
                "DELETE FROM app_blobs WHERE digest = ?1",
                candidates.iter().map(|digest| params![digest.as_bytes()]),
            )?;
            Ok(Some(candidates))
        })
        .await
    }

    /// The deployments that serve an artifact, with their apps.
    pub async fn deployments_of_artifact(&self, artifact: Digest) -> Result<Vec<(AppName, DeploymentId)>, StoreError> {
        self.read(move |session| {
            session.all(
                "SELECT app, id FROM deployments WHERE artifact = ?1 ORDER BY app, id",
                &params![artifact.as_bytes()],
                |row| Ok((sql::parsed(row, "app")?, sql::parsed(row, "id")?)),
            )
        })
        .await
    }

    /// How many deployments there are.
    pub async fn deployment_count(&self) -> Result<u64, StoreError> {
        self.read(|session| session.one("SELECT COUNT(*) AS n FROM deployments", &[], |row| sql::count(row, "n"))).await
    }

    /// Whether the app exists, for callers that only need to know that.
    pub async fn require_app(&self, app: AppName) -> Result<(), StoreError> {
        self.read(move |session| apps::find(session, &app).map(|_| ())).await
    }
}

fn references(session: &Session) -> Result<References, StoreError> {
    let mut manifests = session
        .all("SELECT DISTINCT manifest FROM uploads ORDER BY manifest", &[], |row| sql::digest(row, "manifest"))?;
    let artifacts_of = |runs: i64| {
        let mut artifacts = session.all(
            "SELECT DISTINCT artifact FROM deployments WHERE artifact IS NOT NULL AND runs = ?1 ORDER BY artifact",
            &params![runs],
            |row| sql::digest(row, "artifact"),
        )?;
        artifacts.sort_unstable();
        Ok::<_, StoreError>(artifacts)
    };
    let (artifacts, programs) = (artifacts_of(0)?, artifacts_of(1)?);
    let mut packs =
        session.all("SELECT DISTINCT sha256 FROM git_packs ORDER BY sha256", &[], |row| sql::digest(row, "sha256"))?;
    manifests.sort_unstable();
    packs.sort_unstable();
    Ok(References { manifests, artifacts, programs, packs, runs: runs::blobs(session)? })
}
