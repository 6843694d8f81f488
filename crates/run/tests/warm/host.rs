//! A host that runs jobs as a worker does.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use skylift_model::run::{Ending, File, Job, LIMITS, Warmth};
use skylift_model::{RunId, Timestamp};
use skylift_run::{Attached, Catalogue, Finding, Kept, PackageSet, Packages, RunError, Runner};
use skylift_sandbox::InitFile;

/// How long something that is made beside may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the tests of this executable share: asking every language for its version takes a moment.
fn known() -> &'static (Catalogue, Option<InitFile>) {
    static KNOWN: OnceLock<(Catalogue, Option<InitFile>)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let init = InitFile::new(&std::fs::read("/proc/self/exe").unwrap()).ok();
        (Catalogue::look(init.as_ref()), init)
    })
}

pub(crate) struct Host(Arc<Runner>);

/// Sets that lie there already.
struct Fixed(Vec<Arc<PackageSet>>);

impl Packages for Fixed {
    fn find<'f>(&'f self, _: &'f str, name: &'f str) -> Finding<'f> {
        let found = self.0.iter().find(|set| set.name == name).cloned();
        Box::pin(async move { found.ok_or_else(|| format!("no set {name}")) })
    }
}

impl Host {
    pub(crate) fn new(sets: Vec<PackageSet>) -> Self {
        let (catalogue, init) = known().clone();
        let runner = Runner::new(catalogue, LIMITS, init, (4, Kept::default()));
        runner.set_packages(Arc::new(Fixed(sets.into_iter().map(Arc::new).collect())));
        Self(runner)
    }

    pub(crate) async fn try_run(&self, job: &Job) -> Result<Ending, RunError> {
        self.0.run(job, Attached::default()).await
    }

    pub(crate) async fn run(&self, job: &Job) -> Ending {
        self.try_run(job).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Again and again, until one of it was made so.
    pub(crate) async fn run_from(&self, job: &Job, starts: &[Warmth]) -> Ending {
        let began = Instant::now();
        loop {
            let ending = self.run(job).await;
            if starts.contains(&ending.start) {
                return ending;
            }
            assert!(began.elapsed() < PATIENCE, "none was {starts:?}: {ending:?}");
        }
    }

    pub(crate) fn start_of(&self, language: &str) -> Option<Warmth> {
        self.0.start_of(language)
    }
}

pub(crate) fn job(language: &str, file: &str, source: &str) -> Job {
    let file = File { path: file.parse().unwrap(), bytes: source.as_bytes().to_vec() };
    Job::new(RunId::new(Timestamp::from_millis(0), 0), language, file)
}

/// What the one start of a job printed, on both streams.
pub(crate) fn said(ending: &Ending) -> String {
    let step = &ending.steps[0];
    String::from_utf8_lossy(&[&step.stdout[..], &step.stderr[..]].concat()).into_owned()
}
