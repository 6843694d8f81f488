//! The user's commands, each in a sandbox of its own over the build's folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skylift_model::plan::{PackageManager, Plan, ProjectKind};
use skylift_model::program::ROOT;
use skylift_sandbox::{Mount, Source, Spec};

use super::outcome::{Stop, judge};
use super::script::Script;
use super::{Build, joined};
use crate::cell::{Bounds, Cell, DiskLimit, spec};
use crate::checkout::Workplace;
use crate::client::Client;
use crate::toolchain::{Tools, path_variable};

const HOME: &str = "/home/build";
const CACHE: &str = "/cache";

/// What all commands of a build share.
pub(super) struct Site<'a> {
    pub(super) plan: &'a Plan,
    pub(super) client: &'a Client,
    pub(super) tools: &'a Tools,
    pub(super) place: &'a Workplace,
    /// The dependency layer seen below the source.
    pub(super) layer: Option<PathBuf>,
    /// What the command sees of the app's own variables.
    pub(super) env: &'a [(String, String)],
}

impl Build<'_> {
    /// Runs a command in a folder of the source and stops the build where it fails.
    pub(super) async fn command(&self, step: &str, command: &str, folder: &str, on: &Site<'_>) -> Result<(), Stop> {
        self.step(step, command, None, folder, on).await
    }

    /// The same, where the command's script may be known and be run in its place.
    pub(super) async fn step(
        &self,
        step: &str,
        command: &str,
        script: Option<Script>,
        folder: &str,
        on: &Site<'_>,
    ) -> Result<(), Stop> {
        self.progress(step, command).await?;
        self.log.say(step, format!("$ {command}")).await;
        if let Some(script) = &script {
            self.log.say(step, format!("> {}", script.command)).await;
        }
        // The user's own command, in the user's own sandbox: the only place where a shell reads anything.
        let runs = script.as_ref().map_or(command, |script| script.command.as_str());
        let mut spec = spec(["/bin/sh", "-c", runs]);
        self.furnish(&mut spec, on);
        spec.env.extend(script.iter().flat_map(|script| script.env.iter().cloned()));
        spec.cwd = Path::new(ROOT).join(folder);
        let cell = Cell::start(spec, self.bounds(on.place), step, Some(&self.log)).await?;
        let ended = cell.run_logged(step, &self.log, self.cancel.clone()).await?;
        let settings = &self.builder.settings;
        let outcome = judge(step, command, ended, settings.memory_bytes, settings.step_seconds)?;
        let peak = crate::cell::shown_bytes(outcome.peak_memory_bytes);
        self.log.say(step, format!("done: {:.1} s of CPU, {peak} of memory", outcome.cpu_ms as f64 / 1000.0)).await;
        Ok(())
    }

    /// Tells what is being done, as an event.
    pub(super) async fn progress(&self, step: &str, command: &str) -> Result<(), Stop> {
        let id = self.input.deployment.id.clone();
        let (store, now) = (&self.builder.store, self.builder.clock.now());
        let message = self.log.clean(&format!("{step}: {command}"));
        store.add_event(id.clone(), skylift_model::DeploymentState::Building, message, now).await?;
        self.builder.bus.publish(skylift_bus::Message::DeploymentChanged(id));
        Ok(())
    }

    /// What a command may use, see and reach.
    pub(super) fn furnish(&self, spec: &mut Spec, on: &Site<'_>) {
        let settings = &self.builder.settings;
        spec.uid = self.uid();
        spec.gid = self.uid();
        spec.home = HOME.into();
        spec.limits.memory_bytes = settings.memory_bytes;
        spec.limits.cpu_millicores = settings.millicores();
        spec.limits.cpu_weight = settings.cpu_weight;
        spec.limits.pids = settings.pids;
        spec.limits.file_bytes = settings.disk_bytes;
        spec.limits.open_files = 16_384;
        spec.tmp.bytes = settings.memory_bytes / 2;
        spec.tmp.inodes = 200_000;
        spec.env = self.environment(on);
        spec.mounts.extend(on.client.mounts());
        spec.mounts.extend(on.tools.mounts.clone());
        spec.mounts.push(work_mount(on));
        let writable = |from: PathBuf, to: &str| Mount::Writable { from: Source::Path(from), to: to.into() };
        spec.mounts.push(writable(on.place.home(), HOME));
        spec.mounts.push(writable(self.cache_folder(), CACHE));
    }

    /// The app's package manager caches. They are its own: what one app downloads, no other sees.
    pub(super) fn cache_folder(&self) -> PathBuf {
        self.builder.folder.join("caches").join(self.own_folder())
    }

    pub(super) fn bounds(&self, place: &Workplace) -> Bounds {
        let settings = &self.builder.settings;
        Bounds {
            time: settings.step_limit(),
            output_bytes: settings.output_bytes,
            disk: Some(DiskLimit {
                folders: vec![place.root().to_owned(), self.cache_folder()],
                bytes: settings.disk_bytes,
                inodes: settings.disk_inodes,
                reserve_bytes: self.builder.disk_reserve_bytes,
            }),
            egress: Some(settings.policy()),
        }
    }

    /// The whole environment of a build command: the platform's own, the plan's, the app's, in this order.
    fn environment(&self, on: &Site<'_>) -> BTreeMap<String, String> {
        let mut env = on.client.env.clone();
        let mut path = on.tools.path.clone();
        path.extend(own_folders(on.plan));
        let id = self.input.deployment.id.to_string();
        for (name, value) in [
            ("PATH", path_variable(&path).as_str()),
            ("HOME", HOME),
            ("CI", "true"),
            ("LANG", "C.UTF-8"),
            ("NODE_ENV", "production"),
            ("npm_config_include", "dev"),
            ("YARN_PRODUCTION", "false"),
            ("npm_config_cache", "/cache/npm"),
            ("YARN_CACHE_FOLDER", "/cache/yarn"),
            ("BUN_INSTALL_CACHE_DIR", "/cache/bun"),
            ("COREPACK_HOME", "/cache/corepack"),
            ("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0"),
            ("PIP_CACHE_DIR", "/cache/pip"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            // For pip, this option is off where it is set: what is installed is compiled apart.
            ("PIP_NO_COMPILE", "no"),
            ("UV_CACHE_DIR", "/cache/uv"),
            ("UV_PYTHON_DOWNLOADS", "never"),
            ("GOMODCACHE", "/cache/go-mod"),
            ("GOCACHE", "/cache/go-build"),
            ("GOTOOLCHAIN", "local"),
            ("CARGO_HOME", "/cache/cargo"),
            ("npm_config_update_notifier", "false"),
            ("npm_config_fund", "false"),
            ("npm_config_audit", "false"),
            ("ASTRO_TELEMETRY_DISABLED", "1"),
            ("NEXT_TELEMETRY_DISABLED", "1"),
            ("GATSBY_TELEMETRY_DISABLED", "1"),
            ("NUXT_TELEMETRY_DISABLED", "1"),
            ("SKYLIFT", "1"),
            ("SKYLIFT_APP", self.input.deployment.app.as_str()),
            ("SKYLIFT_DEPLOYMENT", id.as_str()),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        if let Some(hash) = self.commit.get() {
            env.insert("SOURCE_VERSION".to_owned(), hash.clone());
            env.insert("GIT_REV".to_owned(), hash.clone());
        }
        if on.plan.package_manager == Some(PackageManager::Pnpm) {
            env.insert("npm_config_store_dir".to_owned(), "/cache/pnpm".to_owned());
        }
        env.extend(on.plan.app_json.defaults.clone());
        env.extend(on.plan.env.clone());
        env.extend(on.env.iter().cloned());
        env
    }
}

/// The project's own folders of programs, inside.
pub(super) fn own_folders(plan: &Plan) -> Vec<String> {
    let mut folders = Vec::new();
    if plan.kind == ProjectKind::Python {
        folders.push(format!("{ROOT}/{}", joined(&plan.root, ".venv/bin")));
    }
    for root in [&plan.root, &plan.install_root] {
        folders.push(format!("{ROOT}/{}", joined(root, "node_modules/.bin")));
    }
    folders.dedup();
    folders
}

fn work_mount(on: &Site<'_>) -> Mount {
    let source = Source::Path(on.place.source());
    match &on.layer {
        Some(layer) => Mount::Overlay {
            lower: vec![Source::Path(layer.clone())],
            upper: source,
            work: Source::Path(on.place.overlay_work()),
            to: ROOT.into(),
        },
        None => Mount::Writable { from: source, to: ROOT.into() },
    }
}
