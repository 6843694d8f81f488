//! A job from its beginning to its end.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use skylift_model::run::{Compiled, Ending, File, Job, LimitsKnown, RunStatus, Step, Taken, Warmth};
use skylift_sandbox::{InitFile, SpawnError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::attached::Attached;
use crate::catalogue::{Catalogue, Found};
use crate::folder::{self, Most, TakeError};
use crate::language::{BOX, BUILT, Warm};
use crate::outputs;
use crate::place::{self, Place};
use crate::places::{Places, Wanted};
use crate::step::{self, Ended, Leaves};

/// What a compiler may leave.
const BUILT_MOST: Most = Most { files: 1000, bytes: 64 << 20 };
/// What a run may hand back.
const OUTPUTS_MOST: Most = Most { files: 64, bytes: 8 << 20 };

/// Why a job was not run. Ours, not the code's.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("`{0}` is not here")]
    NoLanguage(String),
    #[error("there is no user left to run as")]
    NoUser,
    #[error("make a sandbox")]
    Spawn(#[from] SpawnError),
    #[error("put files into a sandbox")]
    Put(#[source] io::Error),
    #[error("watch a run")]
    Watch(#[from] io::Error),
    #[error("the platform is shutting down")]
    Interrupted,
}

/// That a job is one of those that may run at a time; given back with the last of it.
pub(crate) type Turn = Arc<OwnedSemaphorePermit>;

/// Runs jobs on this machine, some at a time.
pub struct Runner {
    catalogue: Catalogue,
    limits: LimitsKnown,
    places: Arc<Places>,
    turns: Arc<Semaphore>,
}

impl Runner {
    /// One that runs `at_once` jobs at a time.
    pub fn new(catalogue: Catalogue, limits: LimitsKnown, init: Option<InitFile>, at_once: usize) -> Arc<Self> {
        let places = Arc::new(Places::new(init, limits.usual));
        tokio::spawn(rest_now_and_then(Arc::downgrade(&places)));
        Arc::new(Self { catalogue, limits, places, turns: Arc::new(Semaphore::new(at_once)) })
    }

    /// What can be run.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
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
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| RunError::Interrupted)?;
        let turn = Arc::new(turn);
        let taken = Instant::now();
        let found = self.catalogue.found(&job.language).ok_or_else(|| RunError::NoLanguage(job.language.clone()))?;
        let mut ending = Ending {
            compile: None,
            steps: Vec::with_capacity(job.stdins.len()),
            files: Vec::new(),
            start: Warmth::Cold,
            waited_us: micros(taken - asked),
            dispatch_us: 0,
            version: found.told.version.clone(),
        };
        let mut built = Vec::new();
        if let Some(argv) = found.language.compile(job) {
            let (step, files) = self.compile(job, found, argv, turn.clone()).await?;
            attached.compiled(&step);
            let is_done = step.status == RunStatus::Ok;
            ending.compile = Some(Compiled { step, cached: false });
            if !is_done {
                return Ok(ending);
            }
            built = files;
        }
        for (run, stdin) in job.stdins.iter().enumerate() {
            let ended = self.start(job, found, &built, (stdin.clone(), &mut attached), turn.clone()).await?;
            if run == 0 {
                ending.dispatch_us = micros(ended.started - taken);
                ending.start = ended.start;
            }
            let Ended { step, folder, .. } = ended;
            ending.files.extend(left(folder, job).await?.into_iter().map(|file| Taken { file, run }));
            ending.steps.push(step);
        }
        Ok(ending)
    }

    /// Compiles, and takes what was built. A compiler that ended well but left too much has not compiled.
    async fn compile(
        &self,
        job: &Job,
        found: &Found,
        argv: Vec<String>,
        turn: Turn,
    ) -> Result<(Step, Vec<File>), RunError> {
        let limits = job.compile_limits.unwrap_or(self.limits.compile);
        let wanted = Wanted { limits, sees: found.sees.clone(), python: false };
        let place = self.place(wanted, job.files.clone(), Vec::new()).await?;
        let order = place::order(argv, env(found, &[]), &limits);
        let Ended { mut step, folder, .. } =
            step::run(place, order, (Vec::new(), Leaves::Folder, &mut Attached::default()), &limits, turn).await?;
        let Some(folder) = folder.filter(|_| step.status == RunStatus::Ok) else {
            return Ok((refused(step), Vec::new()));
        };
        let taken =
            spawn_blocking(move || folder::take(folder.as_fd(), BUILT_MOST, |path| path.below(BUILT).is_some()));
        match taken.await.map_err(|_| RunError::Interrupted)? {
            Ok(files) => Ok((step, files)),
            Err(TakeError::Read(error)) => Err(error.into()),
            Err(error) => {
                step.stderr.extend(format!("what was built is too large: {error}\n").into_bytes());
                Ok((refused(step), Vec::new()))
            }
        }
    }

    async fn start(
        &self,
        job: &Job,
        found: &Found,
        built: &[File],
        (stdin, attached): (Vec<u8>, &mut Attached),
        turn: Turn,
    ) -> Result<Ended, RunError> {
        if found.language.warm == Some(Warm::Python) {
            match self.start_in(job, found, built, (stdin.clone(), attached), (true, turn.clone())).await {
                // What waited was killed meanwhile. Nothing of the user's has run.
                Err(error @ (RunError::Spawn(_) | RunError::Put(_))) => {
                    tracing::warn!(error = skylift_model::chain(&error), "a run starts its own interpreter");
                }
                done => return done,
            }
        }
        self.start_in(job, found, built, (stdin, attached), (false, turn)).await
    }

    /// In a sandbox in which Python is loaded, or one with nothing in it.
    async fn start_in(
        &self,
        job: &Job,
        found: &Found,
        built: &[File],
        (stdin, attached): (Vec<u8>, &mut Attached),
        (python, turn): (bool, Turn),
    ) -> Result<Ended, RunError> {
        let wanted = Wanted { limits: job.limits, sees: found.sees.clone(), python };
        let place = self.place(wanted, job.files.clone(), built.to_vec()).await?;
        let order = place::order(found.language.run(job), env(found, &job.env), &job.limits);
        if python {
            self.refill();
        }
        let leaves = if job.outputs.is_empty() { Leaves::Nothing } else { Leaves::Folder };
        step::run(place, order, (stdin, leaves, attached), &job.limits, turn).await
    }

    /// A fresh sandbox with the files of a job in it.
    async fn place(&self, wanted: Wanted, files: Vec<File>, built: Vec<File>) -> Result<Place, RunError> {
        let places = self.places.clone();
        let made = spawn_blocking(move || {
            let place = places.take(&wanted)?;
            let (folder, owner) = (place.waiting.folder(), place.user.uid());
            let put = folder::put(folder, &files, owner, false)
                .and_then(|()| folder::make_folder(folder, BUILT, owner))
                .and_then(|()| folder::put(folder, &built, owner, true));
            put.map_err(RunError::Put)?;
            Ok(place)
        });
        made.await.map_err(|_| RunError::Interrupted)?
    }

    /// Has others wait in place of what was taken.
    fn refill(&self) {
        let places = self.places.clone();
        spawn_blocking(move || places.refill());
    }
}

/// How often it is looked whether anybody still runs anything.
const LOOK_EVERY: Duration = Duration::from_secs(10);

async fn rest_now_and_then(places: Weak<Places>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(places) = places.upgrade() else { return };
        // Ending processes blocks.
        let _ = spawn_blocking(move || places.rest()).await;
    }
}

/// What it did not compile for is told by the compiler's own status where that is a limit.
fn refused(step: Step) -> Step {
    let status = match step.status {
        RunStatus::Ok | RunStatus::ExitNonzero | RunStatus::Signal => RunStatus::CompileError,
        limit => limit,
    };
    Step { status, ..step }
}

/// The files that a run left, of those that are wanted. Those of one that left too much are not told: which of them would be chance.
async fn left(folder: Option<OwnedFd>, job: &Job) -> Result<Vec<File>, RunError> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let wanted = outputs::wanted(&job.outputs);
    let taken = spawn_blocking(move || folder::take(folder.as_fd(), OUTPUTS_MOST, wanted));
    match taken.await.map_err(|_| RunError::Interrupted)? {
        Ok(files) => Ok(files),
        Err(TakeError::Read(error)) => Err(error.into()),
        Err(error) => {
            tracing::debug!(run = job.id.as_str(), %error, "what a run left is not returned");
            Ok(Vec::new())
        }
    }
}

/// What every run has, what its language has, what it was sent with.
fn env(found: &Found, sent: &[(skylift_model::EnvName, String)]) -> BTreeMap<String, String> {
    let every = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", BOX), ("LANG", "C.UTF-8"), ("TMPDIR", "/tmp")];
    let mut env: BTreeMap<String, String> = every.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    env.extend(found.language.env.clone());
    env.extend(sent.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())));
    env
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
