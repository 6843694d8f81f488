//! The API's services, and where the edge reads routes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use skylift_api::{ApiError, Attached, Intake, Never, Services, Taken, UnderWay, Urls};
use skylift_build::frames::RefusalCode;
use skylift_build::git::{GitAddress, GitPolicy, GitRef};
use skylift_build::intake::{ArchiveError, ArchiveIntake, Pieces};
use skylift_bus::{Applied, Edges};
use skylift_edge::{RouteSource, SourceFuture};
use skylift_model::route::AppRoutes;
use skylift_model::wire::{CleanedUp, Code, SandboxStatus};
use skylift_model::{AppName, DeploymentId, DeploymentState};
use skylift_store::{Store, StoreError};
use tokio::sync::watch;

use super::folder::DataFolder;
use super::secrets::random_name;
use super::workers::{Core, Started};
use crate::config::Config;

/// The fact by which these rows are known, wherever they are moved to.
const ROWS: &str = "rows";

/// Routes, as the store has them.
pub(crate) struct StoreRoutes(pub(crate) Store);

impl RouteSource for StoreRoutes {
    fn all(&self) -> SourceFuture<'_, Vec<AppRoutes>> {
        Box::pin(async { Ok(self.0.all_routes().await?) })
    }

    fn app<'s>(&'s self, app: &'s AppName) -> SourceFuture<'s, Option<AppRoutes>> {
        Box::pin(async { Ok(self.0.app_routes(app.clone()).await?) })
    }

    fn state<'s>(&'s self, id: &'s DeploymentId) -> SourceFuture<'s, Option<DeploymentState>> {
        Box::pin(async {
            match self.0.deployment(id.clone()).await {
                Ok(row) => Ok(Some(row.state)),
                Err(StoreError::NotFound(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn lost(&self, apps: Vec<AppName>) -> SourceFuture<'_, Vec<AppName>> {
        Box::pin(async { Ok(self.0.lost_apps(apps).await?) })
    }

    fn origin(&self) -> SourceFuture<'_, String> {
        Box::pin(async {
            let stated = match self.0.fact(ROWS).await? {
                Some(stated) => stated,
                None => self.0.state_fact(ROWS, random_name()?.into_bytes()).await?,
            };
            Ok(String::from_utf8_lossy(&stated).into_owned())
        })
    }
}

/// Makes the API's services.
pub(crate) async fn build(
    core: &Core,
    config: &Config,
    folder: &DataFolder,
    urls: Urls,
    started: &Started,
    edges: Edges,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<Services> {
    let Core { store, blobs, bus, clock, key } = core.clone();
    let key = key.context("the API needs the master key")?;
    let upload = config.upload;
    let limits = skylift_build::frames::IntakeLimits {
        bytes_max: upload.source_bytes_max,
        file_bytes_max: upload.file_bytes_max,
        ..skylift_build::frames::IntakeLimits::default()
    };
    let archives = ArchiveIntake::new(blobs.clone(), limits, upload.archive_bytes_max);
    let (cleanup, keep) = (started.cleanup.clone(), started.keep);
    let own = started.own.clone();
    Ok(Services {
        applied: Applied::follow(&bus, edges),
        store,
        blobs,
        bus,
        started: clock.now(),
        stopping,
        clock,
        key,
        tenants: config.database.server(),
        urls,
        limits: skylift_api::Limits {
            source_bytes_max: upload.source_bytes_max,
            file_bytes_max: upload.file_bytes_max,
            archive_bytes_max: upload.archive_bytes_max,
            disk_reserve_bytes: config.keep.reserve_bytes,
        },
        intake: Arc::new(SandboxedIntake { archives, git: config.build.git_policy() }),
        clean_up: Arc::new(move || {
            let (cleanup, own) = (cleanup.clone(), own.clone());
            Box::pin(async move {
                let done = super::cleaning::once(&cleanup, keep, &own).await;
                let done = done.map_err(|error| ApiError::internal(error.as_ref()))?;
                Ok(CleanedUp {
                    deployments: done.deployments,
                    blobs: done.blobs,
                    bytes: done.bytes,
                    bytes_left: done.bytes_left,
                })
            })
        }),
        runs: started.runs.clone(),
        queue: started.runs_queue.clone(),
        waiting: started.waiting.clone(),
        may_be_told: super::runs::may_be_told(config.callbacks.settings()),
        judge0: config.judge0.settings(),
        under_way: UnderWay::default(),
        attached: Attached::default(),
        run_alone: Duration::from_secs(config.instances.run_alone_seconds),
        never: never_in(config.domain.clone()),
        bytes_budget: config.keep.bytes,
        data_dir: folder.path().to_owned(),
        sandbox: SandboxStatus { complete: started.missing.is_empty(), missing: started.missing.clone() },
        metrics: super::vitals::metrics(core, started),
        remark: super::vitals::remark(started),
    })
}

fn never_in(domain: String) -> Never {
    Arc::new(move |rule| {
        let never = skylift_egress::never(rule, Some(&domain))?;
        Some((never.to_string(), never.hint().to_owned()))
    })
}

/// How the API takes in code.
struct SandboxedIntake {
    archives: ArchiveIntake,
    git: GitPolicy,
}

/// A body's pieces, as the unpacker takes them.
struct BodyPieces(BoxStream<'static, io::Result<Bytes>>);

impl Pieces for BodyPieces {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        Some(self.0.next().await?.map(Vec::from))
    }
}

impl Intake for SandboxedIntake {
    fn archive<'a>(&'a self, pieces: BoxStream<'static, io::Result<Bytes>>) -> BoxFuture<'a, Result<Taken, ApiError>> {
        Box::pin(async move {
            let (digest, manifest) = self.archives.take(BodyPieces(pieces)).await.map_err(refused)?;
            Ok(Taken { manifest, digest })
        })
    }

    fn git(&self, url: &str, branch: Option<&str>) -> Result<String, ApiError> {
        let address = GitAddress::parse(url, &self.git);
        let address = address.map_err(|error| ApiError::invalid(error.to_string(), error.hint()))?;
        if let Some(branch) = branch {
            let checked: Result<GitRef, _> = branch.parse();
            checked.map_err(|error| ApiError::invalid(error.to_string(), "give a branch, a tag or a full hash"))?;
        }
        Ok(address.to_string())
    }
}

fn refused(error: ArchiveError) -> ApiError {
    match &error {
        ArchiveError::Refused(refusal) => {
            let code = if refusal.code == RefusalCode::TooLarge { Code::TooLarge } else { Code::Invalid };
            let hint = if refusal.hint.is_empty() { "pack the archive again and send it whole" } else { &refusal.hint };
            ApiError::new(code, refusal.message.clone(), hint)
        }
        ArchiveError::Receive(source) if source.kind() == io::ErrorKind::FileTooLarge => ApiError::new(
            Code::TooLarge,
            "the archive is too large",
            "leave files out, or ask the owner to raise the limit",
        ),
        ArchiveError::Receive(_) => ApiError::new(Code::BadRequest, "the archive ended early", "send it again, whole"),
        full if full.is_out_of_space() => ApiError::out_of_space(),
        away if away.is_away() => ApiError::object_store_away(&error),
        _ => ApiError::internal(&error),
    }
}
