//! What holds of the tuner whatever is seen.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use skylift_scale::tune::{Bounds, NEEDS, Needs, Observed, Seen, State, Tuning, tune};

const MIB: f64 = 1_048_576.0;

/// Any number a sensor can send.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..200.0f64,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, f64::MAX, f64::MIN_POSITIVE]),
    ]
}

fn maybe() -> impl Strategy<Value = Option<f64>> {
    prop::option::of(any_number())
}

fn any_needs() -> impl Strategy<Value = Needs> {
    vec(any::<u32>(), 0..20).prop_map(|needs| needs.into_iter().map(|need| need % 100).fold(Needs::default(), counted))
}

fn counted(mut needs: Needs, need: u32) -> Needs {
    needs.count(need);
    needs
}

prop_compose! {
    fn any_seen()(
        needs in any_needs(), odd in vec(any_number(), 3), means in vec(maybe(), 8), peaks_bytes in vec(any_number(), 0..30),
    ) -> Seen {
        Seen {
            arrivals: means[0], needs, ready: odd[0], forked: odd[1], cold: odd[2], service_s: means[1], refill_s: means[2],
            wait_s: means[3], cpu_s: means[4], peaks_bytes, base_bytes: means[5], place_bytes: means[6],
        }
    }
}

fn any_observed() -> impl Strategy<Value = Observed> {
    (any::<u64>(), btree_map("[a-d]", any_seen(), 0..4)).prop_map(|(now_ms, pools)| Observed { now_ms, pools })
}

prop_compose! {
    fn any_bounds()(odd in vec(any_number(), 7), depths in vec(0..100u32, 2), hint in any::<u64>(), times in vec(any::<u64>(), 2), runs in vec(0..100u32, 2)) -> Bounds {
        Bounds {
            memory_bytes: odd[0] * MIB, depth_min: depths[0], depth_max: depths[1], ready_goal: odd[1], spread: odd[2], panic_ratio: odd[3],
            keep_ms_max: times[0], hold_ms: times[1], processors: odd[4], run_memory_bytes: odd[5] * MIB, concurrency_min: runs[0],
            concurrency_max: runs[1], memory_hint_bytes_max: hint, wait_goal_s: odd[6],
        }
    }
}

/// Runs as they usually are: (how many, the need of each).
fn usual() -> impl Strategy<Value = Vec<Vec<u32>>> {
    vec(vec(1..6u32, 0..20), 1..60)
}

fn seen(needs: &[u32], refill_s: f64) -> Seen {
    Seen {
        arrivals: Some(needs.len() as f64),
        needs: needs.iter().copied().fold(Needs::default(), counted),
        refill_s: Some(refill_s),
        service_s: Some(0.02),
        cpu_s: Some(0.01),
        ..Seen::default()
    }
}

fn one(now_ms: u64, seen: Seen) -> Observed {
    Observed { now_ms, pools: [("python".to_owned(), seen)].into() }
}

/// Ticks of one second; what was said last.
fn history(ticks: impl IntoIterator<Item = Seen>, bounds: &Bounds) -> (Tuning, State) {
    let (mut tuning, mut state) = (Tuning::default(), State::default());
    for (second, seen) in (1..).zip(ticks) {
        (tuning, state) = tune(&one(second * 1000, seen), &state, bounds);
    }
    (tuning, state)
}

fn depth(tuning: &Tuning) -> u32 {
    tuning.pools.get("python").map_or(0, |pool| pool.depth.value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_the_bounds_are_never_left(bounds in any_bounds(), ticks in vec(any_observed(), 1..30)) {
        let mut state = State::default();
        for seen in ticks {
            let (tuning, next) = tune(&seen, &state, &bounds);
            let (again, _) = tune(&seen, &state, &bounds);
            prop_assert_eq!(&tuning, &again, "the same goes in, the same comes out");
            for pool in tuning.pools.values() {
                prop_assert!(pool.depth.value <= bounds.depth_max.min(NEEDS as u32));
                prop_assert!(pool.memory_hint_bytes.value <= bounds.memory_hint_bytes_max);
                prop_assert!(pool.window.value.until_ms >= pool.window.value.prewarm_ms);
                let length = pool.window.value.until_ms - pool.window.value.prewarm_ms;
                prop_assert!(length <= bounds.keep_ms_max, "{:?}", pool.window);
                for why in [&pool.depth.why, &pool.window.why, &pool.memory_hint_bytes.why] {
                    prop_assert!(!why.is_empty() && !why.contains("NaN") && !why.contains("inf"), "{why}");
                }
            }
            let worker = &tuning.worker;
            prop_assert!((1..=bounds.concurrency_max.max(1)).contains(&worker.concurrency.value));
            prop_assert!((1.0..=1000.0).contains(&worker.backlog_target.value));
            let room = if bounds.memory_bytes.is_finite() { bounds.memory_bytes.max(0.0) } else { 0.0 };
            prop_assert!(tuning.room_bytes as f64 <= room);
            state = next;
        }
    }

    /// What pools are set to fits, by what each says that it needs.
    #[test]
    fn all_pools_together_fit_into_their_memory(
        memory_mib in 0.0..300.0f64, costs in vec((1.0..60.0f64, 0.5..10.0f64), 4), ticks in vec(vec(vec(1..20u32, 0..20), 4), 1..30),
    ) {
        let bounds = Bounds { memory_bytes: memory_mib * MIB, ..Bounds::default() };
        let mut state = State::default();
        let names = ["a", "b", "c", "d"];
        for (second, needs) in (1..).zip(ticks) {
            let pools = names.iter().zip(&needs).zip(&costs).map(|((name, needs), (base, place))| {
                let costs = Seen { base_bytes: Some(base * MIB), place_bytes: Some(place * MIB), ..seen(needs, 0.005) };
                ((*name).to_owned(), costs)
            });
            let (tuning, next) = tune(&Observed { now_ms: second * 1000, pools: pools.collect() }, &state, &bounds);
            let held = names.iter().zip(&costs).filter_map(|(name, (base, place))| {
                let depth = f64::from(tuning.pools.get(*name)?.depth.value);
                (depth > 0.0).then_some(base + depth * place)
            });
            let held: f64 = held.sum();
            prop_assert!(held <= memory_mib + 1e-6, "{held} of {memory_mib}");
            prop_assert!((held * MIB + tuning.room_bytes as f64 - bounds.memory_bytes).abs() < 2.0);
            state = next;
        }
    }

    #[test]
    fn greater_needs_and_slower_refills_never_make_a_pool_shallower(
        before in usual(), last in vec(1..6u32, 1..20), more in 0..10u32, refill_s in 0.001..0.1f64, slower in 1.0..10.0f64,
    ) {
        let bounds = Bounds { memory_bytes: 1e12, ..Bounds::default() };
        let run = |more: u32, refill_s: f64| {
            let last: Vec<u32> = last.iter().map(|need| need + more).collect();
            let ticks = before.iter().chain(std::iter::once(&last)).map(|needs| seen(needs, refill_s));
            depth(&history(ticks.collect::<Vec<_>>(), &bounds).0)
        };
        let usual = run(0, refill_s);
        prop_assert!(run(more, refill_s) >= usual);
        prop_assert!(run(0, refill_s * slower) >= usual);
    }

    #[test]
    fn more_memory_used_never_makes_a_smaller_hint(peaks in vec(1.0..100.0f64, 20..60), times in 1.0..4.0f64) {
        let hint = |times: f64| {
            let peaks_bytes = peaks.iter().map(|peak| peak * times * MIB).collect();
            let (tuning, _) = history([Seen { peaks_bytes, ..seen(&[1], 0.003) }], &Bounds::default());
            tuning.pools["python"].memory_hint_bytes.value
        };
        prop_assert!(hint(times) >= hint(1.0));
    }

    #[test]
    fn slower_runs_never_raise_the_backlog_target(service_s in 0.001..10.0f64, slower in 1.0..10.0f64) {
        let target = |service_s: f64| {
            let seen = Seen { service_s: Some(service_s), cpu_s: Some(service_s), ..seen(&[1], 0.003) };
            history([seen], &Bounds::default()).0.worker.backlog_target.value
        };
        prop_assert!(target(service_s * slower) <= target(service_s));
    }

    #[test]
    fn a_load_that_stays_the_same_changes_nothing(needs in vec(1..6u32, 1..20), refill_s in 0.001..0.02f64) {
        let bounds = Bounds::default();
        let (mut settled, mut state) = history(vec![seen(&needs, refill_s); 400], &bounds);
        for second in 401..1000 {
            let (tuning, next) = tune(&one(second * 1000, seen(&needs, refill_s)), &state, &bounds);
            prop_assert_eq!(depth(&tuning), depth(&settled), "second {}", second);
            prop_assert_eq!(tuning.worker.concurrency.value, settled.worker.concurrency.value);
            prop_assert_eq!(tuning.worker.backlog_target.value, settled.worker.backlog_target.value);
            (settled, state) = (tuning, next);
        }
    }

    /// The same ticks, once on a clock that goes back or ahead in the middle: what is kept is kept for as long at least, but for a minute.
    #[test]
    fn clocks_that_are_set_end_no_pool_early(before in usual(), by_ms in 0..100_000_000u64, ahead in any::<bool>()) {
        let bounds = Bounds::default();
        let (_, state) = history(before.iter().map(|needs| seen(needs, 0.003)), &bounds);
        let start_ms = 200_000_000;
        let run = |bent: bool| {
            let (_, mut state) = tune(&one(start_ms, seen(&[1], 0.003)), &state, &bounds);
            let depths = (1..=400u64).map(|second| {
                let moved = if !bent || second <= 40 { 0 } else { by_ms };
                let now_ms = start_ms + second * 1000;
                let now_ms = if ahead { now_ms + moved } else { now_ms - moved };
                let (tuning, next) = tune(&one(now_ms, seen(&[], 0.003)), &state, &bounds);
                state = next;
                depth(&tuning)
            });
            depths.collect::<Vec<_>>()
        };
        let (straight, bent) = (run(false), run(true));
        let early = if ahead { 61 } else { 0 };
        for second in 0..400 - early {
            prop_assert!(bent[second] >= straight[second + early], "second {second}: {} < {}", bent[second], straight[second + early]);
        }
    }
}
