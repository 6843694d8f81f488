//! Node projects: tools, dependencies, build, tests, output.

use anyhow::Context;
use skylift_model::Manifest;
use skylift_model::plan::Plan;
use skylift_model::wire::Failure;

use super::commands::{Site, WORK};
use super::outcome::{Stop, failure};
use super::{Build, joined, script};
use crate::blob_sink::BlobSink;
use crate::cell::{Cell, own_command};
use crate::checkout::Workplace;
use crate::detect;
use crate::equipment::Found;
use crate::frames::receive;
use crate::layer::{self, Layers};

const PACKAGE_JSON_BYTES_MAX: u64 = 1 << 20;
/// Scripts that npm and the others run after an install, in their order.
const AFTER_INSTALL: &[&str] = &["preinstall", "install", "postinstall", "prepare"];

impl Build<'_> {
    /// Builds and returns the files of the result, by their paths within it.
    pub(super) async fn build_node(&self, manifest: &Manifest, plan: &Plan) -> Result<Manifest, Stop> {
        let root = self.builder.folder.join("work").join(self.input.deployment.id.as_str());
        let place = Workplace::create(root, self.uid())?;
        self.prepare_cache(&place)?;
        let bounds = self.bounds(&place);
        let Found { client, toolchains } = self.found().await?;
        let tools = toolchains.tools(plan, client, &bounds, &self.log, &self.cancel).await?;
        self.lay_out(&place, manifest).await?;
        let mut on = Site { plan, client, tools: &tools, place: &place, layer: None };
        if let Some(install) = &plan.install {
            on.layer = self.install(install, manifest, &on).await?;
        }
        let package = self.package_json(&plan.root, manifest).await?;
        for (step, command) in [("build", &plan.build), ("test", &plan.test)] {
            if let Some(command) = command {
                let script = script::direct(command, plan, &package);
                self.step(step, command, script, &plan.root, &on).await?;
            }
        }
        let output = self.collect(&on).await?;
        drop(on);
        // Nobody needs to wait for thousands of files to be removed.
        tokio::task::spawn_blocking(move || drop(place));
        Ok(output)
    }

    async fn lay_out(&self, place: &Workplace, manifest: &Manifest) -> Result<(), Stop> {
        // Blocking in place would hold up everybody else on this thread; files are many and small.
        let (blobs, manifest) = (self.builder.blobs.clone(), manifest.clone());
        let layout = place.layout();
        let done = tokio::task::spawn_blocking(move || layout.lay_out(&blobs, &manifest)).await;
        Ok(done.context("lay out the source")??)
    }

    fn prepare_cache(&self, place: &Workplace) -> Result<(), Stop> {
        let folder = self.cache_folder();
        // A cache that has grown this large is cheaper to fill anew than to keep. One that cannot be measured goes, too.
        let is_fine = |usage: skylift_sandbox::DiskUsage| {
            let settings = &self.builder.settings;
            usage.bytes < settings.disk_bytes / 2 && usage.inodes < settings.disk_inodes / 2
        };
        if folder.is_dir() && !skylift_sandbox::disk_usage(&folder).is_ok_and(is_fine) {
            skylift_sandbox::remove_tree(&folder).context("remove an overgrown cache")?;
        }
        if !folder.is_dir() {
            std::fs::create_dir_all(folder.parent().unwrap_or(&folder)).context("create the caches' folder")?;
            place.make_folder(&folder)?;
        }
        Ok(())
    }

    /// Installs dependencies, or takes those of an earlier install of the same. Returns the layer that has them;
    /// without overlays they stay in the work folder.
    async fn install(
        &self,
        install: &str,
        manifest: &Manifest,
        on: &Site<'_>,
    ) -> Result<Option<std::path::PathBuf>, Stop> {
        let key = layer::key(on.plan, manifest, &on.tools.names, &self.env);
        let layers = Layers::of(&self.builder.folder.join("layers"), &self.own_folder());
        if !self.builder.overlay {
            self.log.say("install", "dependencies are not cached: this server cannot mount overlays").await;
            self.command("install", install, &on.plan.install_root, on).await?;
            return Ok(None);
        }
        if let Some(layer) = layers.find(&key) {
            self.log.say("install", format!("dependencies are unchanged: cached layer {}", short(&key))).await;
            let with_layer = Site { layer: Some(layer.clone()), ..*on };
            self.repeat_install_scripts(manifest, &with_layer).await?;
            return Ok(Some(layer));
        }
        self.command("install", install, &on.plan.install_root, on).await?;
        let layer = layers.take(&key, on.place, manifest)?;
        self.log.say("install", format!("dependencies cached as layer {}", short(&key))).await;
        Ok(Some(layer))
    }

    /// A cached layer has what the install made then; what the project's own install scripts make of the source as
    /// it is now, they make again.
    async fn repeat_install_scripts(&self, manifest: &Manifest, on: &Site<'_>) -> Result<(), Stop> {
        let package = self.package_json(&on.plan.install_root, manifest).await?;
        let Some(manager) = on.plan.package_manager else { return Ok(()) };
        for script in AFTER_INSTALL {
            if package.pointer(&format!("/scripts/{script}")).is_some_and(serde_json::Value::is_string) {
                let command = format!("{} run {script}", manager.as_str());
                self.command("install", &command, &on.plan.install_root, on).await?;
            }
        }
        Ok(())
    }

    /// The package.json of a folder; empty where there is none that can be read.
    async fn package_json(&self, folder: &str, manifest: &Manifest) -> Result<serde_json::Value, Stop> {
        let Some(file) = manifest.get(&joined(folder, "package.json")) else { return Ok(serde_json::Value::Null) };
        if file.size > PACKAGE_JSON_BYTES_MAX {
            return Ok(serde_json::Value::Null);
        }
        let bytes = self.builder.blobs.get(&file.sha256, PACKAGE_JSON_BYTES_MAX).await.context("read package.json")?;
        Ok(serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default())
    }

    /// Reads the result out of the sandbox.
    async fn collect(&self, on: &Site<'_>) -> Result<Manifest, Stop> {
        let candidates = detect::output_candidates(on.plan);
        let last = candidates.len().saturating_sub(1);
        for (at, candidate) in candidates.iter().enumerate() {
            match self.read_output(candidate, on).await {
                Err(Stop::Failed(_)) if at < last => {}
                Ok(output) if output.files().is_empty() && at < last => {}
                Ok(output) if output.files().is_empty() => {
                    return Err(super::outcome::site_stop(crate::site::SiteError::Empty(candidate.clone())));
                }
                Err(Stop::Failed(_)) if last > 0 => {
                    let message = format!("the build left nothing in any of {}", candidates.join(", "));
                    let hint = Some("name the folder in skylift.toml: [build] output = \"…\"".to_owned());
                    return Err(Stop::Failed(Failure { hint, ..failure("output", &message) }));
                }
                other => return other,
            }
        }
        Err(Stop::Failed(failure("output", "the plan names no output folder")))
    }

    async fn read_output(&self, folder: &str, on: &Site<'_>) -> Result<Manifest, Stop> {
        let inside = format!("{WORK}/{}", joined(&on.plan.root, folder));
        let limits = self.builder.settings.result;
        let mut spec = own_command(&["sandbox-walk", &serde_json::to_string(&limits).unwrap_or_default(), &inside]);
        self.furnish(&mut spec, on);
        spec.stderr = skylift_sandbox::Output::Null;
        spec.cwd = WORK.into();
        let bounds = crate::cell::Bounds { egress: None, output_bytes: u64::MAX, ..self.bounds(on.place) };
        let mut cell = Cell::start(spec, bounds, "output", None).await?;
        let stdout = cell.take_stdout()?;
        let mut sink = BlobSink::new(self.builder.blobs.clone());
        let mut received = None;
        let reading = async {
            let frames = receive(stdout, &limits, &mut sink).await;
            let kept = frames.is_ok();
            received = Some(frames);
            kept
        };
        let ended = cell.finish(reading, self.cancel.clone()).await?;
        let received = self.received("output", "reading the output folder", received, sink, ended).await?;
        Ok(received.manifest)
    }
}

fn short(key: &skylift_model::Digest) -> String {
    key.to_string().chars().take(12).collect()
}
