//! A loaded interpreter, once it was tried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skylift_sandbox::{Nursery, Parked, SpawnError, Zygote, ZygoteSpec};

use crate::cells::Cells;
use crate::language::Warm;
use crate::memory;
use crate::place::{For, User};
use crate::trial::{self, Trial};

/// When a zygote is replaced.
const FORKS_MAX: u32 = 1000;
const LASTS: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Interpreter {
    pub(crate) zygote: Arc<Zygote>,
    /// What makes the sandboxes that it can enter.
    pub(crate) nursery: Arc<Nursery>,
    started: Instant,
    pub(crate) forks: u32,
}

impl Interpreter {
    /// Starts one like this and tries it.
    pub(crate) fn start(
        nursery: Arc<Nursery>,
        cells: &Cells,
        (warm, spec, trial): (Warm, &ZygoteSpec, &Trial),
    ) -> Result<Self, StartError> {
        let zygote = Zygote::start(&nursery, spec)?;
        // What a fork has not, and might wait for. Node's know how to go on without them.
        let threads = memory::threads_of(zygote.pidfd()).filter(|_| warm == Warm::Python);
        if let Some(threads) = threads.filter(|threads| *threads > 1) {
            return Err(StartError::Threads(threads));
        }
        let interpreter = Self { zygote: Arc::new(zygote), nursery, started: Instant::now(), forks: 0 };
        trial::pass(trial, || interpreter.fork(cells))?;
        interpreter.learn_writes(warm, cells)?;
        Ok(interpreter)
    }

    /// What it forks has most of what it will write to before it begins.
    fn learn_writes(&self, warm: Warm, cells: &Cells) -> Result<(), StartError> {
        let (parked, _user) = self.fork(cells)?;
        match trial::writes(&trial::of_writes(warm), parked) {
            Ok(writes) => self.zygote.expect_writes(&writes)?,
            Err(error) => {
                let error = skylift_model::chain(&error);
                tracing::warn!(
                    error,
                    interpreter = warm.language(),
                    "programs begin later: where they write to is not known"
                );
            }
        }
        Ok(())
    }

    fn fork(&self, cells: &Cells) -> Result<(Parked, User), StartError> {
        let (user, spec) = cells.spec(&cells.usual, For::Later).ok_or(StartError::NoUser)?;
        Ok((self.zygote.enter(self.nursery.prepare(&spec)?)?, user))
    }

    pub(crate) fn is_worn(&self) -> bool {
        self.forks >= FORKS_MAX || self.started.elapsed() > LASTS
    }
}

/// Why there is none.
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
