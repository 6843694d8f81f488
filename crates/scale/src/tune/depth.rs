//! How many places of a pool should wait, were there memory for all.

use super::bounds::Bounds;
use super::pool::{BREAK_MS, Pool};

/// A depth and its reason.
pub(super) struct Wish {
    pub(super) depth: u32,
    pub(super) why: String,
}

impl Wish {
    fn of(depth: u32, why: String) -> Self {
        Self { depth, why }
    }
}

/// Up at once; down to the most that was wanted in the hold; to none outside of the pool's window.
pub(super) fn wish(pool: &mut Pool, bounds: &Bounds, clock_ms: u64) -> Wish {
    let idle_ms = clock_ms.saturating_sub(pool.last_ms);
    let window = pool.window;
    if !(idle_ms < BREAK_MS || (window.prewarm_ms..window.until_ms).contains(&idle_ms)) {
        return Wish::of(0, format!("not used for {:.1} min: {}", idle_ms as f64 / 60_000.0, pool.window_why));
    }
    let now = wanted(pool, bounds);
    let most = pool.want(now.depth, clock_ms, bounds.hold_ms);
    if most > now.depth {
        return Wish::of(most, format!("{}; but {most} were wanted in the last {} s", now.why, bounds.hold_ms / 1000));
    }
    now
}

/// What is wanted at this moment.
fn wanted(pool: &Pool, bounds: &Bounds) -> Wish {
    let by_needs = by_needs(pool, 1.0 - bounds.ready_goal);
    let mut wish = Wish::of(
        by_needs,
        format!("{:.1} % of runs find one ready where {by_needs} wait", 100.0 * (1.0 - pool.needs.above(by_needs))),
    );
    // In a surge what was usual says nothing: the last seconds count.
    let is_surge = pool.fast >= bounds.panic_ratio * pool.slow.max(1.0);
    let rate = if is_surge { pool.fast } else { pool.slow };
    if let Some(refill_s) = pool.refill_s {
        let law = (rate * refill_s * (1.0 + bounds.spread * pool.cv())).min(f64::from(u32::MAX)).ceil() as u32;
        if law > wish.depth {
            let why = format!("{rate:.1} a second, {:.1} ms to make one, variation {:.1}", refill_s * 1e3, pool.cv());
            wish = Wish::of(law, why);
        }
    }
    if is_surge && pool.burst() > wish.depth {
        wish = Wish::of(pool.burst(), format!("a surge: {rate:.1} a second, {} at once", pool.burst()));
    }
    let depth = wish.depth.clamp(bounds.depth_min, bounds.depth_max);
    if depth < wish.depth {
        return Wish::of(depth, format!("{}; {depth} is the most allowed", wish.why));
    }
    Wish::of(depth, wish.why)
}

/// The depth that enough arrivals were within. What is less than there is must be so by far: one late arrival would bring it back.
fn by_needs(pool: &Pool, missed: f64) -> u32 {
    let depth = pool.needs.depth_for(missed);
    if depth < pool.depth { pool.needs.depth_for(missed / 2.0).min(pool.depth) } else { depth }
}
