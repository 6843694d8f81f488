//! A host that runs jobs as a worker does, with defences left out where that is said.

use std::sync::{Arc, OnceLock};

use skylift_model::run::{Ending, File, Job, LIMITS, Limits, RunStatus, Step, Warmth};
use skylift_model::{FilePath, RunId, Timestamp};
use skylift_run::{Attached, Catalogue, Kept, Runner};
use skylift_sandbox::{Defence, InitFile};

/// What the tests of this executable share: asking every language for its version takes a moment.
fn known() -> &'static (Catalogue, Option<InitFile>) {
    static KNOWN: OnceLock<(Catalogue, Option<InitFile>)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let init = InitFile::new(&std::fs::read("/proc/self/exe").unwrap()).ok();
        (Catalogue::look(init.as_ref()), init)
    })
}

pub(crate) struct Host(Arc<Runner>);

impl Host {
    /// With every defence.
    pub(crate) fn new() -> Self {
        let (catalogue, init) = known().clone();
        Self(Runner::new(catalogue, LIMITS, init, (4, Kept::default())))
    }

    pub(crate) fn without(defences: &[Defence]) -> Self {
        let host = Self::new();
        host.0.weaken(defences);
        host
    }

    pub(crate) async fn run(&self, job: &Job) -> Ending {
        self.talk(job, Attached::default()).await
    }

    /// The same, of one that somebody hears.
    pub(crate) async fn talk(&self, job: &Job, attached: Attached) -> Ending {
        self.0.run(job, attached).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// The one step of a job.
    pub(crate) async fn step(&self, job: &Job) -> Step {
        self.run(job).await.steps.remove(0)
    }

    /// Until Python is forked by a zygote rather than started.
    pub(crate) async fn warm_up(&self) {
        while self.run(&python("", &[])).await.start == Warmth::Cold {}
    }
}

/// What a program printed, and how it ended where that was not well.
pub(crate) fn said(step: &Step) -> String {
    let text = [&step.stdout[..], &step.stderr[..]].concat();
    let end = if step.status == RunStatus::Ok { String::new() } else { format!(" ({:?})", step.status) };
    format!("{}{end}", String::from_utf8_lossy(&text).trim()).trim().to_owned()
}

/// Most of what is held differs where the platform is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn python(source: &str, args: &[String]) -> Job {
    let file = File { path: "main.py".parse().unwrap(), bytes: source.as_bytes().to_vec() };
    Job { args: args.to_vec(), ..Job::new(RunId::new(Timestamp::from_millis(0), 0), "python", file) }
}

/// A program in C, with nothing to be wrong about but what it is.
pub(crate) fn c(source: &str) -> Job {
    let path: FilePath = "main.c".parse().unwrap();
    let files = vec![File { path: path.clone(), bytes: source.as_bytes().to_vec() }];
    Job { language: "c".to_owned(), entry: path, files, ..python("", &[]) }
}

/// The same, started rather than forked: with a variable that the interpreter heeds only as it starts.
pub(crate) fn cold(job: Job) -> Job {
    Job { env: vec![("PYTHONHASHSEED".parse().unwrap(), "0".to_owned())], ..job }
}

/// One with other limits than usual.
pub(crate) fn limited(source: &str, limits: impl FnOnce(&mut Limits)) -> Job {
    let mut job = python(source, &[]);
    limits(&mut job.limits);
    job
}
