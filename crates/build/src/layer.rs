//! Dependency layers: what an install step made, kept by the digest of all that went into it, private to the app.
//!
//! After an install, everything in the work folder that is not of the source moves into the layer; builds then see
//! the source above the layer through an overlay. So the first build and every later one see the same.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags};
use skylift_model::digest::Hasher;
use skylift_model::plan::Plan;
use skylift_model::program::ROOT;
use skylift_model::{Digest, Manifest};
use skylift_sandbox::remove_tree;

use crate::checkout::{CheckoutError, Workplace};
use crate::install_env;

/// How many layers an app keeps.
const KEPT: usize = 3;

/// Files whose change means another install, by name.
const NAMES: &[&str] = &[
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    ".pnpmfile.cjs",
    "yarn.lock",
    ".yarnrc",
    ".yarnrc.yml",
    "bun.lock",
    "bun.lockb",
    "bunfig.toml",
    ".npmrc",
    "requirements.txt",
    "constraints.txt",
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "Pipfile",
    "Pipfile.lock",
    "setup.py",
    "setup.cfg",
    "pip.conf",
    ".python-version",
    "Cargo.toml",
    "Cargo.lock",
    "go.mod",
    "go.sum",
];
/// The same, by folder or ending.
const FOLDERS: &[&str] = &["patches", ".yarn", "prisma", "requirements"];

/// The name of the layer that a plan's install step makes from a source with these tools. `env` is what it sees of the app's
/// variables, and no more: whatever else changes, the layer stays.
pub(crate) fn key(plan: &Plan, manifest: &Manifest, tools: &[String], env: &[(String, String)]) -> Digest {
    let mut key = Hasher::new();
    let mut add = |text: &str| {
        key.update(&(text.len() as u64).to_be_bytes());
        key.update(text.as_bytes());
    };
    let install = plan.install.as_deref().unwrap_or_default();
    for part in ["layer 1", ROOT, std::env::consts::ARCH, &plan.install_root, install] {
        add(part);
    }
    tools.iter().for_each(|tool| add(tool));
    for (name, value) in plan.app_json.defaults.iter().chain(&plan.env) {
        add(name);
        add(value);
    }
    for (name, value) in env {
        add(name);
        add(value);
    }
    // What a command of the user's own reads nobody knows, and packages that lie in the source are it.
    let is_own = install_env::reads_everything(plan);
    for file in manifest.files() {
        let by_folder = file.path.parts().any(|part| FOLDERS.contains(&part));
        let name = file.path.file_name();
        let is_list = name.starts_with("requirements") && name.ends_with(".txt");
        if is_own || by_folder || is_list || NAMES.contains(&name) {
            add(file.path.as_str());
            add(&file.sha256.to_string());
        }
    }
    key.finish()
}

/// The layers of one app.
pub(crate) struct Layers {
    folder: PathBuf,
}

impl Layers {
    /// The layers of an app below the platform's folder for them.
    pub(crate) fn of(all: &Path, app: &str) -> Self {
        Self { folder: all.join(app) }
    }

    /// A layer made before.
    pub(crate) fn find(&self, key: &Digest) -> Option<PathBuf> {
        let path = self.folder.join(key.to_string());
        let found = fs::File::open(&path).ok()?;
        // Used just now: the oldest go first.
        let _ = found.set_modified(std::time::SystemTime::now());
        Some(path)
    }

    /// Moves what an install made out of the work folder into a new layer. Nothing runs in the folder any more.
    pub(crate) fn take(&self, key: &Digest, place: &Workplace, manifest: &Manifest) -> Result<PathBuf, CheckoutError> {
        let failed = |step: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| CheckoutError::Io { step, path, source }
        };
        skylift_durable::create_folders(&self.folder).map_err(failed("create", &self.folder))?;
        let partial = self.folder.join("partial");
        let _ = remove_tree(&partial);
        place.make_folder(&partial)?;
        let source = open_folder(CWD.as_fd(), &place.source()).map_err(failed("open", &place.source()))?;
        let target = open_folder(CWD.as_fd(), &partial).map_err(failed("open", &partial))?;
        let known = known_paths(manifest);
        for folder in known.folders.iter() {
            move_new(&source, &target, folder, &known, &|| place.make_folders(&partial, folder))?;
        }
        let path = self.folder.join(key.to_string());
        let _ = remove_tree(&path);
        skylift_durable::rename_losable(&partial, &path).map_err(failed("rename to", &path))?;
        self.prune();
        Ok(path)
    }

    /// Removes the layers used longest ago.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let used = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
        let mut layers: Vec<_> = entries.flatten().filter_map(used).collect();
        layers.sort_unstable_by(|a, b| b.cmp(a));
        for (_, path) in layers.iter().skip(KEPT) {
            let _ = remove_tree(path);
        }
    }
}

/// What the source itself has.
struct Known {
    /// Folders, the root as the empty text, parents first.
    folders: Vec<String>,
    /// Every file and folder.
    paths: HashSet<String>,
}

fn known_paths(manifest: &Manifest) -> Known {
    let mut folders = vec![String::new()];
    let mut paths = HashSet::new();
    for file in manifest.files() {
        let path = file.path.as_str();
        paths.insert(path.to_owned());
        for (at, _) in path.match_indices('/') {
            if let Some(folder) = path.get(..at)
                && paths.insert(folder.to_owned())
            {
                folders.push(folder.to_owned());
            }
        }
    }
    Known { folders, paths }
}

/// Moves the entries of one folder that the source does not have. Opened beneath the source without following links:
/// the install may have put anything in place of a folder.
fn move_new(
    source: &OwnedFd,
    target: &OwnedFd,
    folder: &str,
    known: &Known,
    make: &dyn Fn() -> Result<(), CheckoutError>,
) -> Result<(), CheckoutError> {
    let path = if folder.is_empty() { "." } else { folder };
    let Ok(from) = open_folder(source.as_fd(), Path::new(path)) else { return Ok(()) };
    let failed = |source: rustix::io::Errno| CheckoutError::Io {
        step: "move what was installed in",
        path: PathBuf::from(path),
        source: source.into(),
    };
    let entries: Vec<_> = Dir::read_from(&from).map_err(failed)?.flatten().collect();
    let mut to = None;
    for entry in entries {
        let Ok(name) = entry.file_name().to_str() else { continue };
        let within = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        if name == "." || name == ".." || known.paths.contains(&within) {
            continue;
        }
        if to.is_none() {
            if !folder.is_empty() {
                make()?;
            }
            to = Some(open_folder(target.as_fd(), Path::new(path)).map_err(|error| CheckoutError::Io {
                step: "open in the layer",
                path: PathBuf::from(path),
                source: error,
            })?);
        }
        if let Some(to) = &to {
            rustix::fs::renameat(&from, name, to, name).map_err(failed)?;
        }
    }
    Ok(())
}

fn open_folder(at: std::os::fd::BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = if path.is_absolute() {
        ResolveFlags::NO_MAGICLINKS
    } else {
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS
    };
    Ok(rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)?)
}
