//! Where compilers run: in sandboxes of their own kind, which see the sets of headers that were read before, as no program does.

use std::os::fd::AsFd;
use std::sync::Arc;

use skylift_model::run::{File, Limits, RunStatus};
use skylift_sandbox::{InitFile, Mount, Source};
use tokio::task::spawn_blocking;

use crate::attached::{Attached, Purse};
use crate::begin::Begin;
use crate::catalogue::Found;
use crate::folder;
use crate::headers::{Beginning, Headers, SEEN_AT, SET};
use crate::place::{self, Users};
use crate::places::{Places, Wanted};
use crate::quick::precompiled;
use crate::runner::{RunError, is_of_the_place};
use crate::step::{self, Ended, Leaves};
use crate::turn::Turn;
use crate::turns::Turns;

/// One waits: a run compiles once.
const DEPTH: usize = 1;

/// Compilers of one worker.
pub(crate) struct Compilers {
    places: Arc<Places>,
    limits: Limits,
    headers: Option<Arc<Headers>>,
    /// One set is made at a time, beside.
    making: Turns,
}

/// What a compiler is to do.
#[derive(Clone)]
pub(crate) struct Task<'a> {
    pub(crate) found: &'a Found,
    pub(crate) argv: Vec<String>,
    pub(crate) files: Vec<File>,
    /// Other limits than those of compilers here.
    pub(crate) limits: Option<Limits>,
}

impl Compilers {
    pub(crate) fn new(init: Option<InitFile>, users: Users, limits: Limits, headers: Option<Headers>) -> Self {
        let from = headers.as_ref().map(|headers| Source::Path(headers.folder().to_owned()));
        let shown = from.map(|from| Mount::ReadOnly { from, to: SEEN_AT.into() }).into_iter().collect();
        let places = Arc::new(Places::new(init, users, (limits, DEPTH), shown));
        Self { places, limits, headers: headers.map(Arc::new), making: Turns::new(1) }
    }

    pub(crate) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    pub(crate) fn headers(&self) -> Option<&Headers> {
        self.headers.as_deref()
    }

    /// Runs one to its end.
    pub(crate) async fn run(&self, task: &Task<'_>, turn: Turn) -> Result<Ended, RunError> {
        match self.run_in(task, (true, turn.clone())).await {
            Err(error) if is_of_the_place(&error) => {
                tracing::warn!(error = skylift_model::chain(&error), "a compiler gets a sandbox of its own");
                step::told_if_full(self.run_in(task, (false, turn)).await)
            }
            done => step::told_if_full(done),
        }
    }

    /// In a sandbox that waits, or in one that is made now.
    async fn run_in(&self, task: &Task<'_>, (empty, turn): (bool, Turn)) -> Result<Ended, RunError> {
        let Task { found, argv, files, limits } = task.clone();
        let limits = limits.unwrap_or(self.limits);
        let wanted = Wanted { limits, sees: found.sees.clone(), warm: None, empty, ai: false };
        let order = place::order(argv, found.language.env_of(&[]), &limits);
        let begin = Begin { wanted: wanted.clone(), files, built: None, is_compiled: true, order };
        let begun = begin.start(&self.places).await?;
        let places = self.places.clone();
        spawn_blocking(move || places.refill(&wanted));
        let nobody = &mut Attached::default();
        step::run(begun, (Vec::new(), Leaves::Folder, nobody), &limits, (turn, None)).await
    }

    /// Has the headers read that a source begins with, beside, where that was asked for often enough; whoever asked last pays for it.
    pub(crate) fn ask(
        self: &Arc<Self>,
        beginning: Beginning,
        (argv, found): (Vec<String>, Arc<Found>),
        purse: Option<Arc<dyn Purse>>,
    ) {
        // Who is busy with another will be asked again.
        let Some(turn) = self.making.take_free() else { return };
        let compilers = Arc::clone(self);
        tokio::spawn(async move {
            let turn: Turn = Arc::new(turn.into());
            if let Err(error) = compilers.make(&beginning, argv, &found, turn.clone()).await {
                tracing::warn!(error = skylift_model::chain(&error), "headers are read each time");
            }
            if let Some(purse) = purse {
                purse.pay(turn.spent.us());
            }
        });
    }

    async fn make(&self, beginning: &Beginning, argv: Vec<String>, found: &Found, turn: Turn) -> Result<(), RunError> {
        let Some(making) = self.headers.as_ref().and_then(|headers| headers.ask(beginning)) else { return Ok(()) };
        let text = beginning.text(making.count);
        let (Ok(set), Ok(left)) = (SET.parse(), precompiled().parse()) else { return Ok(()) };
        let files = vec![File { path: set, bytes: text.clone().into_bytes() }];
        let Ended { step, folder, .. } = match self.run(&Task { found, argv, files, limits: None }, turn).await {
            Ok(ended) => ended,
            Err(error) => {
                making.not_yet();
                return Err(error);
            }
        };
        let is_well = step.status == RunStatus::Ok && step.stdout.is_empty() && step.stderr.is_empty();
        let Some(folder) = folder.filter(|_| is_well) else { return Ok(()) };
        let Some(made) = folder::open(folder.as_fd(), &left)? else { return Ok(()) };
        let bytes_max = self.limits.disk_bytes;
        let put = spawn_blocking(move || making.there(&text, made, bytes_max));
        Ok(put.await.map_err(|_| RunError::Interrupted)??)
    }
}
