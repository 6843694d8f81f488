//! The tools a project needs. Of JavaScript those that it pins: Node and its package manager. The node's own where they satisfy, else fetched once,
//! through npm, into a folder that builds see read-only.

mod language;
mod runtime;

use std::path::{Path, PathBuf};

use skylift_model::plan::{PackageManager, Plan, ProjectKind};
use skylift_model::program::ROOT;
use skylift_sandbox::{Mount, Source};
use tokio::sync::{Mutex, watch};

use crate::cell::{Bounds, Cell, CellError, Ended, spec};
use crate::client::{self, Client};
use crate::detect::node_version::satisfies;
use skylift_log::Log;

/// Where a Node that was fetched is seen, and this node's own, inside.
const NODE_INSIDE: &str = "/run/tools/node";
const OWN_INSIDE: &str = "/run/tools/own";

/// The tools of this node.
pub struct Toolchains {
    folder: PathBuf,
    node_version: Option<String>,
    node_prefix: Option<PathBuf>,
    /// One download at a time: two builds that want the same would fetch it twice.
    fetching: Mutex<()>,
}

/// The tools of one build.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    /// Where they lie, inside.
    pub mounts: Vec<Mount>,
    /// Folders for the front of `PATH`, inside.
    pub path: Vec<String>,
    /// Names with versions, which dependency layers depend on.
    pub names: Vec<String>,
    /// The exact version of Node, where it is among them.
    pub node: Option<String>,
}

/// Why the tools of a plan cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The user's failure.
    #[error("{message}")]
    Unavailable { message: String, hint: String },
    #[error("cancelled")]
    Cancelled,
    #[error("the disk is full")]
    DiskFull,
    #[error(transparent)]
    Cell(#[from] CellError),
    #[error("keep a fetched tool in {path}")]
    Keep {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What is fetched: an npm package and the version of it.
struct Package {
    name: String,
    range: String,
}

impl Toolchains {
    /// Looks what this node has. Fetched tools are kept in `folder`.
    pub fn discover(folder: PathBuf) -> Self {
        Self {
            folder,
            node_version: client::node_version(),
            node_prefix: client::node_prefix(),
            fetching: Mutex::new(()),
        }
    }

    /// The tools that a plan needs; says in the log which they are.
    pub async fn tools(
        &self,
        plan: &Plan,
        client: &Client,
        bounds: &Bounds,
        log: &Log,
        cancel: &watch::Receiver<bool>,
    ) -> Result<Tools, ToolError> {
        if let Some(find) = own_language(plan.kind) {
            let found = tokio::task::spawn_blocking(find).await.map_err(|_| CellError::Interrupted)??;
            for name in &found.names {
                log.say("tools", format!("{name} (this server's own)")).await;
            }
            return Ok(found);
        }
        let mut tools = Tools::default();
        if plan.kind == ProjectKind::Procfile {
            // Whatever its commands call, what this server has is all there is.
            let _ = self.own_node(&mut tools);
            return Ok(tools);
        }
        let own = self.own_node(&mut tools)?;
        let wanted = plan.node.as_deref();
        match wanted.filter(|range| !satisfies(range, &own)) {
            None => {
                log.say("tools", format!("Node {own} (this server's own)")).await;
                tools.names.push(format!("node {own}"));
            }
            Some(range) => {
                log.say("tools", format!("Node {range} is pinned; this server has {own}")).await;
                let package = Package { name: node_package(), range: range.to_owned() };
                let (version, path) = self.fetch(&package, client, bounds, log, cancel).await?;
                tools.mounts.push(read_only(path.join("node_modules").join(&package.name), NODE_INSIDE));
                tools.path.insert(0, format!("{NODE_INSIDE}/bin"));
                tools.names.push(format!("node {version}"));
                log.say("tools", format!("Node {version}")).await;
                tools.node = Some(version);
            }
        }
        self.package_manager(plan, &mut tools, client, bounds, log, cancel).await?;
        Ok(tools)
    }

    /// This server's own Node, whose npm also fetches the others.
    fn own_node(&self, tools: &mut Tools) -> Result<String, ToolError> {
        let (Some(version), Some(prefix)) = (&self.node_version, &self.node_prefix) else {
            return Err(ToolError::Unavailable {
                message: "this server has no Node.js, which the project needs".to_owned(),
                hint: "the owner can install Node.js on the server (nodejs and npm) and start Skylift again".to_owned(),
            });
        };
        if !prefix.starts_with("/usr") {
            tools.mounts.push(read_only(prefix.clone(), OWN_INSIDE));
            tools.path.push(format!("{OWN_INSIDE}/bin"));
        }
        tools.node = Some(version.clone());
        Ok(version.clone())
    }

    async fn package_manager(
        &self,
        plan: &Plan,
        tools: &mut Tools,
        client: &Client,
        bounds: &Bounds,
        log: &Log,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(), ToolError> {
        let Some(manager) = plan.package_manager else { return Ok(()) };
        let pinned = plan.package_manager_version.as_deref();
        // npm comes with Node; only an exact pin is worth another one.
        if manager == PackageManager::Npm && pinned.is_none_or(|version| !is_exact(version)) {
            tools.names.push("npm".to_owned());
            return Ok(());
        }
        let package = manager_package(manager, pinned);
        let (version, path) = self.fetch(&package, client, bounds, log, cancel).await?;
        let inside = format!("/run/tools/{}", manager.as_str());
        tools.mounts.push(read_only(path, &inside));
        let own_folder = format!("{inside}/node_modules/{}/bin", package.name);
        tools
            .path
            .insert(0, if manager == PackageManager::Bun { own_folder } else { format!("{inside}/node_modules/.bin") });
        tools.names.push(format!("{} {version}", manager.as_str()));
        log.say("tools", format!("{} {version}", manager.as_str())).await;
        Ok(())
    }

    /// A package from the cache, or fetched into it. Its scripts are not run.
    async fn fetch(
        &self,
        package: &Package,
        client: &Client,
        bounds: &Bounds,
        log: &Log,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(String, PathBuf), ToolError> {
        let _alone = self.fetching.lock().await;
        if let Some(found) = self.cached(package) {
            return Ok(found);
        }
        log.say("tools", format!("fetching {}@{}", package.name, package.range)).await;
        let partial = self.folder.join("partial");
        let keep = |source| ToolError::Keep { path: self.folder.clone(), source };
        let _ = skylift_sandbox::remove_tree(&partial);
        skylift_durable::create_folders(&partial).map_err(keep)?;
        give_to_fetcher(&partial).map_err(keep)?;
        let ended = self.install(package, &partial, client, bounds, log, cancel).await?;
        match ended {
            Ended::Exited(outcome) if outcome.exit == skylift_sandbox::Exit::Code(0) => {}
            Ended::Cancelled => return Err(ToolError::Cancelled),
            Ended::DiskFull => return Err(ToolError::DiskFull),
            other => {
                tracing::warn!(package = package.name, range = package.range, ended = ?other, "cannot fetch a tool");
                return Err(ToolError::Unavailable {
                    message: format!("{}@{} could not be fetched", package.name, package.range),
                    hint: "check the pinned version; the log above has the package manager's own words".to_owned(),
                });
            }
        }
        let version = installed_version(&partial, &package.name).ok_or_else(|| ToolError::Unavailable {
            message: format!("{}@{} was fetched but holds no version", package.name, package.range),
            hint: "pin another version".to_owned(),
        })?;
        let path = self.path_of(&package.name, &version);
        let _ = skylift_sandbox::remove_tree(&path);
        skylift_durable::rename_losable(&partial, &path).map_err(keep)?;
        Ok((version, path))
    }

    async fn install(
        &self,
        package: &Package,
        into: &Path,
        client: &Client,
        bounds: &Bounds,
        log: &Log,
        cancel: &watch::Receiver<bool>,
    ) -> Result<Ended, ToolError> {
        let wanted = format!("{}@{}", package.name, package.range);
        let mut spec = spec([
            "npm",
            "install",
            "--prefix",
            ROOT,
            "--no-save",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--loglevel=error",
            &wanted,
        ]);
        let mut own = Tools::default();
        self.own_node(&mut own)?;
        spec.env = client.env.clone();
        spec.env.insert("PATH".to_owned(), path_variable(&own.path));
        spec.env.insert("HOME".to_owned(), "/tmp".to_owned());
        spec.env.insert("npm_config_cache".to_owned(), "/tmp/npm".to_owned());
        spec.uid = FETCHER_UID;
        spec.gid = FETCHER_UID;
        spec.cwd = ROOT.into();
        spec.limits.pids = 256;
        spec.limits.memory_bytes = 1 << 30;
        spec.tmp.bytes = 512 << 20;
        spec.mounts = client.mounts();
        spec.mounts.extend(own.mounts);
        spec.mounts.push(Mount::Writable { from: Source::Path(into.to_owned()), to: ROOT.into() });
        let cell = Cell::start(spec, bounds.clone(), "tools", Some(log)).await?;
        Ok(cell.run_logged("tools", log, cancel.clone()).await?)
    }

    /// The newest fetched version that satisfies.
    fn cached(&self, package: &Package) -> Option<(String, PathBuf)> {
        let prefix = format!("{}@", folder_name(&package.name));
        let entries = std::fs::read_dir(&self.folder).ok()?;
        let version = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_prefix(&prefix).map(str::to_owned);
        let mut versions: Vec<String> = entries.flatten().filter_map(version).collect();
        versions.retain(|version| *version == package.range || satisfies(&package.range, version));
        versions.sort_by_key(|version| version_parts(version));
        let newest = versions.pop()?;
        let path = self.path_of(&package.name, &newest);
        Some((newest, path))
    }

    fn path_of(&self, package: &str, version: &str) -> PathBuf {
        self.folder.join(format!("{}@{version}", folder_name(package)))
    }
}

/// How the tools of a language are found that only this node itself can have.
fn own_language(kind: ProjectKind) -> Option<fn() -> Result<Tools, ToolError>> {
    match kind {
        ProjectKind::Python => Some(language::python),
        ProjectKind::Rust => Some(language::rust),
        ProjectKind::Go => Some(language::go),
        _ => None,
    }
}

/// The user that fetches tools; no app has it.
const FETCHER_UID: u32 = 199_999;

fn give_to_fetcher(folder: &Path) -> std::io::Result<()> {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder, Some(FETCHER_UID), Some(FETCHER_UID))?;
    }
    Ok(())
}

/// `PATH` with these folders before the system's.
pub fn path_variable(first: &[String]) -> String {
    let system = ["/usr/local/bin", "/usr/bin", "/bin"].map(str::to_owned);
    first.iter().chain(&system).cloned().collect::<Vec<_>>().join(":")
}

fn read_only(from: PathBuf, to: &str) -> Mount {
    Mount::ReadOnly { from: Source::Path(from), to: to.into() }
}

fn node_package() -> String {
    format!("node-linux-{}", npm_arch())
}

fn npm_arch() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x64" }
}

/// The npm package of a package manager. Yarn from version 2 on is another package; bun's own one needs its install
/// script, so the one with the program itself is taken.
fn manager_package(manager: PackageManager, pinned: Option<&str>) -> Package {
    let is_berry =
        pinned.is_some_and(|version| version.split('.').next().is_some_and(|major| major != "1" && major != "0"));
    let (name, default) = match manager {
        PackageManager::Npm => ("npm".to_owned(), "10"),
        PackageManager::Pnpm => ("pnpm".to_owned(), "10"),
        PackageManager::Yarn if is_berry => ("@yarnpkg/cli-dist".to_owned(), "4"),
        PackageManager::Yarn => ("yarn".to_owned(), "1"),
        PackageManager::Bun => {
            (format!("@oven/bun-linux-{}", if npm_arch() == "arm64" { "aarch64" } else { "x64" }), "1")
        }
    };
    Package { name, range: pinned.unwrap_or(default).to_owned() }
}

fn folder_name(package: &str) -> String {
    package.replace('/', "+")
}

fn is_exact(version: &str) -> bool {
    version.split('.').count() == 3 && version.chars().next().is_some_and(|c| c.is_ascii_digit())
}

fn version_parts(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
}

fn installed_version(folder: &Path, package: &str) -> Option<String> {
    let path = folder.join("node_modules").join(package).join("package.json");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    json.get("version")?.as_str().map(str::to_owned)
}
