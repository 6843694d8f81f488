//! The API's services, and how the edge reaches them.

use std::io;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{HeaderValue, Request, Response};
use skylift_api::{ApiError, Intake, Services, Taken, Urls};
use skylift_build::frames::RefusalCode;
use skylift_build::git::{GitAddress, GitPolicy, GitRef};
use skylift_build::intake::{ArchiveError, ArchiveIntake, Pieces};
use skylift_bus::Applied;
use skylift_edge::{ControlPlane, EdgeBody, RouteSource, SourceFuture};
use skylift_model::route::AppRoutes;
use skylift_model::wire::{CleanedUp, Code, SandboxStatus};
use skylift_model::{AppName, DeploymentId, DeploymentState, RequestId};
use skylift_store::{Store, StoreError};
use tower_service::Service;

use super::folder::DataFolder;
use super::workers::{Core, Started};
use crate::config::Config;

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
}

/// The API, which is made after the edge is bound: only then is the port known that its addresses name.
#[derive(Clone, Default)]
pub(crate) struct Late(Arc<OnceLock<axum::Router>>);

impl Late {
    pub(crate) fn fill(&self, router: axum::Router) {
        let _ = self.0.set(router);
    }

    pub(crate) fn control_plane(&self) -> ControlPlane {
        let late = self.clone();
        Arc::new(move |request, client, id| {
            let router = late.0.get().cloned();
            Box::pin(async move { answer(router, request, client.0.ip(), id).await })
        })
    }
}

async fn answer(
    router: Option<axum::Router>,
    request: Request<skylift_edge::RequestBody>,
    client: std::net::IpAddr,
    id: RequestId,
) -> Response<EdgeBody> {
    let Some(mut router) = router else {
        let mut response = Response::new(EdgeBody::from("starting\n".to_owned()));
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
        return response;
    };
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(skylift_api::ClientAddress(client));
    let span = tracing::info_span!("request", request.id = %id);
    let Ok(response) = tracing::Instrument::instrument(router.call(request), span).await;
    response.map(EdgeBody::other)
}

/// Makes the API's services.
pub(crate) async fn build(
    core: &Core,
    config: &Config,
    folder: &DataFolder,
    urls: Urls,
    started: &Started,
) -> anyhow::Result<Services> {
    let Core { store, blobs, bus, clock, key } = core.clone();
    let upload = config.upload;
    let limits = skylift_build::frames::IntakeLimits {
        bytes_max: upload.source_bytes_max,
        file_bytes_max: upload.file_bytes_max,
        ..skylift_build::frames::IntakeLimits::default()
    };
    let archives = ArchiveIntake::new(blobs.clone(), limits, upload.archive_bytes_max);
    let (cleanup, keep) = (started.cleanup.clone(), started.keep);
    let builds_folder = folder.sub("builds")?;
    let (metrics, builds) = (started.metrics.clone(), started.builds.clone());
    let stores = (core.blobs.clone(), core.bus.clone());
    Ok(Services {
        applied: Applied::follow(&bus),
        store,
        blobs,
        bus,
        started: clock.now(),
        clock,
        key,
        urls,
        limits: skylift_api::Limits {
            source_bytes_max: upload.source_bytes_max,
            file_bytes_max: upload.file_bytes_max,
            archive_bytes_max: upload.archive_bytes_max,
            disk_reserve_bytes: config.keep.reserve_bytes,
        },
        intake: Arc::new(SandboxedIntake { archives, git: config.build.git_policy() }),
        clean_up: Arc::new(move || {
            let (cleanup, builds) = (cleanup.clone(), builds_folder.clone());
            Box::pin(async move {
                let done = super::workers::clean_once(&cleanup, keep, &builds).await;
                let done = done.map_err(|error| ApiError::internal(error.as_ref()))?;
                Ok(CleanedUp {
                    deployments: done.deployments,
                    blobs: done.blobs,
                    bytes: done.bytes,
                    bytes_left: done.bytes_left,
                })
            })
        }),
        bytes_budget: config.keep.bytes,
        data_dir: folder.path().to_owned(),
        sandbox: SandboxStatus {
            complete: started.isolation.missing.is_empty(),
            missing: started.isolation.missing.clone(),
        },
        metrics: Arc::new(move |text| {
            metrics.render(text);
            builds.render(text);
            stores.0.render_metrics(text);
            stores.1.render_metrics(text);
        }),
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
        _ => ApiError::internal(&error),
    }
}
