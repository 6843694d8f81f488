//! Builds of deployments: what one is made of, and what becomes of it step by step.

use skylift_model::plan::Plan;
use skylift_model::source::Source;
use skylift_model::{DeploymentId, DeploymentState, Digest, Manifest, Timestamp, UploadId};

use crate::deployments::{DeploymentRow, change_state, find, subject};
use crate::jobs::{self, JobKind, Lease};
use crate::log::{add_event, add_line};
use crate::session::{Session, params};
use crate::{Store, StoreError, apps, sql, uploads};

/// What a builder needs to know.
#[derive(Clone, Debug)]
pub struct BuildInput {
    pub deployment: DeploymentRow,
    /// The manifest's blob, where the bytes are here.
    pub manifest: Option<Digest>,
    /// The sealed secret of a Git source.
    pub secret: Option<Vec<u8>>,
    /// The sealed environment of the deployment.
    pub env: Option<Vec<u8>>,
    /// The app's number, for the uid of its builds.
    pub slot: u64,
}

impl Store {
    /// The manifest's blob of a deployment's source, where its bytes are here.
    pub async fn source_manifest(&self, id: DeploymentId) -> Result<Option<Digest>, StoreError> {
        self.read(move |session| {
            let upload = find(session, &id)?.upload;
            manifest_of(session, upload.as_ref())
        })
        .await
    }

    /// Begins a build, or begins it again after a lost attempt.
    pub async fn begin_build(&self, lease: Lease, now: Timestamp) -> Result<BuildInput, StoreError> {
        self.write(move |session| {
            jobs::require(session, &lease)?;
            let id = subject(&lease)?;
            if find(session, &id)?.state == DeploymentState::Queued {
                change_state(session, &id, DeploymentState::Building, "building", now)?;
            } else {
                let again = jobs::attempt_text(session, &lease)?;
                add_event(session, &id, DeploymentState::Building, &format!("building again: {again}"), now)?;
                add_line(session, &id, "build", &again, now)?;
            }
            let deployment = find(session, &id)?;
            let manifest = manifest_of(session, deployment.upload.as_ref())?;
            let secret =
                session.first("SELECT secret FROM deployments WHERE id = ?1", &params![id.as_str()], |row| {
                    row.get::<Option<Vec<u8>>>("secret")
                })?;
            let env = crate::env::sealed(session, &deployment.app, deployment.env_version)?;
            let slot = apps::find(session, &deployment.app)?.slot;
            Ok(BuildInput { deployment, manifest, secret: secret.flatten(), env, slot })
        })
        .await
    }

    /// Notes what a Git source turned out to be: its bytes and its commit.
    pub async fn set_fetched(
        &self,
        lease: Lease,
        source: Source,
        digest: Digest,
        manifest: Manifest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |session| {
            jobs::require(session, &lease)?;
            let id = subject(&lease)?;
            let app = find(session, &id)?.app;
            let upload = uploads::insert_complete(session, &app, &digest, &manifest, now)?;
            session.execute(
                "UPDATE deployments SET upload = ?2, source = ?3 WHERE id = ?1",
                &params![id.as_str(), upload.as_str(), &serde_json::to_string(&source)?],
            )?;
            jobs::enqueue_commit(session, &app, now)
        })
        .await
    }

    /// Notes the plan of a build.
    pub async fn set_plan(&self, lease: Lease, plan: Plan) -> Result<(), StoreError> {
        self.write(move |session| {
            jobs::require(session, &lease)?;
            session.execute(
                "UPDATE deployments SET plan = ?2 WHERE id = ?1",
                &params![&lease.subject, &serde_json::to_string(&plan)?],
            )?;
            Ok(())
        })
        .await
    }

    /// Ends a build well: artifact set, deploy queued, build job gone, in one transaction.
    /// Whether the artifact is a program or a site, the plan says.
    pub async fn finish_build(&self, lease: Lease, artifact: Digest, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| {
            jobs::complete(session, &lease)?;
            let id = subject(&lease)?;
            change_state(session, &id, DeploymentState::Deploying, "deploying", now)?;
            let runs = find(session, &id)?.plan.is_some_and(|plan| !plan.kind.is_static());
            // The secret has done its work; the less is kept the better.
            session.execute(
                "UPDATE deployments SET artifact = ?2, runs = ?3, secret = NULL WHERE id = ?1",
                &params![id.as_str(), artifact.as_bytes(), i64::from(runs)],
            )?;
            let app = find(session, &id)?.app;
            jobs::enqueue(session, JobKind::Deploy, &jobs::deploy_lane(&app), id.as_str(), now)?;
            Ok(())
        })
        .await
    }
}

fn manifest_of(session: &Session, upload: Option<&UploadId>) -> Result<Option<Digest>, StoreError> {
    let Some(upload) = upload else { return Ok(None) };
    session.first("SELECT manifest FROM uploads WHERE id = ?1", &params![upload.as_str()], |row| {
        sql::digest(row, "manifest")
    })
}
