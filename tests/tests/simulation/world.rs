//! The real store and the real control functions, asked the same as the model, and compared with it after each step.
//!
//! Workers are leases that somebody holds; a worker that died is a lease that is never shown again, a slow one shows
//! its lease late. Time is a number that moves only where the history says so.

mod acts;
mod check;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use skylift_blob::Blobs;
use skylift_bus::Bus;
use skylift_control::cleanup::{Cleanup, Look};
use skylift_control::reap;
use skylift_control::worker::Queue;
use skylift_model::{AppName, Clock, DeploymentId, Timestamp, UploadId};
use skylift_store::{Lease, Store};

use crate::model::{Held, Model, Seen};
use crate::op::Op;

/// What went wrong, for people.
pub(crate) type Verdict = Result<(), String>;

macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use ensure;

/// Later than every file of the test, so that all of them are old enough for clean-up.
const BEGIN_MS: i64 = 4_102_444_800_000;

/// Where the rows are.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    File(PathBuf),
    Server(String),
}

impl Rows {
    async fn open(&self) -> Result<Store, String> {
        let opened = match self {
            Self::File(path) => Store::open(path),
            Self::Server(url) => Store::connect(url).await,
        };
        opened.map_err(failed)
    }
}

/// A lease that somebody was given.
#[derive(Clone, Debug)]
struct Given {
    lease: Lease,
    held: Held,
    has_begun: bool,
}

pub(crate) struct World {
    rows: Rows,
    queue: Queue,
    blobs: Blobs,
    now: Arc<AtomicI64>,
    model: Model,
    ids: Vec<DeploymentId>,
    uploads: Vec<UploadId>,
    builds: Vec<Given>,
    deploys: Vec<Given>,
    look: Option<(Look, Seen)>,
    /// Deployments that went live by a deploy of their own.
    went_live: BTreeSet<usize>,
    /// Deployments that had ended without ever being live.
    over: BTreeSet<usize>,
    generations: [u64; 3],
    /// The reaper died between its transactions: what is stuck is so until its next pass.
    is_reaped_half: bool,
}

/// Lets a history happen; an error says what broke.
pub(crate) async fn run(ops: &[Op], rows: Rows, blobs: Blobs) -> Verdict {
    let mut world = World::open(rows, blobs).await?;
    for (step, op) in ops.iter().enumerate() {
        world.happens(*op).await.map_err(|why| format!("step {}, {op:?}: {why}", step + 1))?;
    }
    world.comes_to_rest().await.map_err(|why| format!("at the end: {why}"))
}

impl World {
    async fn open(rows: Rows, blobs: Blobs) -> Result<Self, String> {
        let now = Arc::new(AtomicI64::new(BEGIN_MS));
        let read = now.clone();
        let clock = Clock::new(move || Timestamp::from_millis(read.load(Ordering::Relaxed)));
        let queue = Queue { store: rows.open().await?, bus: Bus::in_process(), clock };
        Ok(Self {
            rows,
            queue,
            blobs,
            now,
            model: Model::default(),
            ids: Vec::new(),
            uploads: Vec::new(),
            builds: Vec::new(),
            deploys: Vec::new(),
            look: None,
            went_live: BTreeSet::new(),
            over: BTreeSet::new(),
            generations: [0; 3],
            is_reaped_half: false,
        })
    }

    fn store(&self) -> &Store {
        &self.queue.store
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now())
    }

    fn cleanup(&self) -> Cleanup {
        let Queue { store, bus, clock } = self.queue.clone();
        Cleanup { store, blobs: self.blobs.clone(), bus, clock }
    }

    async fn happens(&mut self, op: Op) -> Verdict {
        // Jumps are whole seconds: no two steps are at the same time, whichever way the clock was set.
        self.now.fetch_add(1, Ordering::Relaxed);
        self.act(op).await?;
        if matches!(op, Op::Wait { .. } | Op::SetBack { .. }) {
            return Ok(());
        }
        self.compare().await
    }

    /// Every process dies; one starts.
    async fn restart(&mut self) -> Verdict {
        self.queue.store = self.rows.open().await?;
        reap::after_restart(&self.queue).await.map_err(failed)?;
        let now = self.now();
        if self.store().is_shared() {
            self.model.reap(now)
        } else {
            self.model.reap_all(now)
        }
        self.model.bury();
        self.is_reaped_half = false;
        Ok(())
    }

    /// With workers that work, everything ends; nothing is stuck, nothing that is kept is damaged.
    async fn comes_to_rest(&mut self) -> Verdict {
        for round in 0_u32.. {
            self.happens(Op::Wait { seconds: 100 }).await?;
            self.happens(Op::Reap).await?;
            if self.model.is_idle() {
                break;
            }
            ensure!(round < 200, "it never comes to rest: {:?}", self.model.shown_jobs());
            self.happens(Op::Commit).await?;
            for (take, begin, end) in [
                (Op::LeaseDeploy, None, Op::GoLive { which: u8::MAX }),
                (Op::LeaseBuild, Some(Op::Begin { which: u8::MAX }), Op::Finish { which: u8::MAX }),
            ] {
                self.happens(take).await?;
                if let Some(begin) = begin {
                    self.happens(begin).await?;
                }
                self.happens(end).await?;
            }
        }
        let stuck: Vec<_> = self.model.kept().filter(|(_, it)| !it.state.is_settled()).collect();
        ensure!(stuck.is_empty(), "in work, while nobody works: {stuck:?}");
        self.check_blobs().await
    }
}

fn name(app: usize) -> AppName {
    format!("app-{app}").parse().expect("it is a name")
}

fn failed(error: impl std::error::Error) -> String {
    format!("it failed: {}", skylift_model::chain(&error))
}

/// The newest for the highest number, else one of all.
fn pick<T>(all: &[T], which: u8) -> Option<usize> {
    let last = all.len().checked_sub(1)?;
    Some(if which == u8::MAX { last } else { usize::from(which) % all.len() })
}
