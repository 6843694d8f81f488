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
use skylift_sandbox::Nursery;

use crate::cells::{AGAIN_AFTER, Cells};
use crate::interpreter::{Interpreter, StartError};
use crate::language::Warm;
use crate::packages::Seen;
use crate::place::{For, Place, Waiting};
use crate::prestart;
use crate::trial;
use crate::tuner::Tuner;

/// To make one takes longer than a short run, and is done by two processes one after the other, so that one at a time leaves a processor idle.
const MADE_AT_ONCE: usize = 2;

pub(crate) struct Pool {
    warm: Warm,
    /// The packages that its places see.
    seen: Option<Seen>,
    /// What the tuner knows it by.
    label: String,
    kept: Mutex<Kept>,
    is_renewing: AtomicBool,
}

#[derive(Default)]
struct Kept {
    interpreter: Option<Interpreter>,
    ready: Vec<Place>,
    /// How many are being made to wait.
    making: usize,
    /// When there was last a run.
    used: Option<Instant>,
    /// When the zygote could not be started, where none was since.
    failed: Option<Instant>,
    /// Whether those that wait are started ahead.
    is_ahead: bool,
    /// Whether what the packages have to be loaded was found not to bear it.
    loads_nothing: bool,
}

impl Kept {
    /// Whether one more is to be made, which is then counted.
    fn is_one_missing(&mut self, depth: usize) -> bool {
        let is_missing = self.making < MADE_AT_ONCE && self.ready.len() + self.making < depth;
        self.making += usize::from(is_missing);
        is_missing
    }

    fn too_many(&mut self, depth: usize) -> Vec<Place> {
        self.ready.split_off(depth.min(self.ready.len()))
    }
}

/// One that is being made, whatever becomes of it.
struct Counted<'a>(&'a Pool);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut kept = self.0.kept();
        kept.making = kept.making.saturating_sub(1);
    }
}

impl Pool {
    pub(crate) fn new(warm: Warm) -> Self {
        let label = warm.language().to_owned();
        Self { warm, seen: None, label, kept: Mutex::default(), is_renewing: AtomicBool::new(false) }
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
        self.ready(fits).or_else(|| self.forked(cells, limits, For::Run { ai }))
    }

    /// One of those that wait and still live.
    pub(crate) fn ready(&self, fits: impl Fn(&Place) -> bool) -> Option<Place> {
        let mut kept = self.kept();
        std::iter::from_fn(|| kept.ready.pop_if(|place| fits(place))).find(|place| place.waiting.lives())
    }

    /// A new one that the zygote has entered.
    fn forked(&self, cells: &Cells, limits: &Limits, whom: For) -> Option<Place> {
        let Interpreter { zygote, nursery, .. } = self.kept().interpreter.clone()?;
        let (user, spec) = cells.spec(limits, whom)?;
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

    /// Has as many wait as there should be, beside; few at a time. Not to be waited for by a run.
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
        if !self.is_renewing.swap(true, Ordering::AcqRel) {
            self.renew(cells);
            self.is_renewing.store(false, Ordering::Release);
        }
        let language = self.label.as_str();
        let depth = tuner.depth(language);
        while self.kept().is_one_missing(depth) {
            let (began, counted) = (Instant::now(), Counted(self));
            let Some(place) = self.one_more(cells) else { break };
            self.kept().ready.push(place);
            drop(counted);
            tuner.refilled(language, began.elapsed());
        }
        self.measure(tuner);
        let too_many = self.kept().too_many(depth);
        // Ending them takes a moment.
        drop(too_many);
    }

    /// One to wait: forked, or started ahead where nothing can be forked.
    fn one_more(&self, cells: &Cells) -> Option<Place> {
        let forked = self.forked(cells, &cells.usual, For::Later).map(|place| Place { start: Warmth::Pool, ..place });
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
        let Some(seen) = &self.seen else {
            return Interpreter::start(nursery, cells, (self.warm, &spec, &trial::of(self.warm)));
        };
        if !seen.set.preload.is_empty() && !self.kept().loads_nothing {
            let mut loading = spec.clone();
            seen.load(&mut loading, true);
            let of_packages = trial::of_packages(&seen.set.preload);
            match Interpreter::start(nursery.clone(), cells, (self.warm, &loading, &of_packages)) {
                Err(error) => {
                    let error = skylift_model::chain(&error);
                    tracing::warn!(error, set = seen.set.name, "packages are loaded by each run that imports them");
                    self.kept().loads_nothing = true;
                }
                started => return started,
            }
        }
        seen.load(&mut spec, false);
        Interpreter::start(nursery, cells, (self.warm, &spec, &trial::of(self.warm)))
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
