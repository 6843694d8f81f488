//! The pools: what is loaded once, places that wait, one refill after another, and what each run found.
//!
//! A run that finds a place ready takes it. One that finds none is forked from what is loaded, and one that does not find that starts
//! its own interpreter, and has the pool started for others. Memory is held by what is loaded and by places, those in the making included.

use std::collections::BTreeMap;

use super::arrivals::{Run, Runs};
use super::keeper::Keeper;
use super::language::Language;
use crate::tune::{Demand, Observed, Seen};

const MIB: f64 = 1_048_576.0;

/// What came of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Came {
    /// Runs that found a place ready.
    pub ready: f64,
    /// Runs that were forked when they came.
    pub forked: f64,
    /// Runs that started their own interpreter.
    pub cold: f64,
    /// Memory held over time, in MiB·seconds.
    pub held_mib_s: f64,
}

/// What came of all.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Of each pool, by name.
    pub pools: BTreeMap<String, Came>,
    /// The most memory that was held at the end of a second, in MiB.
    pub most_mib: f64,
    /// How long, in seconds.
    pub seconds: f64,
}

/// A pool that is there.
#[derive(Clone, Copy, Debug)]
struct Loaded {
    from_s: f64,
    depth: u32,
    ready: u32,
    /// When the place in the making is ready; none is made where there are enough.
    next_s: Option<f64>,
}

struct Pool<'a> {
    name: &'static str,
    language: Language,
    runs: std::iter::Peekable<std::slice::Iter<'a, Run>>,
    loaded: Option<Loaded>,
    /// Until when memory is counted.
    counted_s: f64,
    demand: Demand,
    seen: Seen,
    came: Came,
}

/// Lets the runs happen to pools that a keeper keeps.
pub fn run(load: &[Runs], seconds: u32, keeper: &mut dyn Keeper) -> Held {
    let mut pools: Vec<Pool> = load.iter().map(Pool::new).collect();
    let mut held = Held { seconds: f64::from(seconds), ..Held::default() };
    for second in 1..=u64::from(seconds) {
        let now_s = second as f64;
        for pool in &mut pools {
            pool.go_on(now_s, keeper);
        }
        let take = |pool: &mut Pool| (pool.name.to_owned(), pool.take_seen());
        keeper.tick(Observed { now_ms: second * 1000, pools: pools.iter_mut().map(take).collect() });
        for pool in &mut pools {
            pool.set(keeper.depth(pool.name), now_s);
        }
        held.most_mib = held.most_mib.max(pools.iter().map(Pool::mib).sum());
    }
    held.pools = pools.into_iter().map(|pool| (pool.name.to_owned(), pool.came)).collect();
    held
}

impl<'a> Pool<'a> {
    fn new(runs: &'a Runs) -> Self {
        Self {
            name: runs.language.name,
            language: runs.language,
            runs: runs.runs.iter().peekable(),
            loaded: None,
            counted_s: 0.0,
            demand: Demand::default(),
            seen: Seen::default(),
            came: Came::default(),
        }
    }

    /// Lets everything happen up to a time.
    fn go_on(&mut self, to_s: f64, keeper: &dyn Keeper) {
        while let Some(run) = self.runs.next_if(|run| run.at_s < to_s) {
            self.refill(run.at_s);
            self.serve(run, keeper);
        }
        self.refill(to_s);
    }

    fn serve(&mut self, run: &Run, keeper: &dyn Keeper) {
        let Language { refill_s, .. } = self.language;
        self.seen.arrivals = Some(self.seen.arrivals.unwrap_or(0.0) + 1.0);
        self.seen.needs.count(self.demand.arrive(run.at_s, refill_s));
        self.seen.peaks_bytes.push(run.peak_bytes);
        let count = self.seen.peaks_bytes.len() as f64;
        let mean = self.seen.service_s.unwrap_or(0.0);
        self.seen.service_s = Some(mean + (run.takes_s - mean) / count);
        match &mut self.loaded {
            Some(loaded) if loaded.ready > 0 => {
                loaded.ready -= 1;
                loaded.next_s = loaded.next_s.or(Some(run.at_s + refill_s));
                self.came.ready += 1.0;
                self.seen.ready += 1.0;
            }
            Some(loaded) if loaded.from_s <= run.at_s => {
                self.came.forked += 1.0;
                self.seen.forked += 1.0;
            }
            loaded => {
                if loaded.is_none() {
                    self.start(run.at_s, keeper);
                }
                self.came.cold += 1.0;
                self.seen.cold += 1.0;
            }
        }
    }

    /// A run starts the pool that it did not find.
    fn start(&mut self, now_s: f64, keeper: &dyn Keeper) {
        let bytes = (self.language.base_mib + self.language.place_mib) * MIB;
        let depth = keeper.depth_at_start(self.name, bytes);
        if depth > 0 {
            self.load(depth, now_s);
        }
    }

    fn load(&mut self, depth: u32, now_s: f64) {
        let from_s = now_s + self.language.start_s;
        let next_s = Some(from_s + self.language.refill_s);
        self.loaded = Some(Loaded { from_s, depth, ready: 0, next_s });
    }

    /// Makes places up to a time, one after another, and counts the memory that is held until then.
    fn refill(&mut self, to_s: f64) {
        while let Some(next_s) = self.loaded.and_then(|loaded| loaded.next_s).filter(|next_s| *next_s <= to_s) {
            self.count_until(next_s);
            if let Some(loaded) = &mut self.loaded {
                loaded.ready += 1;
                loaded.next_s = (loaded.ready < loaded.depth).then_some(next_s + self.language.refill_s);
            }
        }
        self.count_until(to_s);
    }

    fn count_until(&mut self, to_s: f64) {
        self.came.held_mib_s += self.mib() * (to_s - self.counted_s).max(0.0);
        self.counted_s = to_s;
    }

    fn mib(&self) -> f64 {
        let Some(loaded) = &self.loaded else { return 0.0 };
        let places = loaded.ready + u32::from(loaded.next_s.is_some());
        self.language.base_mib + f64::from(places) * self.language.place_mib
    }

    /// Sets the depth; what is too much goes at once.
    fn set(&mut self, depth: u32, now_s: f64) {
        match (&mut self.loaded, depth) {
            (loaded, 0) => *loaded = None,
            (None, depth) => self.load(depth, now_s),
            (Some(loaded), depth) => {
                loaded.depth = depth;
                loaded.ready = loaded.ready.min(depth);
                let next_s = loaded.next_s.unwrap_or(now_s + self.language.refill_s);
                loaded.next_s = (loaded.ready < depth).then_some(next_s);
            }
        }
    }

    fn take_seen(&mut self) -> Seen {
        let Language { base_mib, place_mib, refill_s, .. } = self.language;
        let (base_bytes, place_bytes) = (Some(base_mib * MIB), Some(place_mib * MIB));
        let seen = std::mem::take(&mut self.seen);
        let arrivals = seen.arrivals.or(Some(0.0));
        Seen { arrivals, refill_s: Some(refill_s), base_bytes, place_bytes, ..seen }
    }
}
