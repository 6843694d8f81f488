//! From a job to its compiled program: one that is there, or one that is made now, in a sandbox of its own.

use std::os::fd::AsFd;
use std::sync::Arc;

use skylift_model::run::{Compiled, File, Job, RunStatus, Step};
use skylift_model::{Digest, FilePath};
use tokio::task::spawn_blocking;

use crate::catalogue::Found;
use crate::compilers::Task;
use crate::folder::{self, Most};
use crate::headers::Beginning;
use crate::language::BUILT;
use crate::places::Wanted;
use crate::programs::{self, Built, Made, Programs};
use crate::quick::{self, Quick, Quickly};
use crate::runner::{RunError, Runner};
use crate::step::Ended;
use crate::turn::Turn;

/// What a compiler may leave.
const BUILT_MOST: Most = Most { files: 1000, bytes: 64 << 20 };

impl Runner {
    /// The program, where there is one, and what compiling came to.
    pub(crate) async fn compiled(
        &self,
        job: &Job,
        found: &Arc<Found>,
        argv: Vec<String>,
        turn: Turn,
    ) -> Result<(Compiled, Option<Arc<Built>>), RunError> {
        let Some((programs, key, built)) = self.kept(job, found, &argv).await? else {
            return Ok(told(self.compile(job, found, argv, turn).await?));
        };
        if let Some(built) = built {
            return Ok(cached(built));
        }
        let lead = self.flights.join(&key).await;
        // Who led before may have ended in between.
        if let Some(built) = find(programs.clone(), key).await? {
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

    /// Where the program may be kept, by what name, and itself, where it is there.
    async fn kept(&self, job: &Job, found: &Arc<Found>, argv: &[String]) -> Result<Option<Kept>, RunError> {
        let Some(programs) = self.programs.clone() else { return Ok(None) };
        let (job, argv, env, found) = (job.clone(), argv.to_vec(), found.language.env_of(&[]), found.clone());
        let looked = spawn_blocking(move || {
            let (version, language) = (found.told.version.as_str(), &found.language);
            let made = Made { version, argv: &argv, env: &env, of: &language.made_of, unlike: &language.unlike };
            let key = programs::key(&job, &made)?;
            let built = programs.find(&key);
            Some((programs, key, built))
        });
        looked.await.map_err(|_| RunError::Interrupted)
    }

    /// Compiles, the quick way where there is one and it leaves no doubt. Meanwhile a sandbox is made for the program.
    async fn compile(
        &self,
        job: &Job,
        found: &Arc<Found>,
        argv: Vec<String>,
        turn: Turn,
    ) -> Result<Result<Arc<Built>, Step>, RunError> {
        self.refill(Wanted { limits: job.limits, sees: found.sees.clone(), warm: None, empty: true, ai: false });
        if let Some(quick) = self.quick(job, found, &argv, &turn) {
            let (step, files) = self.compile_as(job, found, quick.words, turn.clone()).await?;
            if quick::judge(&step, quick.with_set) == Quickly::Done && !warns(files.as_deref()) {
                return Ok(built(step, files));
            }
            turn.pay().await?;
        }
        let (step, files) = self.compile_as(job, found, argv, turn).await?;
        Ok(built(step, files))
    }

    /// The words of the quick way.
    fn quick(&self, job: &Job, found: &Arc<Found>, argv: &[String], turn: &Turn) -> Option<Way> {
        let quick = found.language.quick.as_ref().filter(|quick| quick.fits(&job.compile_options))?;
        let sources = found.language.only_sources(job)?;
        let linker = found.linker.as_deref().filter(|_| quick.links_alike(job, sources.len()));
        let set = self.headers(job, found, (quick, &sources), turn);
        let with_set = set.is_some();
        let words = Quick::words(argv, linker, set);
        (words != argv).then_some(Way { words, with_set })
    }

    /// A set of headers that all sources begin with. What there is none for is asked for.
    fn headers(
        &self,
        job: &Job,
        found: &Arc<Found>,
        (quick, sources): (&Quick, &[FilePath]),
        turn: &Turn,
    ) -> Option<String> {
        let headers = self.compilers.headers()?;
        let making = quick.precompile(&job.compile_options)?;
        let words: Vec<String> = making.iter().cloned().chain(programs::stamps_of(&found.language.made_of)).collect();
        let beginning = Beginning::of(job, sources, (&quick.headers, &words));
        let set = headers.find(&beginning);
        self.compilers.ask(beginning, (making, found.clone()), turn.purse.clone());
        set
    }

    /// Compiles, and takes what was built, where the compiler ended well. One that left too much has not compiled.
    async fn compile_as(
        &self,
        job: &Job,
        found: &Arc<Found>,
        argv: Vec<String>,
        turn: Turn,
    ) -> Result<(Step, Option<Vec<File>>), RunError> {
        let task = Task { found, argv, files: job.files.clone(), limits: job.compile_limits };
        let Ended { mut step, folder, .. } = self.compilers.run(&task, turn).await?;
        let Some(folder) = folder.filter(|_| step.status == RunStatus::Ok) else {
            return Ok((step, None));
        };
        let taken =
            spawn_blocking(move || folder::take(folder.as_fd(), BUILT_MOST, |path| path.below(BUILT).is_some()));
        let left = taken.await.map_err(|_| RunError::Interrupted)??;
        if left.is_all {
            return Ok((step, Some(left.files)));
        }
        let Most { files, bytes } = BUILT_MOST;
        let told =
            format!("what was built is too large: more than {files} files or {bytes} bytes, or folders too deep\n");
        step.stderr.extend(told.into_bytes());
        Ok((step, None))
    }
}

/// Whether the usual linker would have warned of what was built.
fn warns(files: Option<&[File]>) -> bool {
    files.is_some_and(|files| files.iter().any(|file| quick::wants_executable_stack(&file.bytes)))
}

/// A quick way to compile.
struct Way {
    words: Vec<String>,
    /// Whether a set of headers is among them.
    with_set: bool,
}

fn built(step: Step, files: Option<Vec<File>>) -> Result<Arc<Built>, Step> {
    match files {
        Some(files) => Ok(Arc::new(Built { step, files })),
        None => Err(refused(step)),
    }
}

/// What is known of a program that may be kept.
type Kept = (Arc<Programs>, Digest, Option<Built>);

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
