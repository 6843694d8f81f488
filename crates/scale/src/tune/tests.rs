use super::*;

/// Ticks of one second over a worker with a pool named `python`.
struct Worker {
    bounds: Bounds,
    state: State,
    now_ms: u64,
}

impl Worker {
    fn new(bounds: Bounds) -> Self {
        Self { bounds, state: State::default(), now_ms: 1_000_000 }
    }

    fn tick_all(&mut self, pools: &[(&str, Seen)]) -> Tuning {
        self.now_ms += 1000;
        let pools = pools.iter().map(|(name, seen)| ((*name).to_owned(), seen.clone())).collect();
        let (tuning, state) = tune(&Observed { now_ms: self.now_ms, pools }, &self.state, &self.bounds);
        self.state = state;
        tuning
    }

    fn tick(&mut self, seen: Seen) -> PoolTuning {
        self.tick_all(&[("python", seen)]).pools.remove("python").unwrap()
    }

    fn ticks(&mut self, seconds: u64, seen: &Seen) -> PoolTuning {
        (1..seconds).for_each(|_| drop(self.tick(seen.clone())));
        self.tick(seen.clone())
    }
}

/// So many runs, each of which needed so many places.
fn runs(arrivals: u32, need: u32) -> Seen {
    let mut needs = Needs::default();
    (0..arrivals).for_each(|_| needs.count(need));
    Seen { arrivals: Some(f64::from(arrivals)), needs, refill_s: Some(0.003), ..Seen::default() }
}

#[test]
fn a_language_that_nobody_has_used_has_no_pool() {
    let mut worker = Worker::new(Bounds::default());
    let tuning = worker.tick_all(&[("python", runs(0, 0)), ("node", runs(1, 1))]);
    assert_eq!(tuning.pools.keys().collect::<Vec<_>>(), ["node"]);
    assert_eq!(tuning.room_bytes, (90 - 13) << 20, "what it is reckoned with until it is measured");
}

#[test]
fn the_depth_is_what_nearly_all_runs_needed_and_says_so() {
    let mut worker = Worker::new(Bounds::default());
    let tuned = worker.ticks(10, &runs(20, 3));
    assert_eq!((tuned.depth.value, tuned.depth.why.as_str()), (3, "100.0 % of runs find one ready where 3 wait"));
    let deeper = worker.tick(runs(20, 5));
    assert_eq!(deeper.depth.value, 5, "at once");
    let later = worker.ticks(299, &runs(20, 1));
    assert_eq!(later.depth.value, 5, "{}", later.depth.why);
}

#[test]
fn it_goes_down_after_the_hold_when_old_needs_have_faded() {
    let mut worker = Worker::new(Bounds { ready_goal: 0.99, ..Bounds::default() });
    worker.ticks(10, &runs(20, 5));
    let seconds = (1..7200).find(|_| worker.tick(runs(20, 1)).depth.value == 1).unwrap();
    assert!((300..7200).contains(&seconds), "{seconds}");
}

#[test]
fn slow_refills_and_uneven_arrivals_need_more_by_the_law() {
    let mut worker = Worker::new(Bounds { depth_max: 64, ..Bounds::default() });
    let slow = Seen { refill_s: Some(0.1), ..runs(50, 1) };
    let tuned = worker.ticks(120, &slow);
    assert!((5..=7).contains(&tuned.depth.value), "50 a second in 100 ms, evenly: {:?}", tuned.depth);
    let uneven = (0..120)
        .map(|second| worker.tick(Seen { arrivals: Some(if second % 2 == 0 { 100.0 } else { 0.0 }), ..slow.clone() }));
    let tuned = uneven.last().unwrap();
    assert!(tuned.depth.value > 20 && tuned.inputs.cv > 5.0, "{:?} {:?}", tuned.depth, tuned.inputs);
}

#[test]
fn in_a_surge_the_last_seconds_count() {
    let mut worker = Worker::new(Bounds { ready_goal: 0.5, ..Bounds::default() });
    worker.ticks(120, &runs(2, 1));
    let mut surge = runs(30, 1);
    surge.needs.count(9);
    let tuned = worker.ticks(2, &surge);
    assert_eq!(tuned.depth.value, 9, "{:?}", tuned);
    assert!(tuned.depth.why.starts_with("a surge: "), "{}", tuned.depth.why);
}

#[test]
fn a_pool_goes_after_five_idle_minutes_and_comes_back_before_a_timer() {
    let mut worker = Worker::new(Bounds::default());
    let minute = |worker: &mut Worker, seen: &Seen| {
        worker.tick(seen.clone());
        worker.ticks(59, &runs(0, 0)).depth
    };
    worker.tick(runs(1, 1));
    assert_eq!(worker.ticks(299, &runs(0, 0)).depth.value, 1);
    let gone = worker.tick(runs(0, 0)).depth;
    assert_eq!(
        (gone.value, gone.why.as_str()),
        (0, "not used for 5.0 min: kept for 5.0 min: 0 idle times say too little")
    );
    let mut worker = Worker::new(Bounds::default());
    for _ in 0..6 {
        minute(&mut worker, &runs(2, 1));
        (1..10).for_each(|_| drop(minute(&mut worker, &runs(0, 0))));
    }
    let depths: Vec<u32> = std::iter::once(runs(2, 1))
        .chain(std::iter::repeat_n(runs(0, 0), 14))
        .map(|seen| minute(&mut worker, &seen).value)
        .collect();
    assert_eq!(depths, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0], "from minute 9.0 to 12.1");
}

#[test]
fn a_sensor_that_says_nothing_changes_nothing() {
    let mut worker = Worker::new(Bounds::default());
    let before = worker.ticks(30, &runs(20, 4));
    for silent in [Seen::default(), Seen { arrivals: Some(f64::NAN), ..Seen::default() }] {
        let after = worker.ticks(200, &silent);
        assert_eq!((after.depth, after.inputs.rate_slow), (before.depth.clone(), before.inputs.rate_slow));
    }
}

#[test]
fn what_is_used_most_keeps_its_memory_and_the_other_may_not_start() {
    let mib = 1_048_576.0;
    let mut worker = Worker::new(Bounds { memory_bytes: 20.0 * mib, ..Bounds::default() });
    worker.tick_all(&[("node", runs(1, 1)), ("python", runs(20, 3))]);
    let tuning = worker.tick_all(&[("node", runs(1, 1)), ("python", runs(20, 3))]);
    let (node, python) = (&tuning.pools["node"], &tuning.pools["python"]);
    assert_eq!((python.depth.value, node.depth.value), (3, 0));
    assert!(python.starts && !node.starts);
    assert!(node.depth.why.ends_with("memory for 0 of 1: others are used more"), "{}", node.depth.why);
    assert_eq!(tuning.room_bytes, 1 << 20);
}

#[test]
fn a_memory_hint_is_the_99th_of_a_hundred_and_a_quarter() {
    let mut worker = Worker::new(Bounds::default());
    let peaks = |mib: f64, count| Seen { peaks_bytes: vec![mib * 1_048_576.0; count], ..runs(1, 1) };
    let few = worker.tick(peaks(10.0, 19)).memory_hint_bytes;
    assert_eq!((few.value, few.why.as_str()), (256 << 20, "19 runs say too little"));
    let hint = worker.tick(peaks(10.0, 1)).memory_hint_bytes;
    assert!((13..=14).contains(&(hint.value >> 20)), "{hint:?}");
    let most = worker.tick(peaks(1000.0, 1000)).memory_hint_bytes;
    assert_eq!(most.value, 256 << 20, "{most:?}");
}

#[test]
fn concurrency_is_what_keeps_the_processors_busy_and_memory_has_room_for() {
    let run = |cpu_s: f64, service_s: f64| Seen { cpu_s: Some(cpu_s), service_s: Some(service_s), ..runs(9, 1) };
    let of = |bounds: Bounds, seen| Worker::new(bounds).tick_all(&[("python", seen)]).worker.concurrency;
    let ample = || Bounds { run_memory_bytes: 1e12, ..Bounds::default() };
    assert_eq!(of(ample(), run(0.010, 0.010)).value, 2, "all of a processor");
    let tenth = of(ample(), run(0.001, 0.010));
    assert_eq!((tenth.value, tenth.why.as_str()), (20, "a run uses 10 % of a processor, and there are 2.0"));
    assert_eq!(of(ample(), run(0.0, 1.0)).value, 64, "the most that is allowed");
    let sleeping = of(Bounds { run_memory_bytes: 1e9, ..Bounds::default() }, run(0.0, 1.0));
    assert_eq!((sleeping.value, sleeping.why.as_str()), (3, "memory for 3.7 runs of 256 MiB"));
    assert_eq!(Worker::new(Bounds::default()).tick_all(&[]).worker.concurrency.value, 4);
}

#[test]
fn the_backlog_target_is_the_delay_that_may_be_by_the_time_of_one() {
    let of = |wait_goal_s, service_s| {
        let seen = Seen { cpu_s: Some(service_s), service_s: Some(service_s), ..runs(9, 1) };
        let bounds = Bounds { wait_goal_s, ..Bounds::default() };
        Worker::new(bounds).tick_all(&[("python", seen)]).worker.backlog_target
    };
    assert_eq!(of(0.05, 0.020).value, 5.0, "20 ms on two at a time: the 5 of the policy is 50 ms");
    assert_eq!(of(1.0, 0.020).value, 100.0);
    assert_eq!(of(1.0, 1.0).value, 2.0);
    assert_eq!(of(1.0, 60.0).value, 1.0, "never less");
    assert_eq!(of(1.0, 1.0).why, "a job may wait 1.0 s; 2 at a time take 1000 ms each");
    assert_eq!(Worker::new(Bounds::default()).tick_all(&[]).worker.backlog_target.value, 5.0);
}
