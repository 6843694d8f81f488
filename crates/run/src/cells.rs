//! Sandboxes with nothing in them, for places of all kinds: forked by a nursery, or else made one by one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skylift_model::run::{Limits, Warmth};
use skylift_sandbox::{InitFile, Mount, Nursery, Spec};

use crate::place::{self, For, Place, User, Users, Waiting};
use crate::runner::RunError;

/// How long after something could not be started it is tried again: each failure costs the run that waits for it.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What sandboxes are made from.
pub(crate) struct Cells {
    init: Option<InitFile>,
    users: Users,
    /// What those that wait are made for.
    pub(crate) usual: Limits,
    /// What all see besides the system.
    shown: Vec<Mount>,
    kept: Mutex<Kept>,
    /// What tests leave out of them.
    #[cfg(feature = "weaken")]
    pub(crate) weaken: std::sync::OnceLock<std::collections::BTreeSet<skylift_sandbox::Defence>>,
}

#[derive(Default)]
struct Kept {
    nursery: Option<Arc<Nursery>>,
    /// When somebody last asked for it.
    used: Option<Instant>,
    /// When it could not be started.
    failed: Option<Instant>,
}

impl Cells {
    pub(crate) fn new(init: Option<InitFile>, users: Users, usual: Limits, shown: Vec<Mount>) -> Self {
        let kept = Mutex::default();
        Self {
            init,
            users,
            usual,
            shown,
            kept,
            #[cfg(feature = "weaken")]
            weaken: std::sync::OnceLock::new(),
        }
    }

    /// A user of its own, and a sandbox as it would be for it.
    pub(crate) fn spec(&self, limits: &Limits, whom: For) -> Option<(User, Spec)> {
        let user = self.users.take()?;
        let mut spec = place::spec(self.init.clone(), user.uid(), limits, whom);
        spec.mounts.extend(self.shown.iter().cloned());
        #[cfg(feature = "weaken")]
        spec.weaken.extend(self.weaken.get().into_iter().flatten());
        Some((user, spec))
    }

    /// A new one from the nursery, in which a program is executed.
    pub(crate) fn empty(&self, limits: &Limits, whom: For) -> Option<Place> {
        let nursery = self.nursery()?;
        let (user, mut spec) = self.spec(limits, whom)?;
        spec.executes = true;
        match nursery.prepare(&spec) {
            Ok(prepared) => Some(Place { waiting: Waiting::Prepared(prepared), user, start: Warmth::Cold }),
            Err(error) => {
                tracing::warn!(error = skylift_model::chain(&error), "a sandbox is made without the nursery");
                self.forget();
                None
            }
        }
    }

    /// A new one for a run, in which these folders of the host's are seen besides the usual.
    pub(crate) fn cold(&self, limits: &Limits, sees: &[PathBuf], ai: bool) -> Result<Place, RunError> {
        let made = if sees.is_empty() { self.empty(limits, For::Run { ai }) } else { None };
        if let Some(place) = made {
            return Ok(place);
        }
        let (user, mut spec) = self.spec(limits, For::Run { ai }).ok_or(RunError::NoUser)?;
        spec.mounts.extend(sees.iter().map(|path| place::seen(path)));
        let prepared = skylift_sandbox::prepare(&spec)?;
        Ok(Place { waiting: Waiting::Prepared(prepared), user, start: Warmth::Cold })
    }

    /// Somebody uses what was made before.
    pub(crate) fn touch(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).used = Some(Instant::now());
    }

    /// The nursery, started where there is none.
    pub(crate) fn nursery(&self) -> Option<Arc<Nursery>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.used = Some(Instant::now());
        let may_start = kept.failed.is_none_or(|failed| failed.elapsed() > AGAIN_AFTER);
        if kept.nursery.is_none() && may_start {
            let (_user, spec) = self.spec(&self.usual, For::Later)?;
            match Nursery::start(&spec) {
                Ok(nursery) => kept.nursery = Some(Arc::new(nursery)),
                Err(error) => {
                    tracing::warn!(error = skylift_model::chain(&error), "every sandbox of a run is made by itself");
                    kept.failed = Some(Instant::now());
                }
            }
        }
        kept.nursery.clone()
    }

    /// Lets go of the nursery where nobody has asked for it for that long, nor uses what it has made; whether it did.
    pub(crate) fn rest(&self, idle: Duration, is_used: bool) -> bool {
        let used = self.kept.lock().unwrap_or_else(PoisonError::into_inner).used;
        let is_idle = !is_used && used.is_some_and(|used| used.elapsed() > idle);
        if is_idle {
            self.forget();
        }
        is_idle
    }

    /// The next one that is wanted is made by another nursery.
    pub(crate) fn forget(&self) {
        let gone = self.kept.lock().unwrap_or_else(PoisonError::into_inner).nursery.take();
        drop(gone);
    }
}
