//! From a job to its compiled program: one that is there, or one that is made now, in a sandbox of its own.

use std::os::fd::AsFd;
use std::sync::Arc;

use skylift_model::Digest;
use skylift_model::run::{Compiled, Job, RunStatus, Step};
use tokio::task::spawn_blocking;

use crate::attached::Attached;
use crate::catalogue::Found;
use crate::folder::{self, Most, TakeError};
use crate::language::BUILT;
use crate::place;
use crate::places::Wanted;
use crate::programs::{self, Built, Made, Programs};
use crate::runner::{RunError, Runner, Turn, env, is_of_the_place};
use crate::step::{self, Ended, Leaves};

/// What a compiler may leave.
const BUILT_MOST: Most = Most { files: 1000, bytes: 64 << 20 };

impl Runner {
    /// The program, where there is one, and what compiling came to.
    pub(crate) async fn compiled(
        &self,
        job: &Job,
        found: &Found,
        argv: Vec<String>,
        turn: Turn,
    ) -> Result<(Compiled, Option<Arc<Built>>), RunError> {
        let Some((programs, key)) = self.kept_under(job, found, &argv).await? else {
            return Ok(told(self.compile(job, found, argv, turn).await?));
        };
        if let Some(built) = find(programs.clone(), key).await? {
            return Ok(cached(built));
        }
        let lead = self.flights.join(&key).await;
        if lead.is_none()
            && let Some(built) = find(programs.clone(), key).await?
        {
            return Ok(cached(built));
        }
        let done = self.compile(job, found, argv, turn).await?;
        if let Ok(built) = &done {
            let built = built.clone();
            // Beside, since nobody needs it for this run; who waits for the same waits for this too.
            spawn_blocking(move || {
                programs.keep(&key, &built);
                drop(lead);
            });
        }
        Ok(told(done))
    }

    /// Where the program is kept, and by what name, where it may be.
    async fn kept_under(
        &self,
        job: &Job,
        found: &Found,
        argv: &[String],
    ) -> Result<Option<(Arc<Programs>, Digest)>, RunError> {
        let Some(programs) = self.programs.clone() else { return Ok(None) };
        let (job, argv, env, found) = (job.clone(), argv.to_vec(), env(found, &[]), found.clone());
        let key = spawn_blocking(move || {
            let (version, language) = (found.told.version.as_str(), &found.language);
            let made = Made { version, argv: &argv, env: &env, of: &language.made_of, unlike: &language.unlike };
            programs::key(&job, &made)
        });
        let key = key.await.map_err(|_| RunError::Interrupted)?;
        Ok(key.map(|key| (programs, key)))
    }

    /// Compiles, and takes what was built. A compiler that ended well but left too much has not compiled.
    async fn compile(
        &self,
        job: &Job,
        found: &Found,
        argv: Vec<String>,
        turn: Turn,
    ) -> Result<Result<Arc<Built>, Step>, RunError> {
        let ended = match self.compile_in(job, found, argv.clone(), (true, turn.clone())).await {
            Err(error) if is_of_the_place(&error) => {
                tracing::warn!(error = skylift_model::chain(&error), "a compiler gets a sandbox of its own");
                self.compile_in(job, found, argv, (false, turn)).await
            }
            done => done,
        };
        let Ended { mut step, folder, .. } = ended?;
        let Some(folder) = folder.filter(|_| step.status == RunStatus::Ok) else {
            return Ok(Err(refused(step)));
        };
        let taken =
            spawn_blocking(move || folder::take(folder.as_fd(), BUILT_MOST, |path| path.below(BUILT).is_some()));
        match taken.await.map_err(|_| RunError::Interrupted)? {
            Ok(files) => Ok(Ok(Arc::new(Built { step, files }))),
            Err(TakeError::Read(error)) => Err(error.into()),
            Err(error) => {
                step.stderr.extend(format!("what was built is too large: {error}\n").into_bytes());
                Ok(Err(refused(step)))
            }
        }
    }

    /// In a sandbox that waits, or in one that is made now. Meanwhile one is made for the program.
    async fn compile_in(
        &self,
        job: &Job,
        found: &Found,
        argv: Vec<String>,
        (empty, turn): (bool, Turn),
    ) -> Result<Ended, RunError> {
        let limits = self.limits.compile;
        let wanted = |limits| Wanted { limits, sees: found.sees.clone(), python: false, empty, ai: false };
        let place = self.place(wanted(limits), job.files.clone(), None).await?;
        self.refill(vec![wanted(job.limits), wanted(limits)]);
        let order = place::order(argv, env(found, &[]), &limits);
        step::run(place, order, (Vec::new(), Leaves::Folder, &mut Attached::default()), &limits, (turn, None)).await
    }
}

async fn find(programs: Arc<Programs>, key: Digest) -> Result<Option<Built>, RunError> {
    spawn_blocking(move || programs.find(&key)).await.map_err(|_| RunError::Interrupted)
}

fn cached(built: Built) -> (Compiled, Option<Arc<Built>>) {
    (Compiled { step: built.step.clone(), cached: true }, Some(Arc::new(built)))
}

fn told(done: Result<Arc<Built>, Step>) -> (Compiled, Option<Arc<Built>>) {
    match done {
        Ok(built) => (Compiled { step: built.step.clone(), cached: false }, Some(built)),
        Err(step) => (Compiled { step, cached: false }, None),
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
