//! Places in which one interpreter waits, loaded: its zygote, and those that it has forked already.
//!
//! ```text
//! nothing ──(first run)──▶ a zygote, tried ──▶ some that wait ──(minutes without a run)──▶ nothing
//!                             └── replaced after a minute or many forks, since what it forks shares where its memory lies
//! ```
//!
//! No run waits for a zygote to start: until there is one, interpreters are started. Where there can be none, some are started ahead, for one run
//! each (`prestart`). Whatever fails here leaves that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_durable::{Defence, left_out};
use skylift_model::run::{Limits, Warmth};
use skylift_sandbox::{Nursery, SpawnError, Zygote, ZygoteSpec};

use crate::cells::{AGAIN_AFTER, Cells};
use crate::language::Warm;
use crate::memory;
use crate::packages::Seen;
use crate::place::{Place, Waiting};
use crate::prestart;
use crate::trial::{self, Trial};
use crate::tuner::Tuner;

/// When a zygote is replaced.
const ZYGOTE_FORKS_MAX: u32 = 1000;
const ZYGOTE_LASTS: Duration = Duration::from_secs(60);

pub(crate) struct Pool {
    warm: Warm,
    /// The packages that its places see.
    seen: Option<Seen>,
    /// What the tuner knows it by.
    label: String,
    kept: Mutex<Kept>,
    is_refilling: AtomicBool,
}

#[derive(Default)]
struct Kept {
    interpreter: Option<Interpreter>,
    ready: Vec<Place>,
    /// When there was last a run.
    used: Option<Instant>,
    /// When the zygote could not be started, where none was since.
    failed: Option<Instant>,
    /// Whether those that wait are started ahead.
    is_ahead: bool,
    /// Whether what the packages have to be loaded was found not to bear it.
    loads_nothing: bool,
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
        let label = warm.language().to_owned();
        Self { warm, seen: None, label, kept: Mutex::default(), is_refilling: AtomicBool::new(false) }
    }

    /// In places that see these packages.
    pub(crate) fn with_packages(seen: Seen) -> Self {
        Self { label: seen.label(), seen: Some(seen.clone()), ..Self::new(seen.warm) }
    }

    pub(crate) fn is_of(&self, warm: Warm) -> bool {
        self.warm == warm
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of those that wait, or else a new one; none where there cannot be one at the moment.
    pub(crate) fn take(&self, cells: &Cells, limits: &Limits, ai: bool) -> Option<Place> {
        let fits = |place: &Place| !ai && place.waiting.fits(limits, &cells.usual);
        self.ready(fits).or_else(|| self.forked(cells, limits, ai))
    }

    /// One of those that wait and still live.
    pub(crate) fn ready(&self, fits: impl Fn(&Place) -> bool) -> Option<Place> {
        let mut kept = self.kept();
        std::iter::from_fn(|| kept.ready.pop_if(|place| fits(place))).find(|place| place.waiting.lives())
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
        if self.start_told().is_some() {
            self.fill(cells, tuner);
        }
    }

    fn fill(&self, cells: &Cells, tuner: &Tuner) {
        if self.is_refilling.swap(true, Ordering::AcqRel) {
            return;
        }
        self.renew(cells);
        let language = self.label.as_str();
        let depth = tuner.depth(language);
        while self.kept().ready.len() < depth {
            let began = Instant::now();
            let Some(place) = self.one_more(cells) else { break };
            tuner.refilled(language, began.elapsed());
            self.kept().ready.push(place);
        }
        self.measure(tuner);
        let too_many = self.kept().too_many(depth);
        // Ending them takes a moment.
        drop(too_many);
        self.is_refilling.store(false, Ordering::Release);
    }

    /// One to wait: forked, or started ahead where nothing can be forked.
    fn one_more(&self, cells: &Cells) -> Option<Place> {
        let forked = self.forked(cells, &cells.usual, false).map(|place| Place { start: Warmth::Pool, ..place });
        let cannot_fork = || self.kept().failed.is_some();
        let ahead = || cannot_fork().then(|| prestart::start(self.warm, cells)).flatten();
        forked.or_else(|| ahead().inspect(|_| self.kept().is_ahead = true))
    }

    /// How its interpreter waits; nothing, where none does.
    pub(crate) fn start_told(&self) -> Option<Warmth> {
        let kept = self.kept();
        let is_forked = kept.interpreter.is_some();
        if is_forked { Some(Warmth::Fork) } else { kept.is_ahead.then_some(Warmth::Prestarted) }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Shows the tuner what takes memory.
    fn measure(&self, tuner: &Tuner) {
        let kept = self.kept();
        let loaded = kept.interpreter.as_ref().map(|interpreter| interpreter.zygote.pidfd());
        match kept.ready.last().map(|place| &place.waiting) {
            Some(Waiting::Parked(place)) if loaded.is_some() => tuner.measure(&self.label, loaded, place.pidfd()),
            Some(Waiting::Started(started)) => {
                started.payload_pidfd().into_iter().for_each(|place| tuner.measure(&self.label, None, place));
            }
            _ => {}
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
                let mut kept = self.kept();
                kept.failed = None;
                let former = kept.interpreter.replace(interpreter);
                drop(kept);
                drop(former);
            }
            Err(error) => {
                let error = skylift_model::chain(&error);
                tracing::warn!(error, interpreter = self.label, "an interpreter is started for each run");
                self.kept().failed = Some(Instant::now());
                self.forget_forks();
            }
        }
    }

    fn start(&self, nursery: Arc<Nursery>, cells: &Cells) -> Result<Interpreter, StartError> {
        if self.warm == Warm::Node && left_out(Defence::NodeFork) {
            return Err(StartError::LeftOut);
        }
        let mut spec = self.warm.zygote().ok_or(StartError::NotBuilt)?;
        let Some(seen) = &self.seen else { return self.start_as(nursery, cells, (spec, trial::of(self.warm))) };
        if !seen.set.preload.is_empty() && !self.kept().loads_nothing {
            let mut loading = spec.clone();
            seen.load(&mut loading, true);
            match self.start_as(nursery.clone(), cells, (loading, Some(trial::of_packages(&seen.set.preload)))) {
                Err(error) => {
                    let error = skylift_model::chain(&error);
                    tracing::warn!(error, set = seen.set.name, "packages are loaded by each run that imports them");
                    self.kept().loads_nothing = true;
                }
                started => return started,
            }
        }
        seen.load(&mut spec, false);
        self.start_as(nursery, cells, (spec, trial::of(self.warm)))
    }

    /// Starts one like this and tries it.
    fn start_as(
        &self,
        nursery: Arc<Nursery>,
        cells: &Cells,
        (spec, trial): (ZygoteSpec, Option<Trial>),
    ) -> Result<Interpreter, StartError> {
        let zygote = Zygote::start(&nursery, &spec)?;
        let enter = || {
            let (user, spec) = cells.spec(&cells.usual, false).ok_or(StartError::NoUser)?;
            Ok::<_, StartError>((zygote.enter(nursery.prepare(&spec)?)?, user))
        };
        if let Some(wanted) = trial {
            // What a fork has not, and might wait for.
            if let Some(threads) =
                memory::threads_of(zygote.pidfd()).filter(|_| self.warm == Warm::Python && self.seen.is_some())
                && threads > 1
            {
                return Err(StartError::Threads(threads));
            }
            trial::pass(&wanted, enter)?;
        }
        let (parked, _user) = enter()?;
        match trial::writes(&trial::of_writes(self.warm), parked) {
            Ok(writes) => zygote.expect_writes(&writes)?,
            Err(error) => {
                let error = skylift_model::chain(&error);
                tracing::debug!(error, interpreter = self.label, "where programs write to is not known");
            }
        }
        Ok(Interpreter { zygote: Arc::new(zygote), nursery, started: Instant::now(), forks: 0 })
    }

    /// What fails is not used again; the next run has another started.
    fn forget(&self) {
        let mut kept = self.kept();
        kept.is_ahead = false;
        let gone = (kept.interpreter.take(), std::mem::take(&mut kept.ready));
        drop(kept);
        drop(gone);
    }

    /// Lets go of the zygote and what it has forked.
    fn forget_forks(&self) {
        let mut kept = self.kept();
        let (started, forked) =
            std::mem::take(&mut kept.ready).into_iter().partition(|place| place.start == Warmth::Prestarted);
        kept.ready = started;
        let gone: (_, Vec<Place>) = (kept.interpreter.take(), forked);
        drop(kept);
        drop(gone);
    }

    /// Lets go of everything where nobody has run anything for that long; says whether it has anything left.
    pub(crate) fn rest(&self, idle: Duration) -> bool {
        if self.kept().used.is_some_and(|used| used.elapsed() > idle) {
            self.forget();
        }
        self.start_told().is_some()
    }
}

/// Why there is no zygote.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("this executable was built without what it takes")]
    NotBuilt,
    #[error("there is no user left to run as")]
    NoUser,
    #[error("a test leaves it out")]
    LeftOut,
    #[error("what it has loaded has started threads: it has {0}")]
    Threads(u32),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("try what it forks")]
    Trial(#[from] trial::Failed),
}
