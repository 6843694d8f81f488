//! The role that runs instances, and the edge's way to them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context;
use skylift_build::equipment::Equipment;
use skylift_edge::{InstanceFuture, Instances, Links};
use skylift_model::{AppName, InstanceId, Program};
use skylift_sandbox::{InitFile, Isolation};
use skylift_worker::{Apps, Doors, Parts, Reached, Runtime, RuntimeFuture, Tools, Worker};
use tokio::net::TcpStream;

use super::containers::OwnEngine;
use super::folder::DataFolder;
use super::workers::Core;
use crate::config::Config;

/// Where instances of this node are reached: by the doors of their sandboxes.
pub(crate) struct OwnInstances(pub(crate) Doors);

impl Instances for OwnInstances {
    fn connect<'i>(&'i self, instance: &'i InstanceId, node: &'i str) -> InstanceFuture<'i> {
        Box::pin(async move {
            match self.0.connect(instance).await? {
                Reached::Stream(stream) => Ok(stream),
                Reached::Elsewhere => Err(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    format!("it does not run on this node ({node})"),
                )),
            }
        })
    }
}

/// The edge of this process, as the way from one app to another.
struct OwnEdge(Links);

impl Apps for OwnEdge {
    fn hand_over<'a>(
        &'a self,
        guest: TcpStream,
        from: &'a AppName,
        app: AppName,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(self.0.hand_over(guest, from, app))
    }
}

/// Tools as builds have them.
struct BuildTools(Arc<Equipment>);

impl Runtime for BuildTools {
    fn tools<'r>(&'r self, program: &'r Program) -> RuntimeFuture<'r> {
        Box::pin(async move {
            let tools = self.0.runtime(program).await.map_err(|error| skylift_model::chain(&error))?;
            Ok(Tools { mounts: tools.mounts, path: tools.path })
        })
    }
}

/// The worker of this node.
pub(crate) fn worker(
    core: &Core,
    config: &Config,
    folder: &DataFolder,
    isolation: &Isolation,
    equipment: Arc<Equipment>,
    node: String,
    (doors, links): (Doors, Option<Links>),
) -> anyhow::Result<Worker> {
    let key = core.key.clone().context("instances need the master key")?;
    let (store, blobs) = (core.store.clone(), core.blobs.clone());
    let parts = Parts { store, blobs, bus: core.bus.clone(), clock: core.clock.clone(), key };
    let settings = config.instances.for_worker(&config.domain, config.services(), config.database.endpoint());
    let runtime = Arc::new(BuildTools(equipment));
    let containers = OwnEngine::of(config, &node).map(|engine| engine.for_instances());
    let folders = (folder.sub("instances")?, folder.sub("volumes")?);
    let worker = Worker::new(parts, node, settings, runtime, isolation.overlay, doors, folders);
    let apps = links.map(|links| Arc::new(OwnEdge(links)) as Arc<dyn Apps>);
    Ok(worker.with_containers(containers).with_apps(apps))
}

/// A small executable to become the sandboxes, from the build script; `None` where it could not be made.
pub(super) fn init() -> Option<InitFile> {
    const EXECUTABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sandbox-init"));
    if EXECUTABLE.is_empty() {
        return None;
    }
    let made = InitFile::new(EXECUTABLE);
    made.inspect_err(
        |error| tracing::warn!(%error, "each instance takes a megabyte more: nothing is executed from memory here"),
    )
    .ok()
}
