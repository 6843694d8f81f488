//! How warm the pools of languages are kept, and how much a worker takes at a time.
//!
//! ```text
//! seen ──▶ what is learnt of each pool ──▶ wanted now? (idle times) ──▶ how many ready (needs) ──▶ what memory allows (use)
//! ```
//!
//! [`tune`] is pure as [`decide`](crate::decide) is: what was seen, what is remembered and the bounds go in; what to do and why,
//! and what is to be remembered, come out. It never panics, never leaves the bounds, and does not flap: up at once, down after a hold.

mod bounds;
mod demand;
mod depth;
mod idle;
mod peaks;
mod pool;
mod seen;
mod share;
mod state;
mod tuning;
mod worker;

pub use bounds::Bounds;
pub use demand::{Demand, NEEDS, Needs};
pub use idle::Window;
pub use seen::{Observed, Seen};
pub use state::State;
pub use tuning::{Chosen, Learnt, PoolTuning, Tuning, WorkerTuning};

use depth::Wish;
use pool::Pool;
use share::Claim;

/// What each pool and the worker should be set to, by what is seen and what is remembered; and what is to be remembered.
///
/// Whatever is no number counts as not seen. A clock that goes back stops the windows, no more.
#[must_use]
pub fn tune(seen: &Observed, state: &State, bounds: &Bounds) -> (Tuning, State) {
    let bounds = &bounds.sane();
    let mut state = state.clone();
    state.take_in(seen, bounds);
    let (mut wishes, mut claims) = (Vec::new(), Vec::new());
    for (name, pool) in &mut state.pools {
        let wish = depth::wish(pool, bounds, state.clock_ms);
        claims.push(Claim::of(name, pool, wish.depth));
        wishes.push(wish);
    }
    let shared = share::out(&claims, bounds.memory_bytes);
    let mut tuning = Tuning { room_bytes: shared.room_bytes as u64, ..Tuning::default() };
    for ((name, pool), wish) in state.pools.iter_mut().zip(wishes) {
        pool.depth = shared.depths.get(name).copied().unwrap_or(0);
        tuning.pools.insert(name.clone(), of_pool(pool, wish, bounds));
    }
    tuning.worker = worker::tuned(&mut state, bounds);
    (tuning, state)
}

fn of_pool(pool: &Pool, wish: Wish, bounds: &Bounds) -> PoolTuning {
    let got = pool.depth;
    let is_short = got < wish.depth;
    let why = if is_short {
        format!("{}; memory for {got} of {}: others are used more", wish.why, wish.depth)
    } else {
        wish.why
    };
    let (memory_hint_bytes, hint_why) = pool.memory_hint(bounds);
    PoolTuning {
        inputs: pool.learnt(),
        depth: Chosen { value: got, why },
        starts: !(is_short && got == 0),
        window: Chosen { value: pool.window, why: pool.window_why.clone() },
        memory_hint_bytes: Chosen { value: memory_hint_bytes, why: hint_why },
    }
}

#[cfg(test)]
mod tests;
