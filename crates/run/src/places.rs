//! Where runs are run: made when they are needed, or waiting with an interpreter in them, or with nothing.
//!
//! ```text
//! ready (some that wait) ──▶ else: a new one, entered by the zygote ──▶ else: a new one, in which the interpreter is started
//! ```
//!
//! Nursery and zygotes start with the first run that has use for them and end after some minutes without one. Whatever of this fails
//! leaves the next and slower way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skylift_model::run::{Limits, Warmth};
use skylift_sandbox::{InitFile, Mount};

use crate::cells::Cells;
use crate::language::Warm;
use crate::packages::Seen;
use crate::place::{For, Place, Users};
use crate::pool::Pool;
use crate::ready::Ready;
use crate::runner::RunError;
use crate::tuner::Tuner;

/// After how long without a run everything that waits is let go.
const IDLE: Duration = Duration::from_secs(300);

/// Places for runs, and what they are made from.
pub(crate) struct Places {
    cells: Cells,
    pools: Vec<Pool>,
    /// Those that wait with nothing in them.
    empty: Ready,
    /// Says how many wait with an interpreter in them.
    pub(crate) tuner: Arc<Tuner>,
}

/// What is wanted of a place.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) limits: Limits,
    pub(crate) sees: Vec<PathBuf>,
    /// Which interpreter is to be in it, where there is one.
    pub(crate) warm: Option<Warm>,
    /// Whether it is to be one of those that wait with nothing in them.
    pub(crate) empty: bool,
    /// Whether its program may ask models.
    pub(crate) ai: bool,
}

impl Places {
    /// Where what is asked for is usually like this, and so many may wait with nothing in them. `shown` is read-only.
    pub(crate) fn new(
        init: Option<InitFile>,
        users: Users,
        (usual, depth): (Limits, usize),
        shown: Vec<Mount>,
    ) -> Self {
        let pools = [Warm::Python, Warm::Node].map(Pool::new).into();
        let (cells, tuner) = (Cells::new(init, users, usual, shown), Arc::new(Tuner::new(usual.memory_bytes)));
        Self { cells, pools, empty: Ready::new(usual, depth), tuner }
    }

    /// With another tuner than one of its own.
    pub(crate) fn with_tuner(self, tuner: Arc<Tuner>) -> Self {
        Self { tuner, ..self }
    }

    /// Where a set of packages is seen as well, for its interpreter alone. The tuner is that of all.
    pub(crate) fn with_packages(
        init: Option<InitFile>,
        users: Users,
        usual: Limits,
        (tuner, seen): (Arc<Tuner>, &Seen),
    ) -> Self {
        let cells = Cells::new(init, users, usual, vec![seen.mount()]);
        Self { cells, pools: vec![Pool::with_packages(seen.clone())], empty: Ready::new(usual, 0), tuner }
    }

    /// Has all that is made from now on be without these defences. Said once, by tests.
    #[cfg(feature = "weaken")]
    pub(crate) fn weaken(&self, defences: &[skylift_sandbox::Defence]) {
        let _ = self.cells.weaken.set(defences.iter().copied().collect());
    }

    /// A place, as warm as there is one. Blocks for as long as it takes to make it.
    pub(crate) fn take(&self, wanted: &Wanted) -> Result<Place, RunError> {
        if let Some(place) = self.empty_for(wanted).and_then(Ready::take) {
            self.cells.touch();
            return Ok(place);
        }
        let pool = self.pool_for(wanted);
        let waiting = pool.and_then(|pool| pool.take(&self.cells, &wanted.limits, wanted.ai));
        waiting.map_or_else(|| self.cells.cold(&wanted.limits, &wanted.sees, wanted.ai), Ok)
    }

    /// One that waits just as it is wanted, with an interpreter in it or with nothing. Takes next to no time.
    pub(crate) fn at_hand(&self, wanted: &Wanted) -> Option<Place> {
        if wanted.limits != self.cells.usual || wanted.ai {
            return None;
        }
        let empty = self.empty_for(wanted).and_then(Ready::take).inspect(|_| self.cells.touch());
        empty.or_else(|| self.pool_for(wanted)?.ready(|_| true))
    }

    fn pool_for(&self, wanted: &Wanted) -> Option<&Pool> {
        let warm = wanted.warm.filter(|_| wanted.sees.is_empty())?;
        self.pools.iter().find(|pool| pool.is_of(warm))
    }

    /// Those that wait with nothing in them, where they are what is wanted.
    fn empty_for(&self, wanted: &Wanted) -> Option<&Ready> {
        let are_wanted = wanted.empty && wanted.sees.is_empty() && !wanted.ai;
        Some(&self.empty).filter(|ready| are_wanted && ready.fit(&wanted.limits))
    }

    /// Has others wait in place of what was taken. Not to be waited for by a run.
    pub(crate) fn refill(&self, wanted: &Wanted) {
        if let Some(pool) = self.pool_for(wanted) {
            pool.refill(&self.cells, &self.tuner);
        }
        if let Some(ready) = self.empty_for(wanted) {
            ready.fill(|limits| self.cells.empty(limits, For::Later));
        }
    }

    /// Has as many wait as the tuner says now, where any do.
    pub(crate) fn retune(&self) {
        for pool in &self.pools {
            pool.retune(&self.cells, &self.tuner);
        }
    }

    /// How the interpreter of a language waits, where one does.
    pub(crate) fn start_of(&self, language: &str) -> Option<Warmth> {
        self.pools.iter().find(|pool| pool.label() == language)?.start_told()
    }

    /// Lets go of everything where nobody has run anything for long.
    pub(crate) fn rest(&self) {
        let still_used = self.pools.iter().filter(|pool| pool.rest(IDLE)).count();
        if self.cells.rest(IDLE, still_used > 0) {
            self.empty.clear();
        }
    }
}
