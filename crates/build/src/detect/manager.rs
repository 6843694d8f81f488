//! Which package manager a Node project uses, and how it is told to install and to run.

use nodejs_semver::Version;
use skylift_model::plan::PackageManager;

use super::node_version::parse_range;
use super::package_json::PackageJson;
use super::view::{View, join};

/// Every lockfile, in the order in which they decide.
pub(crate) const LOCKFILES: &[&str] =
    &["pnpm-lock.yaml", "bun.lock", "bun.lockb", "yarn.lock", "package-lock.json", "npm-shrinkwrap.json"];

/// The package manager of a project.
pub(crate) struct Manager {
    pub(crate) name: PackageManager,
    pub(crate) from: String,
    pub(crate) version: Option<(String, String)>,
    /// Its lockfile, by which installs are frozen.
    pub(crate) lockfile: Option<String>,
    /// Yarn 2 or later, whose options differ.
    pub(crate) is_berry: bool,
    /// What was found but does not count, and where.
    pub(crate) warnings: Vec<(String, String)>,
}

/// Decides by the field `packageManager`, the lockfile, `engines`, and else for npm. `packages` are the project's
/// `package.json` and the one of its workspace.
pub(crate) fn choose(view: &View<'_>, install_root: &str, packages: &[&PackageJson]) -> Manager {
    let mut warnings = Vec::new();
    let pinned = pinned(packages, &mut warnings);
    let locked = locked(view, install_root);
    let wanted = wanted(packages);
    let (name, from) = match (&pinned, &locked, &wanted) {
        (Some(pin), _, _) => (pin.name, pin.from.clone()),
        (None, Some((name, lockfile)), _) => (*name, lockfile.clone()),
        (None, None, Some((name, _, from))) => (*name, from.clone()),
        (None, None, None) => (PackageManager::Npm, "default".to_owned()),
    };
    let version = match pinned {
        Some(pin) => Some((pin.version, pin.from)),
        None => range_of(packages, name),
    };
    let lockfile = LOCKFILES.iter().find(|file| owner(file) == name && view.has(&join(install_root, file)));
    let lockfile = lockfile.map(|file| join(install_root, file));
    for other in LOCKFILES.iter().filter(|file| owner(file) != name).map(|file| join(install_root, file)) {
        if view.has(&other) {
            warnings.push((format!("not {}'s lockfile, ignored", name.as_str()), other));
        }
    }
    let is_berry = name == PackageManager::Yarn && is_berry(view, install_root, version.as_ref());
    Manager { name, from, version, lockfile, is_berry, warnings }
}

impl Manager {
    /// Installs everything, development dependencies too whatever `NODE_ENV` says: builds need them.
    pub(crate) fn install(&self) -> &'static str {
        match (self.name, self.lockfile.is_some(), self.is_berry) {
            (PackageManager::Npm, true, _) => "npm ci --include=dev",
            (PackageManager::Npm, false, _) => "npm install --include=dev",
            (PackageManager::Pnpm, true, _) => "pnpm install --frozen-lockfile --prod=false",
            // Said aloud, since CI=true would ask for a lockfile.
            (PackageManager::Pnpm, false, _) => "pnpm install --no-frozen-lockfile --prod=false",
            (PackageManager::Yarn, true, true) => "yarn install --immutable",
            (PackageManager::Yarn, false, true) => "yarn install --no-immutable",
            (PackageManager::Yarn, true, false) => "yarn install --frozen-lockfile --production=false",
            (PackageManager::Yarn, false, false) => "yarn install --production=false",
            (PackageManager::Bun, true, _) => "bun install --frozen-lockfile",
            (PackageManager::Bun, false, _) => "bun install",
        }
    }

    /// Installs what the program needs when it runs, and nothing else: enough where nothing is built.
    pub(crate) fn install_for_running(&self) -> &'static str {
        match (self.name, self.lockfile.is_some(), self.is_berry) {
            // The builder's own variables include development dependencies; an option wins over those.
            (PackageManager::Npm, true, _) => "npm ci --include=prod --omit=dev",
            (PackageManager::Npm, false, _) => "npm install --include=prod --omit=dev",
            (PackageManager::Pnpm, true, _) => "pnpm install --frozen-lockfile --prod",
            (PackageManager::Pnpm, false, _) => "pnpm install --no-frozen-lockfile --prod",
            (PackageManager::Yarn, true, false) => "yarn install --frozen-lockfile --production=true",
            (PackageManager::Yarn, false, false) => "yarn install --production=true",
            (PackageManager::Bun, true, _) => "bun install --frozen-lockfile --production",
            (PackageManager::Bun, false, _) => "bun install --production",
            (PackageManager::Yarn, _, true) => self.install(),
        }
    }

    /// Runs a script of `package.json`.
    pub(crate) fn run(&self, script: &str) -> String {
        format!("{} run {script}", self.name.as_str())
    }

    /// Runs a program of an installed package.
    pub(crate) fn exec(&self, command: &str) -> String {
        let prefix = match self.name {
            PackageManager::Npm => "npx",
            PackageManager::Pnpm => "pnpm exec",
            PackageManager::Yarn => "yarn",
            PackageManager::Bun => "bunx",
        };
        format!("{prefix} {command}")
    }
}

struct Pinned {
    name: PackageManager,
    version: String,
    from: String,
}

/// `"packageManager": "pnpm@9.1.0+sha512.…"`: the project's own first.
fn pinned(packages: &[&PackageJson], warnings: &mut Vec<(String, String)>) -> Option<Pinned> {
    for package in packages {
        let Some(field) = &package.package_manager else { continue };
        let from = package.field("packageManager");
        let (name, version) = field.trim().split_once('@').unwrap_or((field.trim(), ""));
        // What follows `+` is a hash of the archive, which corepack checks.
        let version = version.split('+').next().unwrap_or_default();
        match (parse_name(name), parse_range(version)) {
            (Some(name), Some(version)) => return Some(Pinned { name, version, from }),
            _ => warnings.push((format!("`{field}` names no known package manager and version, ignored"), from)),
        }
    }
    None
}

fn locked(view: &View<'_>, install_root: &str) -> Option<(PackageManager, String)> {
    for file in LOCKFILES {
        let path = join(install_root, file);
        if view.has(&path) {
            return Some((owner(file), path));
        }
        let settings = join(install_root, ".yarnrc.yml");
        if *file == "yarn.lock" && view.has(&settings) {
            return Some((PackageManager::Yarn, settings));
        }
    }
    None
}

/// A package manager in `engines`. Where npm is named too, the others are there to be forbidden.
fn wanted(packages: &[&PackageJson]) -> Option<(PackageManager, String, String)> {
    let order = [PackageManager::Npm, PackageManager::Pnpm, PackageManager::Yarn, PackageManager::Bun];
    order.into_iter().find_map(|name| range_of(packages, name).map(|(range, from)| (name, range, from)))
}

fn range_of(packages: &[&PackageJson], name: PackageManager) -> Option<(String, String)> {
    packages.iter().find_map(|package| {
        let range = parse_range(package.engines.get(name.as_str())?)?;
        Some((range, package.field(&format!("engines.{}", name.as_str()))))
    })
}

fn is_berry(view: &View<'_>, install_root: &str, version: Option<&(String, String)>) -> bool {
    if let Some((version, _)) = version
        && let Ok(version) = Version::parse(version)
    {
        return version.major() >= 2;
    }
    let settings = join(install_root, ".yarnrc.yml");
    view.has(&settings) || view.glance(&join(install_root, "yarn.lock")).contains("\n__metadata:")
}

fn owner(lockfile: &str) -> PackageManager {
    match lockfile {
        "pnpm-lock.yaml" => PackageManager::Pnpm,
        "bun.lock" | "bun.lockb" => PackageManager::Bun,
        "yarn.lock" => PackageManager::Yarn,
        _ => PackageManager::Npm,
    }
}

fn parse_name(name: &str) -> Option<PackageManager> {
    let all = [PackageManager::Npm, PackageManager::Pnpm, PackageManager::Yarn, PackageManager::Bun];
    all.into_iter().find(|manager| manager.as_str() == name)
}
