//! How many runs a second are queued, durable: on the rows of SQLite, with Redis Streams beside them, and what Redis itself takes as
//! entries of a stream with `appendfsync always`. Sources are distinct and have 200 bytes; rounds alternate.
//!
//! ```sh
//! cargo run --release -p skylift-queue --example enqueue [CLIENTS] [BATCH]
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement ends where something is not as it must be, and prints"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use skylift_blob::Blobs;
use skylift_bus::{Bus, BusSettings};
use skylift_model::run::{File, Job};
use skylift_model::{Clock, RunId, Timestamp, TokenId};
use skylift_peers::Redis;
use skylift_queue::{Order, Queue, RedisStreams};
use skylift_store::{Once, Store};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

static NEXT: AtomicU64 = AtomicU64::new(0);

fn clock() -> Clock {
    Clock::new(|| {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    })
}

fn job() -> Job {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let bytes = format!("print({number:0>193})").into_bytes();
    Job::new(RunId::new(clock().now(), number), "python", File { path: "main.py".parse().unwrap(), bytes })
}

/// Runs a second.
async fn count(clients: usize, batch: usize, queue: impl AsyncFn(usize)) -> f64 {
    let (began, done) = (Instant::now(), AtomicU64::new(0));
    join_all((0..clients).map(async |client| {
        while began.elapsed() < ROUND {
            queue(client).await;
            done.fetch_add(batch as u64, Ordering::Relaxed);
        }
    }))
    .await;
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

async fn add(queue: &Queue, batch: usize) {
    let orders = (0..batch).map(|_| Order::new(job(), 0, Duration::from_secs(60))).collect();
    queue.add(&TokenId::new(Timestamp::from_millis(1), 1), orders, Once::default()).await.unwrap();
}

/// The same document as an entry, all of a batch in one write; every answer is waited for.
async fn xadd(connection: &mut BufStream<TcpStream>, batch: usize) {
    for _ in 0..batch {
        let job = job();
        let (id, text) = (job.id.to_string(), serde_json::to_string(&job).unwrap());
        for (place, word) in ["XADD", "runs", "*", "run", &id, "job", &text].iter().enumerate() {
            let head = if place == 0 { "*7\r\n" } else { "" };
            connection.write_all(format!("{head}${}\r\n{word}\r\n", word.len()).as_bytes()).await.unwrap();
        }
    }
    connection.flush().await.unwrap();
    let mut line = String::new();
    for _ in 0..batch * 2 {
        line.clear();
        connection.read_line(&mut line).await.unwrap();
        assert!(!line.starts_with('-'), "{line}");
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main]
async fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let (clients, batch) = (numbers.first().copied().unwrap_or(8), numbers.get(1).copied().unwrap_or(100));
    let redis = Redis::that_keeps().await.expect("Redis is installed");
    let open = |folder: &tempfile::TempDir| {
        let store = Store::open(&folder.path().join("skylift.db")).unwrap();
        Queue::new(store, Blobs::open(&folder.path().join("blobs")).unwrap(), Bus::in_process(), clock())
    };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let settings = BusSettings { url: redis.url(), ..BusSettings::default() };
    let rows = open(&folders[0]);
    let beside = open(&folders[1]).beside(Arc::new(RedisStreams::new(&settings).unwrap()));
    let address = redis.url().trim_start_matches("redis://").to_owned();
    let mut connections = Vec::new();
    for _ in 0..clients {
        let stream = TcpStream::connect(&address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        connections.push(tokio::sync::Mutex::new(BufStream::with_capacity(64 << 10, 1 << 20, stream)));
    }
    let (mut sqlite, mut with_redis, mut stream) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        sqlite.push(count(clients, batch, async |_| add(&rows, batch).await).await);
        with_redis.push(count(clients, batch, async |_| add(&beside, batch).await).await);
        stream.push(
            count(clients, batch, async |client| xadd(&mut *connections[client].lock().await, batch).await).await,
        );
    }
    let [sqlite, with_redis, stream] = [sqlite, with_redis, stream].map(median);
    println!("{clients} clients, {batch} at once, runs a second (median of {ROUNDS} rounds of {ROUND:?}):");
    println!("  rows of SQLite                        {sqlite:>9.0}   {:.2} of the stream", sqlite / stream);
    println!("  rows of SQLite, Redis Streams beside  {with_redis:>9.0}   {:.2}", with_redis / stream);
    println!("  XADD, appendfsync always              {stream:>9.0}");
}
