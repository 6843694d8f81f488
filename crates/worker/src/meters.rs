//! How much of the processor the instances of this node use, told every second.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_bus::Used;
use skylift_model::{AppName, InstanceId};

/// Over how many seconds the use is told: one may have nothing to do and the next too much.
const SAMPLES: usize = 3;
/// How long an instance is not measured once it answers: what a start uses says nothing of the load.
const WARM_AFTER: Duration = Duration::from_secs(5);

/// Reads what an instance has used of processors since its start, in microseconds.
pub(crate) type Read = Box<dyn Fn() -> Option<u64> + Send>;

/// Those of the instances that answer.
#[derive(Default)]
pub(crate) struct Meters(Mutex<HashMap<InstanceId, Meter>>);

struct Meter {
    app: AppName,
    cpu_millicores: u32,
    read: Read,
    since: Instant,
    samples: VecDeque<(Instant, u64)>,
}

impl Meters {
    /// Measures an instance of an app that answers since `now` and may use so many thousandths of a CPU.
    pub(crate) fn add(&self, id: InstanceId, (app, cpu_millicores): (AppName, u32), read: Read, now: Instant) {
        self.all().insert(id, Meter { app, cpu_millicores, read, since: now, samples: VecDeque::new() });
    }

    /// Measures it no longer. Nothing reads it when this has returned.
    pub(crate) fn remove(&self, id: &InstanceId) {
        self.all().remove(id);
    }

    /// What each app's instances use of what they may.
    pub(crate) fn used(&self, now: Instant) -> Vec<(AppName, Used)> {
        let mut shares: BTreeMap<AppName, Vec<u64>> = BTreeMap::new();
        for meter in self.all().values_mut() {
            shares.entry(meter.app.clone()).or_default().extend(meter.share(now));
        }
        shares.into_iter().map(|(app, shares)| (app, mean(&shares))).collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<InstanceId, Meter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    /// In hundredths of a percent of its share; `None` until it was read twice.
    fn share(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.since) < WARM_AFTER {
            return None;
        }
        self.samples.push_back((now, (self.read)()?));
        if self.samples.len() > SAMPLES + 1 {
            self.samples.pop_front();
        }
        let ((first_at, first), (last_at, last)) = (self.samples.front()?, self.samples.back()?);
        let us = u64::try_from(last_at.duration_since(*first_at).as_micros()).ok().filter(|us| *us > 0)?;
        let allowed_us = us.saturating_mul(u64::from(self.cpu_millicores)) / 1000;
        Some(last.saturating_sub(*first).saturating_mul(10_000) / allowed_us.max(1))
    }
}

fn mean(shares: &[u64]) -> Used {
    let reporting = u32::try_from(shares.len()).unwrap_or(u32::MAX);
    let cpu = shares.iter().sum::<u64>() / u64::from(reporting.max(1));
    Used { reporting, cpu: u32::try_from(cpu).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn id(number: u64) -> InstanceId {
        InstanceId::new(Timestamp::from_millis(1), number)
    }

    #[test]
    fn use_is_a_share_of_what_is_allowed_over_the_last_seconds() {
        let (meters, began) = (Meters::default(), Instant::now());
        let shop: AppName = "shop".parse().unwrap();
        let counts = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
        for (number, count) in (0..).zip(&counts) {
            let count = count.clone();
            meters.add(id(number), (shop.clone(), 500), Box::new(move || Some(count.load(Ordering::Relaxed))), began);
        }
        let at = |second| began + WARM_AFTER + Duration::from_secs(second);
        let told = |reporting, cpu| vec![(shop.clone(), Used { reporting, cpu })];
        assert_eq!(meters.used(began), told(0, 0), "a start is not measured");
        assert_eq!(meters.used(at(0)), told(0, 0), "nothing is known after one look");
        counts[0].store(250_000, Ordering::Relaxed);
        assert_eq!(meters.used(at(1)), told(2, 2500), "half of its half processor, and the other nothing");
        meters.remove(&id(1));
        assert_eq!(meters.used(at(2)), told(1, 2500));
        for second in 3..=4 {
            meters.used(at(second));
        }
        assert_eq!(meters.used(at(5)), told(1, 0), "what is long past no longer counts");
        meters.add(id(2), (shop.clone(), 500), Box::new(|| None), began);
        meters.remove(&id(0));
        assert_eq!(meters.used(at(6)), told(0, 0), "who cannot be read says nothing, which is not zero");
    }
}
