use skylift_model::run::Usage;

use super::*;

fn step(wall_us: u64, cpu_us: u64, peak_memory_bytes: u64) -> Step {
    Step { usage: Usage { cpu_us, wall_us, peak_memory_bytes }, ..Step::exited(0) }
}

#[test]
fn two_wait_until_something_is_known_and_nothing_is_told_before() {
    let tuner = Tuner::new(256 << 20);
    assert_eq!((tuner.depth("python"), tuner.tick(), tuner.told()), (2, false, None));
}

#[test]
fn what_runs_need_and_use_is_counted_and_told() {
    let tuner = Tuner::new(256 << 20);
    // A place takes an hour, so that each of these needs one more than the one before.
    tuner.refilled("python", Duration::from_secs(3600));
    for _ in 0..5 {
        tuner.asked("python", true, Duration::from_millis(2));
    }
    for start in [Warmth::Pool, Warmth::Pool, Warmth::Pool, Warmth::Fork, Warmth::Cold] {
        (0..5).for_each(|_| tuner.ended("python", start, &step(20_000, 10_000, 10 << 20)));
    }
    assert!(tuner.tick(), "from nothing to five");
    let told = tuner.told().unwrap();
    let python = &told.pools[0];
    let depth = python.depth.as_ref().unwrap();
    assert_eq!((depth.value, tuner.depth("python")), (5.0, 5), "{depth:?}");
    assert_eq!((python.ready_percent, python.cold_percent), (Some(60.0), Some(20.0)));
    assert_eq!((python.service_us, python.cpu_us, python.wait_us), (Some(20_000), Some(10_000), Some(2_000)));
    assert!(python.memory_hint_bytes.value >= f64::from(10 << 20) * 1.25, "{:?}", python.memory_hint_bytes);
    assert!(python.window.as_ref().unwrap().until_ms == 300_000);
    assert!(!tuner.tick(), "the same as before");
}

#[test]
fn a_language_without_places_takes_none_of_their_memory_and_tells_no_depth() {
    let tuner = Tuner::new(256 << 20);
    tuner.asked("go", false, Duration::ZERO);
    tuner.asked("python", true, Duration::ZERO);
    tuner.tick();
    let told = tuner.told().unwrap();
    let depths: Vec<_> = told.pools.iter().map(|pool| (pool.language.as_str(), pool.depth.is_some())).collect();
    assert_eq!(depths, [("go", false), ("python", true)]);
    assert_eq!(
        told.room_bytes,
        (90 - 10 - 2 * 3) << 20,
        "one pool of two places, as reckoned with before it is measured"
    );
}

#[test]
fn a_change_of_depth_is_told_once() {
    let tuner = Tuner::new(256 << 20);
    tuner.asked("python", true, Duration::ZERO);
    assert!(tuner.tick());
    tuner.asked("python", true, Duration::ZERO);
    assert!(!tuner.tick());
}
