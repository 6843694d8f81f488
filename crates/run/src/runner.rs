//! A job from its beginning to its end.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use skylift_model::run::{Ending, Job, LimitsKnown, Taken, Warmth};
use skylift_model::wire::TunerTold;
use skylift_sandbox::{InitFile, SpawnError};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::ai::{self, Models};
use crate::attached::Attached;
use crate::begin::Begin;
use crate::catalogue::{Catalogue, Found};
use crate::compilers::Compilers;
use crate::folder::{self, Left, Most};
use crate::headers::Headers;
use crate::language::Warm;
use crate::outputs;
use crate::packages::{Packages, Seen};
use crate::place::{self, Users};
use crate::places::{Places, Wanted};
use crate::programs::{Built, Flights, Programs};
use crate::sets::Sets;
use crate::step::{self, Ended, Leaves};
use crate::tuner::Tuner;
use crate::turn::{JobsTurn, Turn};
use crate::turns::Turns;
use crate::upkeep;

/// What a run may hand back, of all its inputs together.
const OUTPUTS_MOST: Most = Most { files: 64, bytes: 8 << 20 };

/// Why a job was not run. Ours, not the code's.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("`{0}` is not here")]
    NoLanguage(String),
    #[error("nobody answers for models here")]
    NoModels,
    /// Why its packages cannot be had, for who sent it.
    #[error("{0}")]
    NoPackages(String),
    #[error("there is no user left to run as")]
    NoUser,
    #[error("make a sandbox")]
    Spawn(#[from] SpawnError),
    #[error("put files into a sandbox")]
    Put(#[source] io::Error),
    #[error("what the run was forked from was killed")]
    Vanished,
    /// The same, of one that was talked to: it cannot be begun anew.
    #[error("what the run was forked from was killed in the middle of a conversation")]
    BrokenOff,
    #[error("watch a run")]
    Watch(#[from] io::Error),
    #[error("the processor time that its key may use in a day was used up before it ended")]
    UsedUp,
    #[error("the platform is shutting down")]
    Interrupted,
}

/// How many sandboxes wait for programs with nothing in them.
const DEPTH: usize = 2;

/// What is kept from one run for the next; without it, everything is done each time.
#[derive(Debug, Default)]
pub struct Kept {
    /// What was compiled.
    pub programs: Option<Programs>,
    /// Headers that compilers have read.
    pub headers: Option<Headers>,
    /// How much memory everything that waits with an interpreter in it may take, in bytes, where the owner says so.
    pub pool_bytes_max: Option<u64>,
}

/// Runs jobs on this machine, some at a time.
pub struct Runner {
    catalogue: Catalogue,
    places: Arc<Places>,
    pub(crate) compilers: Arc<Compilers>,
    pub(crate) programs: Option<Arc<Programs>>,
    pub(crate) flights: Flights,
    turns: Turns,
    models: OnceLock<Arc<dyn Models>>,
    packages: OnceLock<Arc<dyn Packages>>,
    sets: Arc<Sets>,
}

/// Where a run is run.
struct At {
    places: Arc<Places>,
    /// The packages that it sees there.
    seen: Option<Seen>,
    /// What the tuner knows it by.
    label: String,
}

impl Runner {
    /// One that runs `at_once` jobs at a time.
    pub fn new(
        catalogue: Catalogue,
        limits: LimitsKnown,
        init: Option<InitFile>,
        (at_once, kept): (usize, Kept),
    ) -> Arc<Self> {
        let (users, Kept { programs, headers, pool_bytes_max }) = (Users::default(), kept);
        let tuner = Arc::new(Tuner::new(limits.usual.memory_bytes).with_memory(pool_bytes_max));
        let places = Places::new(init.clone(), users.clone(), (limits.usual, DEPTH), Vec::new());
        let places = Arc::new(places.with_tuner(tuner.clone()));
        let sets = Arc::new(Sets::new(init.clone(), users.clone(), limits.usual, tuner));
        let compilers = Arc::new(Compilers::new(init, users, limits.compile, headers));
        for places in [&places, compilers.places()] {
            tokio::spawn(upkeep::rest_now_and_then(Arc::downgrade(places)));
        }
        tokio::spawn(upkeep::rest_sets_now_and_then(Arc::downgrade(&sets)));
        tokio::spawn(upkeep::tune_now_and_then((Arc::downgrade(&places), Arc::downgrade(&sets))));
        let (programs, flights) = (programs.map(Arc::new), Flights::default());
        let (turns, models, packages) = (Turns::new(at_once), OnceLock::new(), OnceLock::new());
        Arc::new(Self { catalogue, places, compilers, programs, flights, turns, models, packages, sets })
    }

    /// Has runs that may ask models be answered by these. Said once.
    pub fn set_models(&self, models: Arc<dyn Models>) {
        let _ = self.models.set(models);
    }

    /// Has runs see packages of these. Said once.
    pub fn set_packages(&self, packages: Arc<dyn Packages>) {
        let _ = self.packages.set(packages);
    }

    /// How the interpreter of a language waits for runs without packages; nothing, where none does.
    pub fn start_of(&self, language: &str) -> Option<Warmth> {
        self.places.start_of(language)
    }

    /// Leaves these defences out of every sandbox that is made from now on. Said once, before the first run, and by tests alone.
    #[cfg(feature = "weaken")]
    #[doc(hidden)]
    pub fn weaken(&self, defences: &[skylift_sandbox::Defence]) {
        self.places.weaken(defences);
        self.compilers.places().weaken(defences);
    }

    /// What can be run.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// How warm languages are kept, and why; nothing before the first run.
    pub fn tuned(&self) -> Option<TunerTold> {
        self.places.tuner.told()
    }

    /// How many jobs it runs at the moment.
    pub fn running(&self) -> usize {
        self.turns.taken()
    }

    /// Whether a text says which files are wanted.
    pub fn is_glob(text: &str) -> bool {
        outputs::is_glob(text)
    }

    /// Waits for its turn, and runs a job to its end. To drop it is to kill what runs.
    ///
    /// # Errors
    /// Where it could not be run. Whatever the code does is an ending.
    pub async fn run(&self, job: &Job, mut attached: Attached) -> Result<Ending, RunError> {
        let asked = Instant::now();
        let found = self.catalogue.found(&job.language).ok_or_else(|| RunError::NoLanguage(job.language.clone()))?;
        // Packages may have to be made first: who waits for that takes nobody's turn.
        let at = self.at(job, found).await?;
        let held = self.turns.take(job.sender.as_ref()).await.ok_or(RunError::Interrupted)?;
        let turn = Arc::new(JobsTurn::new(held, attached.spent.clone(), attached.purse.clone()));
        turn.pay().await?;
        let taken = Instant::now();
        let mut ending = Ending {
            compile: None,
            steps: Vec::with_capacity(job.stdins.len()),
            files: Vec::new(),
            files_truncated: false,
            start: Warmth::Cold,
            waited_us: micros(taken - asked),
            dispatch_us: 0,
            version: found.told.version.clone(),
        };
        let mut built = None;
        if let Some(argv) = found.language.compile(job) {
            let (compiled, program) = self.compiled(job, found, argv, turn.clone()).await?;
            attached.compiled(&compiled.step);
            ending.compile = Some(compiled);
            if program.is_none() {
                return Ok(ending);
            }
            built = program;
        }
        if job.stdins.len() > 1 {
            // What each printed is told with its end: which of them prints could not be heard.
            attached.began();
            attached.listener = None;
        }
        let mut room = OUTPUTS_MOST;
        for (run, stdin) in job.stdins.iter().enumerate() {
            if run > 0 || built.is_some() {
                turn.pay().await?;
            }
            let waited = if run == 0 { taken - asked } else { Duration::ZERO };
            let tuner = &self.places.tuner;
            tuner.asked(&at.label, found.language.waits(), waited);
            let on = (&at, stdin.clone(), &mut attached);
            let ended = self.start(job, found, built.as_ref(), on, turn.clone()).await?;
            tuner.ended(&at.label, ended.start, &ended.step);
            if run == 0 {
                ending.dispatch_us = micros(ended.started - taken);
                ending.start = ended.start;
            }
            let Ended { step, folder, .. } = ended;
            let Left { files, is_all } = left(folder, job, &mut room).await?;
            ending.files.extend(files.into_iter().map(|file| Taken { file, run }));
            ending.files_truncated |= !is_all;
            ending.steps.push(step);
        }
        Ok(ending)
    }

    /// Where a job is run: with others of its language, or, where it asks for packages, with those that see the same.
    async fn at(&self, job: &Job, found: &Found) -> Result<At, RunError> {
        let language = &found.language;
        let Some(name) = &job.packages else {
            return Ok(At { places: self.places.clone(), seen: None, label: language.name.clone() });
        };
        let none = || RunError::NoPackages(format!("there is no set of packages `{name}` for {} here", language.name));
        let (packages, warm) = self.packages.get().zip(language.interpreter()).ok_or_else(none)?;
        let set = packages.find(&language.name, name).await.map_err(RunError::NoPackages)?;
        let seen = Seen { set, warm };
        Ok(At { places: self.sets.of(&seen), label: seen.label(), seen: Some(seen) })
    }

    async fn start(
        &self,
        job: &Job,
        found: &Found,
        built: Option<&Arc<Built>>,
        (at, stdin, attached): (&At, Vec<u8>, &mut Attached),
        turn: Turn,
    ) -> Result<Ended, RunError> {
        let (warm, empty) = (at.warm_for(job, found), found.language.is_compiled());
        match self.start_in(job, found, built, (at, stdin.clone(), attached), (warm, empty, turn.clone())).await {
            Err(error) if is_of_the_place(&error) => {
                tracing::warn!(
                    error = skylift_model::chain(&error),
                    "a run is begun anew in a sandbox that is made for it"
                );
            }
            done => return step::told_if_full(done),
        }
        step::told_if_full(self.start_in(job, found, built, (at, stdin, attached), (None, false, turn)).await)
    }

    /// In a sandbox that waits, with an interpreter loaded or with nothing in it; or in one that is made now.
    async fn start_in(
        &self,
        job: &Job,
        found: &Found,
        built: Option<&Arc<Built>>,
        (at, stdin, attached): (&At, Vec<u8>, &mut Attached),
        (warm, empty, turn): (Option<Warm>, bool, Turn),
    ) -> Result<Ended, RunError> {
        let models = match &job.ai {
            Some(key) => Some((self.models.get().ok_or(RunError::NoModels)?.clone(), key.clone())),
            None => None,
        };
        let wanted = Wanted { limits: job.limits, sees: found.sees.clone(), warm, empty, ai: models.is_some() };
        let mut env = found.language.env_of(&job.env);
        env.extend(at.seen.iter().flat_map(|seen| seen.env(&job.env)));
        env.extend(models.is_some().then(ai::url));
        let order = place::order(found.language.run(job), env, &job.limits);
        let (files, built) = (job.files.clone(), built.cloned());
        let is_compiled = found.language.is_compiled();
        let begun = Begin { wanted: wanted.clone(), files, built, is_compiled, order }.start(&at.places).await?;
        if warm.is_some() || empty {
            refill(at.places.clone(), wanted);
        }
        let leaves = if job.outputs.is_empty() { Leaves::Nothing } else { Leaves::Folder };
        step::run(begun, (stdin, leaves, attached), &job.limits, (turn, models)).await
    }

    /// Has others wait in place of what was taken, or is about to be.
    pub(crate) fn refill(&self, wanted: Wanted) {
        refill(self.places.clone(), wanted);
    }
}

impl At {
    /// Which loaded interpreter can run a job there.
    fn warm_for(&self, job: &Job, found: &Found) -> Option<Warm> {
        let is_heeded = |seen: &Seen| job.env.iter().any(|(name, _)| seen.heeds(name));
        found.language.warm_for(job).filter(|_| !self.seen.as_ref().is_some_and(is_heeded))
    }
}

fn refill(places: Arc<Places>, wanted: Wanted) {
    spawn_blocking(move || places.refill(&wanted));
}

/// Whether what waited, or what it was forked from, was killed meanwhile. Nothing of the user's has run then, or it had nothing to reach: it
/// may run again.
pub(crate) fn is_of_the_place(error: &RunError) -> bool {
    matches!(error, RunError::Spawn(_) | RunError::Put(_) | RunError::Vanished) && !step::is_full(error)
}

/// The files that a start of the program left, of those that are wanted: what fits into what may still be handed back.
async fn left(folder: Option<OwnedFd>, job: &Job, room: &mut Most) -> Result<Left, RunError> {
    let Some(folder) = folder else { return Ok(Left { files: Vec::new(), is_all: true }) };
    let (wanted, most) = (outputs::wanted(&job.outputs), *room);
    let taken = spawn_blocking(move || folder::take(folder.as_fd(), most, wanted));
    let left = taken.await.map_err(|_| RunError::Interrupted)??;
    room.files = room.files.saturating_sub(left.files.len());
    room.bytes = room.bytes.saturating_sub(left.files.iter().map(|file| file.bytes.len()).sum());
    Ok(left)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
