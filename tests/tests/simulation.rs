//! Control and store in a seeded simulation: histories that follow from a seed, with a clock, workers and deaths of
//! their own, compared after each step with a model of what is promised.
//!
//! A history that fails is made short and printed as it would be written in a test: see `histories.rs`.
//! `SKYLIFT_SIMULATION=SEED` lets the history of one seed happen alone.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how tests fail")]

#[path = "simulation/controls.rs"]
mod controls;
#[path = "simulation/histories.rs"]
mod histories;
#[path = "simulation/model.rs"]
mod model;
#[path = "simulation/op.rs"]
mod op;
#[path = "simulation/shrink.rs"]
mod shrink;
#[path = "simulation/world.rs"]
mod world;

use std::path::Path;

use op::{Op, history};
use shrink::{as_rust, shrink};
use skylift_blob::Blobs;
use skylift_peers::Postgres;
use skylift_tests::random::rounds;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use world::{Rows, Verdict};

/// How many histories a run on SQLite tries, and how many with `SKYLIFT_SOAK=1`.
const HISTORIES: [u64; 2] = [500, 10_000];
/// The same on PostgreSQL, which needs a new database for each.
const HISTORIES_ON_A_SERVER: [u64; 2] = [12, 500];
/// They are shared out to so many tests, which run at the same time.
const SHARES: u64 = 4;

/// A folder in memory where there is one: nothing here is about the disk.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.unwrap()
}

/// Where histories happen, one after the other: each has rows of its own.
struct Bench {
    runtime: Runtime,
    folder: TempDir,
    blobs: Blobs,
}

impl Bench {
    fn new() -> Self {
        let folder = folder();
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        Self { runtime: Runtime::new().unwrap(), folder, blobs }
    }

    fn on_a_file(&self, ops: &[Op]) -> Verdict {
        let rows = TempDir::new_in(self.folder.path()).unwrap();
        self.run(ops, Rows::File(rows.path().join("rows.db")))
    }

    fn on_a_server(&self, server: &Postgres, ops: &[Op]) -> Verdict {
        self.run(ops, Rows::Server(server.new_database()))
    }

    fn run(&self, ops: &[Op], rows: Rows) -> Verdict {
        self.runtime.block_on(world::run(ops, rows, self.blobs.clone()))
    }
}

/// Lets histories happen; the first that fails is made short, printed, and fails the test.
#[expect(clippy::print_stderr, reason = "the seed and the history repeat a failure")]
fn all_go_well(seeds: impl IntoIterator<Item = u64>, run: impl Fn(&[Op]) -> Verdict) {
    let mut steps = 0;
    for seed in seeds {
        let ops = history(seed);
        steps += ops.len();
        let Err(why) = run(&ops) else { continue };
        eprintln!("SKYLIFT_SIMULATION={seed} fails: {why}");
        let short = shrink(ops, |ops| run(ops).is_err());
        let why = run(&short).err().unwrap_or_else(|| format!("only once: {why}"));
        panic!("{why}\nthe history of seed {seed}, made short:\n{}", as_rust(&short));
    }
    eprintln!("{steps} steps went well");
}

/// The seeds of one share of all histories.
fn share(share: u64, [few, many]: [u64; 2]) -> Vec<u64> {
    if let Some(seed) = std::env::var("SKYLIFT_SIMULATION").ok().and_then(|seed| seed.parse().ok()) {
        return vec![seed];
    }
    let base: u64 = std::env::var("SKYLIFT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let base = base.wrapping_mul(1_000_000);
    (0..rounds(few, many)).filter(|seed| seed % SHARES == share).map(|seed| base.wrapping_add(seed)).collect()
}

macro_rules! shares {
    ($($name:ident: $share:literal),+) => {$(
        #[test]
        fn $name() {
            let bench = Bench::new();
            all_go_well(share($share, HISTORIES), |ops| bench.on_a_file(ops));
        }
    )+};
}

shares! {
    every_history_of_the_first_share_does_what_the_model_does: 0,
    every_history_of_the_second_share_does_what_the_model_does: 1,
    every_history_of_the_third_share_does_what_the_model_does: 2,
    every_history_of_the_fourth_share_does_what_the_model_does: 3
}

#[test]
fn histories_on_a_server_do_what_the_model_does() {
    let Some(server) = Postgres::start() else { return };
    let bench = Bench::new();
    let seeds = (0..SHARES).flat_map(|part| share(part, HISTORIES_ON_A_SERVER));
    all_go_well(seeds, |ops| bench.on_a_server(&server, ops));
}
