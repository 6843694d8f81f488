//! The steps of a build that runs commands: tools, source, dependencies, build, tests.

use anyhow::Context;
use skylift_model::Manifest;
use skylift_model::plan::{Plan, ProjectKind};

use super::commands::Site;
use super::outcome::Stop;
use super::{Build, joined, script};
use crate::checkout::Workplace;
use crate::equipment::Found;
use crate::install_env;
use crate::layer::{self, Layers};
use crate::toolchain::Tools;

const PACKAGE_JSON_BYTES_MAX: u64 = 1 << 20;
/// Compiles what was installed for Python. Marked by its source rather than by times, it holds wherever the files are laid
/// out again, and is the same bytes each time. What does not compile is not meant to.
const COMPILE: &str =
    "[ ! -d .venv/lib ] || python -m compileall -fqq -j 0 --invalidation-mode unchecked-hash .venv/lib || true";
/// Scripts that npm and the others run after an install, in their order.
const AFTER_INSTALL: &[&str] = &["preinstall", "install", "postinstall", "prepare"];

impl Build<'_> {
    /// Makes the folders of a build, finds its tools, and lays the source out.
    pub(super) async fn prepare(&self, manifest: &Manifest, plan: &Plan) -> Result<(Workplace, Tools), Stop> {
        let root = self.builder.folder.join("work").join(self.input.deployment.id.as_str());
        let place = Workplace::create(root, self.uid())?;
        self.prepare_cache(&place)?;
        let bounds = self.bounds(&place);
        let Found { client, toolchains } = self.found().await?;
        let tools = toolchains.tools(plan, client, &bounds, &self.log, &self.cancel).await?;
        self.lay_out(&place, manifest).await?;
        Ok((place, tools))
    }

    /// Installs, builds and tests. What comes back sees the result.
    pub(super) async fn steps<'a>(
        &'a self,
        manifest: &Manifest,
        plan: &'a Plan,
        place: &'a Workplace,
        tools: &'a Tools,
    ) -> Result<Site<'a>, Stop> {
        let mut on = Site { plan, client: self.client().await?, tools, place, layer: None, env: &self.env };
        if let Some(install) = &plan.install {
            on.layer = self.install(install, manifest, &on).await?;
        }
        let package = self.package_json(&plan.root, manifest).await?;
        for (step, command) in [("build", &plan.build), ("test", &plan.test), ("predeploy", &plan.app_json.predeploy)] {
            if let Some(command) = command {
                let script = script::direct(command, plan, &package);
                self.step(step, command, script, &plan.root, &on).await?;
            }
        }
        Ok(on)
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
        let seen = self.seen_by_install(manifest, on.plan).await?;
        let on = &Site { layer: None, env: &seen, ..*on };
        let key = layer::key(on.plan, manifest, &on.tools.names, &seen);
        let layers = Layers::of(&self.builder.folder.join("layers"), &self.own_folder());
        if !self.builder.overlay {
            self.log.say("install", "dependencies are not cached: this server cannot mount overlays").await;
            self.run_install(install, on).await?;
            return Ok(None);
        }
        if let Some(layer) = layers.find(&key) {
            self.log.say("install", format!("dependencies are unchanged: cached layer {}", short(&key))).await;
            let with_layer = Site { layer: Some(layer.clone()), ..*on };
            self.repeat_install_scripts(manifest, &with_layer).await?;
            return Ok(Some(layer));
        }
        self.run_install(install, on).await?;
        let layer = layers.take(&key, on.place, manifest)?;
        self.log.say("install", format!("dependencies cached as layer {}", short(&key))).await;
        Ok(Some(layer))
    }

    /// What an install sees of the app's variables. What is not shown is told, by name.
    async fn seen_by_install(&self, manifest: &Manifest, plan: &Plan) -> Result<Vec<(String, String)>, Stop> {
        let package = self.package_json(&plan.install_root, manifest).await?;
        let mut texts = Vec::new();
        for file in install_env::telling_files(manifest) {
            let bytes = self.builder.blobs.get(&file.sha256, install_env::FILE_BYTES_MAX).await;
            texts.push(String::from_utf8_lossy(&bytes.context("read the source")?.unwrap_or_default()).into_owned());
        }
        let seen = install_env::seen(plan, &package, &texts, &self.env);
        let hidden: Vec<_> = self.env.iter().filter(|one| !seen.contains(one)).map(|(name, _)| name.as_str()).collect();
        if !hidden.is_empty() {
            self.log
                .say("install", format!("not shown to the install, which names them nowhere: {}", hidden.join(", ")))
                .await;
        }
        Ok(seen)
    }

    async fn run_install(&self, install: &str, on: &Site<'_>) -> Result<(), Stop> {
        self.command("install", install, &on.plan.install_root, on).await?;
        if on.plan.kind == ProjectKind::Python {
            self.command("install", COMPILE, &on.plan.install_root, on).await?;
        }
        Ok(())
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
}

fn short(key: &skylift_model::Digest) -> String {
    key.to_string().chars().take(12).collect()
}
