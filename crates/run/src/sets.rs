//! Places for runs with packages: each set has its own, since what is seen in a sandbox is what its nursery sees.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skylift_model::run::Limits;
use skylift_sandbox::InitFile;

use crate::packages::Seen;
use crate::place::Users;
use crate::places::Places;
use crate::tuner::Tuner;

/// Those of all sets that were asked for. Without a run for some minutes, nothing of them waits or lives.
pub(crate) struct Sets {
    init: Option<InitFile>,
    users: Users,
    usual: Limits,
    tuner: Arc<Tuner>,
    places: Mutex<BTreeMap<PathBuf, Arc<Places>>>,
}

impl Sets {
    pub(crate) fn new(init: Option<InitFile>, users: Users, usual: Limits, tuner: Arc<Tuner>) -> Self {
        Self { init, users, usual, tuner, places: Mutex::default() }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<Places>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The places of a set.
    pub(crate) fn of(&self, seen: &Seen) -> Arc<Places> {
        let make = || {
            let (init, users, tuner) = (self.init.clone(), self.users.clone(), self.tuner.clone());
            Arc::new(Places::with_packages(init, users, self.usual, (tuner, seen)))
        };
        self.places().entry(seen.set.folder.clone()).or_insert_with(make).clone()
    }

    /// As [`Places::retune`].
    pub(crate) fn retune(&self) {
        let all: Vec<Arc<Places>> = self.places().values().cloned().collect();
        all.iter().for_each(|places| places.retune());
    }

    /// As [`Places::rest`].
    pub(crate) fn rest(&self) {
        let all: Vec<Arc<Places>> = self.places().values().cloned().collect();
        all.iter().for_each(|places| places.rest());
    }
}
