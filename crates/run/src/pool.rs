//! Places in which one interpreter waits, loaded: its zygote, and those that it has forked already.
//!
//! ```text
//! nothing ──(first run)──▶ a zygote, tried ──▶ some that wait ──(minutes without a run)──▶ nothing
//!                             └── replaced after a minute or many forks, since what it forks shares where its memory lies
//! ```
//!
//! No run waits for a zygote to start: until there is one, interpreters are started. Whatever fails here leaves that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_model::run::{Limits, Warmth};
use skylift_sandbox::{Nursery, SpawnError, Zygote};

use crate::cells::{AGAIN_AFTER, Cells};
use crate::language::Warm;
use crate::place::{Place, Waiting};
use crate::trial;
use crate::tuner::Tuner;

/// When a zygote is replaced.
const ZYGOTE_FORKS_MAX: u32 = 1000;
const ZYGOTE_LASTS: Duration = Duration::from_secs(60);

pub(crate) struct Pool {
    warm: Warm,
    kept: Mutex<Kept>,
    is_refilling: AtomicBool,
}

#[derive(Default)]
struct Kept {
    interpreter: Option<Interpreter>,
    ready: Vec<Place>,
    /// When there was last a run.
    used: Option<Instant>,
    /// When the zygote could not be started.
    failed: Option<Instant>,
}

#[derive(Clone)]
struct Interpreter {
    zygote: Arc<Zygote>,
    /// What makes the sandboxes that it can enter.
    nursery: Arc<Nursery>,
    started: Instant,
    forks: u32,
}

impl Kept {
    fn too_many(&mut self, depth: usize) -> Vec<Place> {
        self.ready.split_off(depth.min(self.ready.len()))
    }
}

impl Interpreter {
    fn is_worn(&self) -> bool {
        self.forks >= ZYGOTE_FORKS_MAX || self.started.elapsed() > ZYGOTE_LASTS
    }
}

impl Pool {
    pub(crate) fn new(warm: Warm) -> Self {
        Self { warm, kept: Mutex::default(), is_refilling: AtomicBool::new(false) }
    }

    pub(crate) fn is_of(&self, warm: Warm) -> bool {
        self.warm == warm
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of those that wait, or else a new one; none where there cannot be one at the moment.
    pub(crate) fn take(&self, cells: &Cells, limits: &Limits, ai: bool) -> Option<Place> {
        // What waits has files of the usual size; all other limits are set when it starts.
        let fits = limits.disk_bytes == cells.usual.disk_bytes && !ai;
        let ready = if fits { self.ready() } else { None };
        ready.or_else(|| self.forked(cells, limits, ai))
    }

    /// One of those that wait and still live.
    pub(crate) fn ready(&self) -> Option<Place> {
        let mut kept = self.kept();
        std::iter::from_fn(|| kept.ready.pop()).find(|place| place.waiting.lives())
    }

    /// A new one that the zygote has entered.
    fn forked(&self, cells: &Cells, limits: &Limits, ai: bool) -> Option<Place> {
        let Interpreter { zygote, nursery, .. } = self.kept().interpreter.clone()?;
        let (user, spec) = cells.spec(limits, ai)?;
        let prepared = match nursery.prepare(&spec) {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::warn!(error = skylift_model::chain(&error), "a sandbox is made without the nursery");
                cells.forget();
                self.forget();
                return None;
            }
        };
        match zygote.enter(prepared) {
            Ok(parked) => {
                if let Some(interpreter) = &mut self.kept().interpreter {
                    interpreter.forks = interpreter.forks.saturating_add(1);
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

    /// Has as many wait as there should be, beside; one at a time. Not to be waited for by a run.
    pub(crate) fn refill(&self, cells: &Cells, tuner: &Tuner) {
        self.kept().used = Some(Instant::now());
        self.fill(cells, tuner);
    }

    /// The same where nobody runs anything now: only where an interpreter is loaded.
    pub(crate) fn retune(&self, cells: &Cells, tuner: &Tuner) {
        if self.kept().interpreter.is_some() {
            self.fill(cells, tuner);
        }
    }

    fn fill(&self, cells: &Cells, tuner: &Tuner) {
        if self.is_refilling.swap(true, Ordering::AcqRel) {
            return;
        }
        self.renew(cells);
        let language = self.warm.language();
        let depth = tuner.depth(language);
        while self.kept().ready.len() < depth {
            let began = Instant::now();
            let Some(place) = self.forked(cells, &cells.usual, false) else { break };
            tuner.refilled(language, began.elapsed());
            self.kept().ready.push(Place { start: Warmth::Pool, ..place });
        }
        self.measure(tuner);
        let too_many = self.kept().too_many(depth);
        // Ending them takes a moment.
        drop(too_many);
        self.is_refilling.store(false, Ordering::Release);
    }

    /// Shows the tuner what takes memory.
    fn measure(&self, tuner: &Tuner) {
        let kept = self.kept();
        let waiting = kept.ready.last().map(|place| &place.waiting);
        if let (Some(interpreter), Some(Waiting::Parked(place))) = (&kept.interpreter, waiting) {
            tuner.measure(self.warm.language(), interpreter.zygote.pidfd(), place.pidfd());
        }
    }

    /// Starts a zygote where there is none, or one that has forked enough.
    fn renew(&self, cells: &Cells) {
        let is_wanted = {
            let kept = self.kept();
            let may_start = kept.failed.is_none_or(|failed| failed.elapsed() > AGAIN_AFTER);
            may_start && kept.interpreter.as_ref().is_none_or(Interpreter::is_worn)
        };
        let Some(nursery) = is_wanted.then(|| cells.nursery()).flatten() else { return };
        match self.start(nursery, cells) {
            Ok(interpreter) => {
                let former = self.kept().interpreter.replace(interpreter);
                drop(former);
            }
            Err(error) => {
                let error = skylift_model::chain(&error);
                tracing::warn!(error, interpreter = ?self.warm, "an interpreter is started for each run");
                self.kept().failed = Some(Instant::now());
                self.forget();
            }
        }
    }

    fn start(&self, nursery: Arc<Nursery>, cells: &Cells) -> Result<Interpreter, StartError> {
        let spec = self.warm.zygote().ok_or(StartError::NotBuilt)?;
        let zygote = Zygote::start(&nursery, &spec)?;
        let enter = || {
            let (user, spec) = cells.spec(&cells.usual, false).ok_or(StartError::NoUser)?;
            Ok::<_, StartError>((zygote.enter(nursery.prepare(&spec)?)?, user))
        };
        if let Some(wanted) = trial::of(self.warm) {
            trial::pass(&wanted, enter)?;
        }
        let (parked, _user) = enter()?;
        match trial::writes(&trial::of_writes(self.warm), parked) {
            Ok(writes) => zygote.expect_writes(&writes)?,
            Err(error) => {
                let error = skylift_model::chain(&error);
                tracing::debug!(error, interpreter = ?self.warm, "where programs write to is not known");
            }
        }
        Ok(Interpreter { zygote: Arc::new(zygote), nursery, started: Instant::now(), forks: 0 })
    }

    /// What fails is not used again; the next run has another started.
    fn forget(&self) {
        let mut kept = self.kept();
        let gone = (kept.interpreter.take(), std::mem::take(&mut kept.ready));
        drop(kept);
        drop(gone);
    }

    /// Lets go of everything where nobody has run anything for that long; says whether it has anything left.
    pub(crate) fn rest(&self, idle: Duration) -> bool {
        if self.kept().used.is_some_and(|used| used.elapsed() > idle) {
            self.forget();
        }
        self.kept().interpreter.is_some()
    }
}

/// Why there is no zygote.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("this executable was built without what it takes")]
    NotBuilt,
    #[error("there is no user left to run as")]
    NoUser,
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("try what it forks")]
    Trial(#[from] trial::Failed),
}
