//! Where runs are run: made when they are needed, or waiting with an interpreter in them.
//!
//! ```text
//! ready (some that wait) ──▶ else: a new one, entered by the zygote ──▶ else: a new one, in which the interpreter is started
//! ```
//!
//! Nursery and zygote start with the first run that has use for them and end after some minutes without one. A zygote is replaced often,
//! since what it forks shares where its memory lies. Whatever of this fails leaves the next and slower way.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_model::run::{Limits, Warmth};
use skylift_sandbox::{InitFile, Mount, Nursery, SpawnError, Spec, Zygote, ZygoteSpec};

use crate::place::{self, Place, Users, Waiting};
use crate::ready::Ready;
use crate::runner::RunError;

/// How many wait with an interpreter in them.
const DEPTH: usize = 2;
/// When a zygote is replaced.
const ZYGOTE_FORKS_MAX: u32 = 1000;
const ZYGOTE_LASTS: Duration = Duration::from_secs(60);
/// How long after nursery or zygote could not be started it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// After how long without a run everything that waits is let go.
const IDLE: Duration = Duration::from_secs(300);

/// Places for runs, and what they are made from.
pub(crate) struct Places {
    init: Option<InitFile>,
    users: Users,
    /// What those that wait were made for.
    usual: Limits,
    kept: Mutex<Kept>,
    is_refilling: AtomicBool,
    /// Those that wait with nothing in them.
    empty: Ready,
    /// What all see besides the system.
    shown: Vec<Mount>,
}

#[derive(Default)]
struct Kept {
    nursery: Option<Arc<Nursery>>,
    python: Option<Interpreter>,
    ready: Vec<Place>,
    used: Option<Instant>,
    /// When one of them could not be started.
    failed: Option<Instant>,
}

impl Kept {
    /// Whether it may be tried: each failure costs the run that waits for it.
    fn may_start(&self) -> bool {
        self.failed.is_none_or(|failed| failed.elapsed() > AGAIN_AFTER)
    }
}

#[derive(Clone)]
struct Interpreter {
    zygote: Arc<Zygote>,
    started: Instant,
    forks: u32,
}

/// What is wanted of a place.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) limits: Limits,
    pub(crate) sees: Vec<PathBuf>,
    /// Whether Python is to be in it.
    pub(crate) python: bool,
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
        let (kept, empty) = (Mutex::default(), Ready::new(usual, depth));
        Self { init, users, usual, kept, is_refilling: AtomicBool::new(false), empty, shown }
    }

    fn spec(&self, uid: u32, limits: &Limits) -> Spec {
        let mut spec = place::spec(self.init.clone(), uid, limits);
        spec.mounts.extend(self.shown.iter().cloned());
        spec
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, as warm as there is one. Blocks for as long as it takes to make it.
    pub(crate) fn take(&self, wanted: &Wanted) -> Result<Place, RunError> {
        if wanted.empty
            && let Some(place) = self.empty_for(wanted).and_then(Ready::take)
        {
            self.kept().used = Some(Instant::now());
            return Ok(place);
        }
        if !wanted.python {
            return self.cold(wanted);
        }
        // What waits has files of the usual size; all other limits are set when it starts.
        let fits = wanted.limits.disk_bytes == self.usual.disk_bytes && wanted.sees.is_empty() && !wanted.ai;
        let ready = if fits { self.ready() } else { None };
        match ready.or_else(|| self.forked(&wanted.limits, wanted.ai)) {
            Some(place) => Ok(place),
            None => self.cold(wanted),
        }
    }

    /// One of those that wait and still live.
    fn ready(&self) -> Option<Place> {
        let mut kept = self.kept();
        kept.used = Some(Instant::now());
        std::iter::from_fn(|| kept.ready.pop()).find(|place| place.waiting.lives())
    }

    /// A new one that the zygote has entered; none where there cannot be one at the moment.
    fn forked(&self, limits: &Limits, ai: bool) -> Option<Place> {
        let (nursery, zygote) = self.interpreter()?;
        let user = self.users.take()?;
        let spec = self.spec(user.uid(), limits);
        let spec = if ai { place::asking(spec) } else { spec };
        let made = nursery.prepare(&spec).and_then(|prepared| zygote.enter(prepared));
        match made {
            Ok(parked) => {
                if let Some(python) = &mut self.kept().python {
                    python.forks = python.forks.saturating_add(1);
                }
                Some(Place { waiting: Waiting::Parked(parked), user, start: Warmth::Fork })
            }
            Err(error) => {
                tracing::warn!(error = skylift_model::chain(&error), "a run is not forked from what is loaded");
                self.forget();
                None
            }
        }
    }

    /// Those that wait with nothing in them, where they are what is wanted.
    fn empty_for(&self, wanted: &Wanted) -> Option<&Ready> {
        Some(&self.empty).filter(|ready| wanted.sees.is_empty() && !wanted.ai && ready.fit(&wanted.limits))
    }

    /// Has others wait in place of what was taken. Not to be waited for by a run.
    pub(crate) fn refill(&self, wanted: &Wanted) {
        if wanted.python {
            self.refill_python();
        }
        if wanted.empty
            && let Some(ready) = self.empty_for(wanted)
        {
            ready.fill(|limits| self.empty(limits, false));
        }
    }

    /// A new one with nothing in it, from the nursery.
    fn empty(&self, limits: &Limits, ai: bool) -> Option<Place> {
        let nursery = self.nursery()?;
        let user = self.users.take()?;
        let spec = self.spec(user.uid(), limits);
        let mut spec = if ai { place::asking(spec) } else { spec };
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

    /// A new one with nothing in it.
    fn cold(&self, wanted: &Wanted) -> Result<Place, RunError> {
        let made = if wanted.sees.is_empty() { self.empty(&wanted.limits, wanted.ai) } else { None };
        if let Some(place) = made {
            return Ok(place);
        }
        let user = self.users.take().ok_or(RunError::NoUser)?;
        let spec = self.spec(user.uid(), &wanted.limits);
        let mut spec = if wanted.ai { place::asking(spec) } else { spec };
        spec.mounts.extend(wanted.sees.iter().map(|path| place::seen(path)));
        let prepared = skylift_sandbox::prepare(&spec)?;
        Ok(Place { waiting: Waiting::Prepared(prepared), user, start: Warmth::Cold })
    }

    /// The nursery, started where there is none.
    fn nursery(&self) -> Option<Arc<Nursery>> {
        let mut kept = self.kept();
        kept.used = Some(Instant::now());
        if kept.nursery.is_none() && kept.may_start() {
            let user = self.users.take()?;
            match Nursery::start(&self.spec(user.uid(), &self.usual)) {
                Ok(nursery) => kept.nursery = Some(Arc::new(nursery)),
                Err(error) => {
                    tracing::warn!(error = skylift_model::chain(&error), "every sandbox of a run is made by itself");
                    kept.failed = Some(Instant::now());
                }
            }
        }
        kept.nursery.clone()
    }

    /// Nursery and zygote; the latter is started where there is none.
    fn interpreter(&self) -> Option<(Arc<Nursery>, Arc<Zygote>)> {
        let nursery = self.nursery()?;
        let mut kept = self.kept();
        if kept.python.is_none() && kept.may_start() {
            match start(&nursery) {
                Ok(python) => kept.python = Some(python),
                Err(error) => {
                    tracing::warn!(error = skylift_model::chain(&error), "every run starts its own interpreter");
                    kept.failed = Some(Instant::now());
                }
            }
        }
        Some((nursery, kept.python.clone()?.zygote))
    }

    /// Has as many wait as there should be, beside; one at a time.
    fn refill_python(&self) {
        if self.is_refilling.swap(true, Ordering::AcqRel) {
            return;
        }
        self.renew();
        while self.kept().ready.len() < DEPTH {
            let Some(place) = self.forked(&self.usual, false) else { break };
            self.kept().ready.push(Place { start: Warmth::Pool, ..place });
        }
        self.is_refilling.store(false, Ordering::Release);
    }

    /// Replaces a zygote that has forked enough.
    fn renew(&self) {
        let is_old = |python: &Interpreter| python.forks >= ZYGOTE_FORKS_MAX || python.started.elapsed() > ZYGOTE_LASTS;
        let nursery = {
            let kept = self.kept();
            kept.python.as_ref().filter(|python| is_old(python)).and(kept.nursery.clone())
        };
        let Some(nursery) = nursery else { return };
        match start(&nursery) {
            Ok(python) => self.kept().python = Some(python),
            Err(error) => tracing::warn!(error = skylift_model::chain(&error), "the zygote is kept for longer"),
        }
    }

    /// What fails is not used again; the next run starts another.
    fn forget(&self) {
        let mut kept = self.kept();
        let gone = (kept.nursery.take(), kept.python.take(), std::mem::take(&mut kept.ready));
        drop(kept);
        drop(gone);
        self.empty.clear();
    }

    /// Lets go of everything where nobody has run anything for long.
    pub(crate) fn rest(&self) {
        let is_idle = self.kept().used.is_some_and(|used| used.elapsed() > IDLE);
        if is_idle {
            self.forget();
        }
    }
}

fn start(nursery: &Nursery) -> Result<Interpreter, SpawnError> {
    let zygote = Arc::new(Zygote::start(nursery, &ZygoteSpec::python())?);
    Ok(Interpreter { zygote, started: Instant::now(), forks: 0 })
}
