//! How many jobs a second are leased and completed, each step on disk before it is answered: on a SQLite file and on
//! a PostgreSQL server that syncs, 64 jobs in flight; and what each costs in processor time, of ours and of the
//! server, which other work on the machine changes less. `cargo run --release -p skylift-store --example leases [JOBS]`.

#![expect(clippy::print_stdout, reason = "it says what it measured")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails is none")]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use skylift_model::{AppName, Timestamp};
use skylift_peers::Postgres;
use skylift_store::{JobKind, Store};

const IN_FLIGHT: usize = 64;
const LEASE: Duration = Duration::from_secs(600);
const ROUNDS: usize = 3;

/// How a worker takes jobs and ends them.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    /// Jobs of one lease.
    batch: u32,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    /// Each by itself, those of a batch at the same time.
    OneByOne,
    /// Those of a batch together.
    Together,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "64 workers, one job each", batch: 1, end: End::OneByOne },
    Shape { name: "4 workers, leased by 16, ended one by one", batch: 16, end: End::OneByOne },
    Shape { name: "4 workers, leased and ended by 16", batch: 16, end: End::Together },
    Shape { name: "1 worker, leased and ended by 64", batch: 64, end: End::Together },
];

#[tokio::main]
async fn main() {
    let jobs: usize = std::env::args().nth(1).and_then(|jobs| jobs.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Store::open(&folder.path().join("rows.db")).unwrap();
    // `None` is said by the peer itself.
    let server = Postgres::start_with(&["fsync=on", "shared_buffers=128MB", "max_wal_size=2GB"]);
    let postgres = match &server {
        Some(server) => Some(Store::connect(&server.url()).await.unwrap()),
        None => None,
    };
    for shape in SHAPES {
        let mut on_sqlite = Vec::new();
        let mut on_postgres = Vec::new();
        for _ in 0..ROUNDS {
            on_sqlite.push(measure(&sqlite, None, shape, jobs).await);
            if let Some(postgres) = &postgres {
                on_postgres.push(measure(postgres, server.as_ref(), shape, jobs).await);
            }
        }
        println!("{}", shape.name);
        show("SQLite", &on_sqlite);
        show("PostgreSQL", &on_postgres);
    }
}

/// What one round gave.
struct Figures {
    jobs_per_second: f64,
    our_microseconds: f64,
    server_microseconds: f64,
}

fn show(name: &str, rounds: &[Figures]) {
    let median = |of: fn(&Figures) -> f64| median(rounds.iter().map(of).collect());
    println!(
        "  {name:10} {:>7.0} jobs/s   processor per job: {:>4.0} µs ours, {:>4.0} µs the server's",
        median(|figures| figures.jobs_per_second),
        median(|figures| figures.our_microseconds),
        median(|figures| figures.server_microseconds)
    );
}

/// The processor time that this process and the server took so far, in seconds.
fn taken(server: Option<&Postgres>) -> [f64; 2] {
    [seconds("self"), server.map_or(0.0, |server| server.processes().iter().map(|id| seconds(&id.to_string())).sum())]
}

/// User and system time of a process, in seconds; 0 where it is gone.
fn seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in brackets, may hold anything; after it the 12th and 13th words are the times.
    let words = stat.rsplit_once(')').map_or("", |(_, words)| words).split_whitespace();
    let ticks: f64 = words.skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// Jobs leased and completed, how fast and at what cost.
async fn measure(store: &Store, server: Option<&Postgres>, shape: Shape, jobs: usize) -> Figures {
    let now = Timestamp::from_millis(1);
    for some in (0..jobs).collect::<Vec<_>>().chunks(256) {
        let queued = some.iter().map(|n| store.enqueue_commit(format!("app-{n}").parse::<AppName>().unwrap(), now));
        join_all(queued).await.into_iter().for_each(Result::unwrap);
    }
    let workers = IN_FLIGHT / shape.batch as usize;
    let before = taken(server);
    let began = Instant::now();
    let tasks = (0..workers).map(|_| tokio::spawn(work(store.clone(), shape, now)));
    let done: usize = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(done, jobs, "every job once");
    let elapsed = began.elapsed().as_secs_f64();
    let after = taken(server);
    let [our_microseconds, server_microseconds] = [0, 1].map(|who| (after[who] - before[who]) * 1e6 / done as f64);
    Figures { jobs_per_second: done as f64 / elapsed, our_microseconds, server_microseconds }
}

async fn work(store: Store, shape: Shape, now: Timestamp) -> usize {
    let mut done = 0;
    loop {
        let leases = store.lease_many(JobKind::Commit, shape.batch, now, LEASE).await.unwrap();
        if leases.is_empty() {
            return done;
        }
        done += leases.len();
        match shape.end {
            End::OneByOne => {
                let ended = leases.into_iter().map(|lease| store.complete(lease));
                join_all(ended).await.into_iter().for_each(Result::unwrap);
            }
            End::Together => assert!(store.complete_many(leases).await.unwrap().into_iter().all(|held| held)),
        }
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}
