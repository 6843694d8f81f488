//! Where sets lie that were built: by what is in them, and by what was asked for.
//!
//! ```text
//! asked/DIGEST      which set answers this: its digest          (language, version, platform and the words of the settings)
//! sets/DIGEST/      list.json and work/files                    (language, version, platform and what was resolved)
//! partial/          what is being built
//! ```
//!
//! A set is on disk whole before it gets its name, and what answers a question is written after that: there need be no registry when the
//! machine is started again.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skylift_durable as durable;
use skylift_model::Digest;
use skylift_model::digest::Hasher;
use skylift_model::wire::Package;

use super::settings::PackageSettings;

/// The sets of a node.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
}

/// What a set was made for, besides what it should hold: another one is another set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Platform {
    /// The language's version.
    pub(super) version: String,
    /// Processor and system, as the language names them.
    pub(super) platform: String,
}

/// What is written down of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct List {
    language: String,
    #[serde(flatten)]
    platform: Platform,
    pub(super) packages: Vec<Package>,
}

/// The folder in which a set is built, below that of all.
const PARTIAL: &str = "partial";
/// What the package manager works in, below the set's folder. All else there is ours.
const WORK: &str = "work";
/// What runs see, below that.
pub(super) const FILES: &str = "files";
const LIST: &str = "list.json";

impl Shelf {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The set that answers what is asked, where it was built before: its folder, and what is in it.
    pub(super) fn find(&self, asked: &Digest) -> Option<(PathBuf, List)> {
        let set: Digest = fs::read_to_string(self.asked(asked)).ok()?.trim().parse().ok()?;
        let folder = self.set(&set);
        let list = serde_json::from_slice(&fs::read(folder.join(LIST)).ok()?).ok()?;
        let files = folder.join(WORK).join(FILES);
        files.is_dir().then_some((files, list))
    }

    /// An empty folder for a package manager to work in, with `files` in it; both are to be given to its user.
    pub(super) fn begin(&self) -> io::Result<PathBuf> {
        let partial = self.folder.join(PARTIAL);
        skylift_sandbox::remove_tree(&partial)?;
        durable::create_folders(&partial.join(WORK).join(FILES))?;
        Ok(partial.join(WORK))
    }

    /// Keeps what was built in [`Self::begin`]'s folder, where nothing runs any more.
    pub(super) fn keep(&self, asked: &Digest, settings: &PackageSettings, list: &List) -> io::Result<PathBuf> {
        let set = list.digest(settings);
        let (partial, place) = (self.folder.join(PARTIAL), self.set(&set));
        // A plain struct: it can be written.
        write(&partial.join(LIST), &serde_json::to_vec_pretty(list).unwrap_or_default())?;
        durable::create_folders(&self.folder.join("sets"))?;
        skylift_sandbox::remove_tree(&place)?;
        durable::sync_file_system(&fs::File::open(&partial)?)?;
        durable::rename(&partial, &place)?;
        durable::create_folders(&self.folder.join("asked"))?;
        let written = self.folder.join("asked.partial");
        write(&written, set.to_string().as_bytes())?;
        durable::sync_file(&fs::File::open(&written)?)?;
        durable::rename(&written, &self.asked(asked))?;
        Ok(place.join(WORK).join(FILES))
    }

    /// Removes whatever answers none of these.
    pub(super) fn sweep(&self, asked: &BTreeSet<Digest>) {
        let names = |folder: &str| {
            let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let digest = |path: &Path| path.file_name()?.to_str()?.parse::<Digest>().ok();
        let mut used = BTreeSet::new();
        for path in names("asked") {
            match digest(&path).filter(|digest| asked.contains(digest)) {
                Some(_) => {
                    used.extend(fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<Digest>().ok()))
                }
                None => gone(&path, fs::remove_file(&path)),
            }
        }
        for path in names("sets") {
            if digest(&path).is_none_or(|digest| !used.contains(&digest)) {
                gone(&path, skylift_sandbox::remove_tree(&path));
            }
        }
    }

    fn asked(&self, asked: &Digest) -> PathBuf {
        self.folder.join("asked").join(asked.to_string())
    }

    fn set(&self, set: &Digest) -> PathBuf {
        self.folder.join("sets").join(set.to_string())
    }
}

impl Platform {
    /// The name of a question: what the owner wants, for this platform.
    pub(super) fn asked(&self, settings: &PackageSettings) -> Digest {
        let words = settings.packages.iter().map(String::as_str);
        digest("asked 1", settings, self, words)
    }
}

impl List {
    pub(super) fn new(settings: &PackageSettings, platform: &Platform, packages: Vec<Package>) -> Self {
        Self { language: settings.language.as_str().to_owned(), platform: platform.clone(), packages }
    }

    /// The name of a set: what is in it, for this platform.
    fn digest(&self, settings: &PackageSettings) -> Digest {
        let lines = self
            .packages
            .iter()
            .flat_map(|one| [one.name.as_str(), one.version.as_str(), one.hash.as_deref().unwrap_or_default()]);
        digest("set 1", settings, &self.platform, lines)
    }
}

fn digest<'w>(
    kind: &'w str,
    settings: &'w PackageSettings,
    platform: &'w Platform,
    words: impl Iterator<Item = &'w str>,
) -> Digest {
    let how = if settings.from_source { "from source" } else { "as they are" };
    let first = [kind, settings.language.as_str(), &platform.version, &platform.platform, how];
    let mut hasher = Hasher::new();
    for word in first.into_iter().chain(words) {
        hasher.update(&(word.len() as u64).to_be_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.finish()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = durable::create(&options, path)?;
    durable::write_all(&mut file, bytes)
}

fn gone(path: &Path, removed: io::Result<()>) {
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "a set of packages that nobody asks for stays");
    }
}
