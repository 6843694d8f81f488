//! What is seen of runs, for the tuner of warm pools, and what it says.
//!
//! Runs count into numbers behind one lock, some hundred nanoseconds each. Once a second they are taken out and given to the pure function
//! of `skylift-scale`, which decides; nothing here does.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_model::run::{Step, Warmth};
use skylift_model::wire::TunerTold;
use skylift_scale::tune::{Bounds, Demand, Observed, Seen, State, Tuning, tune};

use crate::memory;

mod told;

/// How many wait before anything is known.
const DEPTH_FIRST: usize = 2;
/// Fewest that wait of a language that is used.
const DEPTH_MIN: u32 = 2;
/// Reckoned with before a place was made.
const REFILL_FIRST: Duration = Duration::from_millis(5);
/// How often it is looked what memory is taken.
const MEASURE_EVERY: Duration = Duration::from_secs(60);
/// What the first process of a place takes besides, in bytes.
const INIT_BYTES: f64 = 650.0 * 1024.0;
/// Of more runs a second, the memory of the others says nothing new.
const PEAKS_MAX: usize = 100;

/// Counts what is seen, and knows what was said last.
pub(crate) struct Tuner {
    bounds: Bounds,
    began: Instant,
    seen: Mutex<BTreeMap<String, Gathered>>,
    said: Mutex<(Tuning, State)>,
}

/// What was seen of a language.
#[derive(Default)]
struct Gathered {
    /// Whether places of it can wait.
    waits: bool,
    demand: Demand,
    refill: Option<Duration>,
    /// Memory of what is loaded, and of a place, in bytes; and when that was seen.
    memory: Option<(f64, f64)>,
    measured: Option<Instant>,
    /// Since the last tick.
    now: Counted,
}

/// What was counted since the last tick.
#[derive(Default)]
struct Counted {
    seen: Seen,
    wait: Sum,
    refill: Sum,
    service: Sum,
    cpu: Sum,
}

/// Times and how many.
#[derive(Default)]
struct Sum {
    all: Duration,
    count: u32,
}

impl Sum {
    fn add(&mut self, time: Duration) {
        self.all = self.all.saturating_add(time);
        self.count = self.count.saturating_add(1);
    }

    fn mean_s(&self) -> Option<f64> {
        self.all.checked_div(self.count).map(|mean| mean.as_secs_f64())
    }
}

impl Tuner {
    /// For runs that may use so much memory each where nothing is known of them.
    pub(crate) fn new(memory_bytes_usual: u64) -> Self {
        let processors = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        let bounds = Bounds {
            depth_min: DEPTH_MIN,
            processors,
            memory_hint_bytes_max: memory_bytes_usual,
            run_memory_bytes: memory_of_machine().unwrap_or(Bounds::default().run_memory_bytes),
            ..Bounds::default()
        };
        Self { bounds, began: Instant::now(), seen: Mutex::default(), said: Mutex::default() }
    }

    /// With so much memory for all that wait, in bytes, where that is said.
    pub(crate) fn with_memory(mut self, pool_bytes_max: Option<u64>) -> Self {
        if let Some(bytes) = pool_bytes_max {
            self.bounds.memory_bytes = bytes as f64;
        }
        self
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Gathered>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self) -> MutexGuard<'_, (Tuning, State)> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, language: &str, count: impl FnOnce(&mut Gathered)) {
        let mut seen = self.seen();
        match seen.get_mut(language) {
            Some(gathered) => count(gathered),
            None => count(seen.entry(language.to_owned()).or_default()),
        }
    }

    /// A run is about to take a place, after it has waited so long for its turn. Places of its language can wait, or not.
    pub(crate) fn asked(&self, language: &str, waits: bool, waited: Duration) {
        let now_s = self.began.elapsed().as_secs_f64();
        self.with(language, |gathered| {
            gathered.waits = waits;
            let refill_s = gathered.refill.unwrap_or(REFILL_FIRST).as_secs_f64();
            let need = gathered.demand.arrive(now_s, refill_s);
            let Counted { seen, wait, .. } = &mut gathered.now;
            seen.arrivals = Some(seen.arrivals.unwrap_or(0.0) + 1.0);
            seen.needs.count(need);
            wait.add(waited);
        });
    }

    /// A run has ended.
    pub(crate) fn ended(&self, language: &str, start: Warmth, step: &Step) {
        self.with(language, |Gathered { now: Counted { seen, service, cpu, .. }, .. }| {
            *match start {
                Warmth::Pool | Warmth::Prestarted => &mut seen.ready,
                Warmth::Fork => &mut seen.forked,
                Warmth::Cold => &mut seen.cold,
            } += 1.0;
            service.add(Duration::from_micros(step.usage.wall_us));
            // A run has one processor at most; where its time is counted in ticks of the kernel, a short one seems to have more.
            cpu.add(Duration::from_micros(step.usage.cpu_us.min(step.usage.wall_us)));
            if seen.peaks_bytes.len() < PEAKS_MAX {
                seen.peaks_bytes.push(step.usage.peak_memory_bytes as f64);
            }
        });
    }

    /// A place was made that waits, in this time.
    pub(crate) fn refilled(&self, language: &str, took: Duration) {
        self.with(language, |gathered| {
            gathered.refill = Some(gathered.refill.map_or(took, |old| (old * 9 + took) / 10));
            gathered.now.refill.add(took);
        });
    }

    /// Looks what memory is taken by what is loaded and by a place that waits, where that was not seen for long.
    /// Those that were started ahead share nothing that is loaded.
    pub(crate) fn measure(&self, language: &str, loaded: Option<BorrowedFd<'_>>, place: BorrowedFd<'_>) {
        let mut is_due = false;
        self.with(language, |gathered| {
            is_due = gathered.measured.is_none_or(|measured| measured.elapsed() >= MEASURE_EVERY);
            gathered.measured = if is_due { Some(Instant::now()) } else { gathered.measured };
        });
        if !is_due {
            return;
        }
        let loaded = loaded.map_or(Some(0.0), memory::of_process);
        if let (Some(loaded), Some(place)) = (loaded, memory::of_process(place)) {
            self.with(language, |gathered| gathered.memory = Some((loaded, place + INIT_BYTES)));
        }
    }

    /// How many places of a language should wait.
    pub(crate) fn depth(&self, language: &str) -> usize {
        let said = self.said();
        said.0.pools.get(language).map_or(DEPTH_FIRST, |pool| pool.depth.value as usize)
    }

    /// Gives what was seen to the tuner; whether any depth is another since. Once a second.
    pub(crate) fn tick(&self) -> bool {
        let pools: BTreeMap<String, Seen> =
            self.seen().iter_mut().map(|(language, gathered)| (language.clone(), gathered.take())).collect();
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut said = self.said();
        let (tuning, state) = tune(&Observed { now_ms, pools }, &said.1, &self.bounds);
        let depths = |tuning: &Tuning| tuning.pools.values().map(|pool| pool.depth.value).collect::<Vec<_>>();
        let is_other = depths(&tuning) != depths(&said.0);
        *said = (tuning, state);
        is_other
    }

    /// What was said last, for people; nothing before the first run.
    pub(crate) fn told(&self) -> Option<TunerTold> {
        let waits = self.seen().iter().filter(|(_, gathered)| gathered.waits).map(|(name, _)| name.clone()).collect();
        let said = self.said();
        (!said.0.pools.is_empty()).then(|| told::told(&said.0, &waits))
    }
}

impl Gathered {
    /// What was counted since the last time.
    fn take(&mut self) -> Seen {
        let Counted { seen, wait, refill, service, cpu } = std::mem::take(&mut self.now);
        // What has no places takes none of their memory.
        let bytes = if self.waits { self.memory } else { Some((0.0, 0.0)) };
        Seen {
            arrivals: seen.arrivals.or(Some(0.0)),
            service_s: service.mean_s(),
            refill_s: refill.mean_s(),
            wait_s: wait.mean_s(),
            cpu_s: cpu.mean_s(),
            base_bytes: bytes.map(|(loaded, _)| loaded),
            place_bytes: bytes.map(|(_, place)| place),
            ..seen
        }
    }
}

/// All of it: how much the platform itself needs is little.
fn memory_of_machine() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

#[cfg(test)]
mod tests;
