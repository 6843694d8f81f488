//! Sets of packages that runs may ask for by name: built once, in a sandbox, kept in the data folder, seen read-only.
//!
//! ```text
//! waiting ──▶ ready
//!    ▲ └────▶ failed ──(10 s, 1 min, 5 min, … an hour)──┐
//!    └──────────────────────────────────────────────────┘
//! ```
//!
//! One task builds, one set after the other. Nobody else changes what is here, and a set that is ready stays so.

mod install;
mod resolved;
mod said;
mod settings;
mod shelf;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skylift_model::chain;
use skylift_model::wire::{Package, PackageSet, PackageSetState};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::equipment::Equipment;
use crate::settings::BuildSettings;
use install::{InstallError, Installing};
pub use settings::{PackageLanguage, PackageSettings};
use shelf::{List, Shelf};

/// How long after a failure it is tried again: each time longer, and then as the last.
const AGAIN_AFTER_S: [u64; 5] = [10, 60, 300, 900, 3600];
/// Packages of which is known that what they import may be forked (`tests/packages.rs` tries them), and what is imported.
const BEAR_FORKS: [(&str, &[&str]); 3] =
    [("numpy", &["numpy", "numpy.random"]), ("pandas", &["pandas"]), ("requests", &["requests"])];

/// The sets of this node.
pub struct PackageSets {
    sets: BTreeMap<String, Set>,
    shelf: Shelf,
    settings: BuildSettings,
    equipment: Arc<Equipment>,
    reserve_bytes: u64,
}

struct Set {
    settings: PackageSettings,
    state: watch::Sender<State>,
}

/// How far a set is.
#[derive(Clone, Debug)]
enum State {
    Waiting,
    Ready(Arc<BuiltSet>),
    Failed { why: String, tried: usize, again: Instant },
}

/// A set that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltSet {
    /// What runs see.
    pub folder: PathBuf,
    /// What is in it.
    pub packages: Vec<Package>,
    /// Modules to import beforehand.
    pub preload: Vec<String>,
}

impl PackageSets {
    /// Those that the owner names, kept in `folder`. Nothing is looked at before [`Self::run`].
    pub fn new(
        sets: &BTreeMap<String, PackageSettings>,
        folder: PathBuf,
        (settings, reserve_bytes): (BuildSettings, u64),
        equipment: Arc<Equipment>,
    ) -> Self {
        let set =
            |settings: &PackageSettings| Set { settings: settings.clone(), state: watch::Sender::new(State::Waiting) };
        let sets = sets.iter().map(|(name, settings)| (name.clone(), set(settings))).collect();
        Self { sets, shelf: Shelf::new(folder), settings, equipment, reserve_bytes }
    }

    /// What is told of those of a language.
    pub fn told(&self, language: &str) -> Vec<PackageSet> {
        let sets = self.sets.iter().filter(|(_, set)| set.settings.language.as_str() == language);
        sets.map(|(name, set)| told(name, &set.state.borrow())).collect()
    }

    /// A set of a language; waits where it is being built.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    pub async fn find(&self, language: &str, name: &str) -> Result<Arc<BuiltSet>, String> {
        let set = self.sets.get(name).filter(|set| set.settings.language.as_str() == language);
        let set = set.ok_or_else(|| format!("there is no set of packages `{name}` for {language} here"))?;
        let mut state = set.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Waiting)).await;
        match known.as_deref() {
            Ok(State::Ready(built)) => Ok(built.clone()),
            Ok(State::Failed { why, .. }) => Err(format!("the set of packages `{name}` could not be built: {why}")),
            Ok(State::Waiting) | Err(_) => Err("the platform is shutting down".to_owned()),
        }
    }

    /// Builds those that are not there, and again those that could not be built, until told to stop.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        if self.sets.is_empty() {
            return;
        }
        self.look().await;
        loop {
            for (name, set) in &self.sets {
                if set.is_due() && !*stop.borrow() {
                    self.build(name, set, stop.clone()).await;
                }
            }
            let next = self.sets.values().filter_map(Set::due).min();
            tokio::select! {
                () = until(next) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Finds what was built before, and lets go of what nobody asks for any more.
    async fn look(self: &Arc<Self>) {
        let sets = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || {
            let (mut asked, mut all_known) = (BTreeSet::new(), true);
            for set in sets.sets.values() {
                let Some(platform) = install::platform(set.settings.language) else {
                    all_known = false;
                    continue;
                };
                let digest = platform.asked(&set.settings);
                asked.insert(digest);
                if let Some((folder, list)) = sets.shelf.find(&digest) {
                    set.state.send_replace(State::Ready(set.built(folder, list.packages)));
                }
            }
            if all_known {
                sets.shelf.sweep(&asked);
            }
        });
        let _ = looked.await;
    }

    async fn build(&self, name: &str, set: &Set, stop: watch::Receiver<bool>) {
        let tried = set.tried();
        set.state.send_replace(State::Waiting);
        let began = Instant::now();
        match self.install(set, stop).await {
            Ok(built) => {
                let (packages, duration_ms) = (built.packages.len(), began.elapsed().as_millis() as u64);
                tracing::info!(set = name, packages, duration_ms, "a set of packages was built");
                set.state.send_replace(State::Ready(built));
            }
            // Whoever waits for it ends with the platform.
            Err(InstallError::Interrupted) => {}
            Err(error) => {
                let again_s = AGAIN_AFTER_S.get(tried).or(AGAIN_AFTER_S.last()).copied().unwrap_or_default();
                let why = chain(&error);
                let said = error.said().unwrap_or_default();
                tracing::error!(set = name, error = why, said, again_s, "a set of packages could not be built");
                let again = Instant::now() + Duration::from_secs(again_s);
                set.state.send_replace(State::Failed { why, tried: tried + 1, again });
            }
        }
    }

    async fn install(&self, set: &Set, stop: watch::Receiver<bool>) -> Result<Arc<BuiltSet>, InstallError> {
        let (language, shelf) = (set.settings.language, self.shelf.clone());
        let begun = tokio::task::spawn_blocking(move || (install::platform(language), shelf.begin())).await;
        let (platform, work) = begun.map_err(|_| InstallError::Interrupted)?;
        let absent = || InstallError::failed(&format!("{} is not on this machine, in /usr/bin", language.as_str()), "");
        let (platform, work) = (platform.ok_or_else(absent)?, work?);
        let found = self.equipment.found().await.map_err(|_| InstallError::Interrupted)?;
        let installing =
            Installing { settings: &self.settings, client: found.client, reserve_bytes: self.reserve_bytes };
        let packages = installing.install(&set.settings, &work, stop).await?;
        let (shelf, settings) = (self.shelf.clone(), set.settings.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let list = List::new(&settings, &platform, packages);
            shelf.keep(&platform.asked(&settings), &settings, &list).map(|folder| (folder, list))
        });
        let (folder, list) = kept.await.map_err(|_| InstallError::Interrupted)??;
        Ok(set.built(folder, list.packages))
    }
}

impl Set {
    /// When it is to be built; never, where it was.
    fn due(&self) -> Option<Instant> {
        match &*self.state.borrow() {
            State::Waiting => Some(Instant::now()),
            State::Ready(_) => None,
            State::Failed { again, .. } => Some(*again),
        }
    }

    fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// How often that has failed.
    fn tried(&self) -> usize {
        match &*self.state.borrow() {
            State::Failed { tried, .. } => *tried,
            State::Waiting | State::Ready(_) => 0,
        }
    }

    fn built(&self, folder: PathBuf, packages: Vec<Package>) -> Arc<BuiltSet> {
        let preload = preload(&self.settings, &packages);
        let folder = match self.settings.language {
            PackageLanguage::Python => folder,
            PackageLanguage::Node => folder.join("node_modules"),
        };
        Arc::new(BuiltSet { folder, packages, preload })
    }
}

/// As the owner says, else what is known to bear it.
fn preload(settings: &PackageSettings, packages: &[Package]) -> Vec<String> {
    if let Some(modules) = &settings.preload {
        return modules.clone();
    }
    if settings.language != PackageLanguage::Python {
        return Vec::new();
    }
    let is_there = |name: &str| packages.iter().any(|package| package.name.eq_ignore_ascii_case(name));
    let known = BEAR_FORKS.into_iter().filter(|(name, _)| is_there(name));
    known.flat_map(|(_, modules)| modules.iter().map(|&module| module.to_owned())).collect()
}

fn told(name: &str, state: &State) -> PackageSet {
    let (state, packages, error) = match state {
        State::Waiting => (PackageSetState::Building, Vec::new(), None),
        State::Ready(built) => (PackageSetState::Ready, built.packages.clone(), None),
        State::Failed { why, .. } => (PackageSetState::Failed, Vec::new(), Some(why.clone())),
    };
    PackageSet { name: name.to_owned(), state, packages, error }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
