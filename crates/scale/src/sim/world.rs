//! The service that is scaled: one queue, instances that boot, serve so many at a time, and finish before they go.
//!
//! All scalers meet the same arrivals, service times and boots, and the same rule of who goes: whoever still boots, then
//! the idle, then the newest, which finish what they work on.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::load::Load;
use super::peers::{Scaler, Watched};
use super::random::Random;

/// What is scaled.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Mean time to serve one, in seconds.
    pub service_s: f64,
    /// Service times are even between this share below and above the mean.
    pub service_spread: f64,
    /// Where it is not 0, they are log-normal instead, with this deviation of their logarithm and the same mean; none is above ten means.
    pub service_sigma: f64,
    /// From start to ready, in seconds.
    pub boot_s: f64,
    /// Requests that one instance serves at a time.
    pub slots: u32,
    /// A request should wait no longer than this, in seconds.
    pub goal_s: f64,
    /// Fewest instances.
    pub min: u32,
    /// Most instances.
    pub max: u32,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            service_s: 2.0,
            service_spread: 0.5,
            service_sigma: 0.0,
            boot_s: 20.0,
            slots: 1,
            goal_s: 10.0,
            min: 1,
            max: 80,
        }
    }
}

impl Service {
    /// How long one takes, in seconds.
    pub(super) fn takes_s(&self, random: &mut Random) -> f64 {
        let (mean, spread, sigma) = (self.service_s, self.service_spread, self.service_sigma);
        if sigma > 0.0 {
            return random.log_normal(mean * (-sigma * sigma / 2.0).exp(), sigma).min(mean * 10.0);
        }
        mean * (1.0 - spread + 2.0 * spread * random.unit())
    }
}

/// One second of a run.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Instances that cost: booting, serving or finishing.
    pub instances: u32,
    /// Requests that wait.
    pub waiting: u32,
}

/// What came of a load under a scaler.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// How long each waited that was served, in milliseconds.
    pub waits_ms: Vec<u64>,
    /// How long those had waited at the end that never were.
    pub unserved_ms: Vec<u64>,
    /// Every second.
    pub points: Vec<Point>,
    /// Time of instances, in milliseconds.
    pub instance_ms: u64,
    /// How often the wanted number changed.
    pub changes: u32,
    /// Instances that were told to go while they held something: they finished it, and cost for as long.
    pub gone_busy: u32,
}

struct Instance {
    started_ms: u64,
    ready_ms: u64,
    busy: u32,
    going: bool,
}

/// A request that is done at a time, on an instance.
type Done = Reverse<(u64, usize)>;

struct World {
    service: Service,
    instances: Vec<Option<Instance>>,
    queue: VecDeque<u64>,
    doing: BinaryHeap<Done>,
    random: Random,
    run: Run,
}

/// Runs a load against a scaler, which is asked every second.
pub fn run(load: &Load, service: &Service, scaler: &mut dyn Scaler, seed: u64) -> Run {
    let mut world = World {
        service: *service,
        instances: Vec::new(),
        queue: VecDeque::new(),
        doing: BinaryHeap::new(),
        random: Random::new(seed ^ 0x005e_ed0f_5e7f_1ce5),
        run: Run::default(),
    };
    let mut desired = service.min.max(1);
    world.resize(desired, 0);
    for instance in world.instances.iter_mut().flatten() {
        instance.ready_ms = 0;
    }
    let mut arrivals = load.arrivals_ms.iter().copied().peekable();
    for second in 0..load.rates.len() as u64 {
        let to_ms = second * 1000 + 1000;
        let mut arrived = 0;
        while let Some(at_ms) = arrivals.next_if(|at_ms| *at_ms < to_ms) {
            world.go_on(at_ms);
            world.queue.push_back(at_ms);
            world.assign(at_ms);
            arrived += 1;
        }
        world.go_on(to_ms);
        let watched = world.watch(arrived, to_ms, desired);
        let wanted = scaler.want(&watched).clamp(service.min, service.max);
        if wanted != desired {
            world.run.changes += 1;
            desired = wanted;
            world.resize(desired, to_ms);
        }
        let instances = world.instances.iter().flatten().count() as u32;
        world.run.points.push(Point { instances, waiting: world.queue.len() as u32 });
    }
    world.end(load.rates.len() as u64 * 1000)
}

impl World {
    /// Lets everything happen up to a time: instances get ready, requests are done and others begun.
    fn go_on(&mut self, to_ms: u64) {
        loop {
            let done = self.doing.peek().map(|Reverse((at, _))| *at);
            // A boot only matters while somebody waits.
            let ready = if self.queue.is_empty() { None } else { self.next_ready() };
            let Some(next) = [done, ready].into_iter().flatten().min().filter(|next| *next <= to_ms) else { break };
            while let Some(Reverse((_, index))) = self.doing.peek().copied().filter(|Reverse((at, _))| *at <= next) {
                self.doing.pop();
                self.finish(index, next);
            }
            self.assign(next);
        }
    }

    /// When the next instance gets ready that has been of no use yet.
    fn next_ready(&self) -> Option<u64> {
        let free = |instance: &&Instance| !instance.going && instance.busy < self.service.slots;
        self.instances.iter().flatten().filter(free).map(|instance| instance.ready_ms).min()
    }

    fn finish(&mut self, index: usize, now_ms: u64) {
        let Some(slot) = self.instances.get_mut(index) else { return };
        let Some(instance) = slot else { return };
        instance.busy -= 1;
        if instance.going && instance.busy == 0 {
            self.run.instance_ms += now_ms - instance.started_ms;
            *slot = None;
        }
    }

    /// Gives waiting requests to ready instances, the least busy first.
    fn assign(&mut self, now_ms: u64) {
        while let Some(arrived_ms) = self.queue.front().copied() {
            let slots = self.service.slots;
            let free = self.instances.iter_mut().enumerate().filter_map(|(index, slot)| {
                let instance = slot.as_mut()?;
                (!instance.going && instance.ready_ms <= now_ms && instance.busy < slots).then_some((index, instance))
            });
            let Some((index, instance)) = free.min_by_key(|(_, instance)| instance.busy) else { return };
            let takes_s = self.service.takes_s(&mut self.random);
            instance.busy += 1;
            self.doing.push(Reverse((now_ms + ((takes_s * 1000.0) as u64).max(1), index)));
            self.queue.pop_front();
            self.run.waits_ms.push(now_ms - arrived_ms);
        }
    }

    fn watch(&mut self, arrived: u32, now_ms: u64, desired: u32) -> Watched {
        let (mut ready, mut starting, mut in_flight, mut holding) = (0, 0, 0, 0);
        for instance in self.instances.iter().flatten() {
            in_flight += instance.busy;
            match () {
                () if instance.going => {}
                () if instance.ready_ms <= now_ms => ready += 1,
                () => starting += 1,
            }
            holding += u32::from(!instance.going && instance.busy > 0);
        }
        let working: u32 = self.instances.iter().flatten().filter(|i| !i.going).map(|i| i.busy).sum();
        let cpu_percent = (ready > 0).then(|| 100.0 * f64::from(working) / f64::from(ready * self.service.slots));
        Watched {
            now_ms,
            arrived,
            waiting: self.queue.len() as u32,
            in_flight,
            holding,
            ready,
            starting,
            desired,
            cpu_percent,
            service: self.service,
        }
    }

    fn resize(&mut self, desired: u32, now_ms: u64) {
        let serving = self.instances.iter().flatten().filter(|instance| !instance.going).count() as u32;
        for _ in serving..desired {
            let ready_ms = now_ms + (self.service.boot_s * 1000.0) as u64;
            let instance = Some(Instance { started_ms: now_ms, ready_ms, busy: 0, going: false });
            match self.instances.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) => *slot = instance,
                None => self.instances.push(instance),
            }
        }
        for _ in desired..serving {
            self.remove_one(now_ms);
        }
        self.assign(now_ms);
    }

    fn remove_one(&mut self, now_ms: u64) {
        let serving = self.instances.iter_mut().filter(|slot| slot.as_ref().is_some_and(|instance| !instance.going));
        let last =
            serving.min_by_key(|slot| slot.as_ref().map(|i| (i.ready_ms <= now_ms, i.busy, Reverse(i.started_ms))));
        let Some(slot) = last else { return };
        let Some(instance) = slot else { return };
        instance.going = true;
        self.run.gone_busy += u32::from(instance.busy > 0);
        if instance.busy == 0 {
            self.run.instance_ms += now_ms - instance.started_ms;
            *slot = None;
        }
    }

    fn end(mut self, now_ms: u64) -> Run {
        self.run.unserved_ms = self.queue.iter().map(|arrived_ms| now_ms - arrived_ms).collect();
        let costs = self.instances.iter().flatten().map(|instance| now_ms - instance.started_ms);
        self.run.instance_ms += costs.sum::<u64>();
        self.run
    }
}
