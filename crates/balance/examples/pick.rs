//! Prints what a pick costs: `cargo run --release -p skylift-balance --example pick`.

#![expect(clippy::print_stdout, reason = "it is what the example is for")]

use std::time::{Duration, Instant};

use skylift_balance::{Announced, Ask, Group, InvalidName, Outcome, Settings, Share, Split, Target};
use skylift_model::{DeploymentId, Timestamp};

const PICKS: u32 = 2_000_000;
const SEED: u64 = 7;

fn main() -> Result<(), InvalidName> {
    println!("seed {SEED}, {PICKS} picks each, ns per pick with its record and its end");
    println!("{:>8} {:>10} {:>10} {:>10} {:>12}", "targets", "1 thread", "2 threads", "canary", "busy (8 held)");
    for count in [2_u16, 10, 100] {
        let plain = group(count, None)?;
        let split = Split { canary: version(2), share: Share::percent(10) };
        let canary = group(count, Some(split))?;
        let one = measure(&plain, 1, 0);
        let (two, split, busy) = (measure(&plain, 2, 0), measure(&canary, 1, 0), measure(&plain, 1, 8));
        println!("{count:>8} {one:>10.0} {two:>10.0} {split:>10.0} {busy:>12.0}");
    }
    Ok(())
}

fn version(number: i64) -> DeploymentId {
    DeploymentId::new(Timestamp::from_millis(number), 0)
}

fn group(count: u16, split: Option<Split>) -> Result<Group, InvalidName> {
    let now = Instant::now();
    let mut targets = Vec::new();
    for number in 0..count {
        targets.push(Target {
            id: format!("i-{number}").parse()?,
            address: ([10, 0, 0, 1], 1024 + number).into(),
            node: "n-1".parse()?,
            deployment: version(1 + i64::from(number % 2)),
            weight: 1,
            protocol: skylift_model::program::Protocol::Http1,
            announced: Announced::Serving,
        });
    }
    let group = Group::new(Settings::default(), now);
    group.update(targets, split, now);
    Ok(group)
}

/// Nanoseconds for each pick, with so many requests held meanwhile by each thread.
fn measure(group: &Group, threads: u32, held: usize) -> f64 {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || work(group, SEED + u64::from(thread), held, began));
        }
    });
    began.elapsed().as_nanos() as f64 / f64::from(PICKS)
}

/// The clock is moved by hand, so that it is not what is measured.
fn work(group: &Group, seed: u64, held: usize, began: Instant) {
    let mut random = seed | 1;
    let mut flying = std::collections::VecDeque::new();
    for step in 0..PICKS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let now = began + Duration::from_micros(u64::from(step));
        if let Ok(one) = group.pick(&Ask::default(), now, random) {
            flying.push_back(one);
        }
        if flying.len() > held
            && let Some(mut ended) = flying.pop_front()
        {
            let _ = ended.record(Outcome::Answered { status: 200 }, now + Duration::from_micros(random % 2000));
        }
    }
}
