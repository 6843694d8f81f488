//! What holds whatever is seen.

use proptest::collection::vec;
use proptest::prelude::*;
use skylift_scale::{Cpu, Drained, Observed, Policy, Settings, State, Step, decide};

/// Any number a sensor can send.
fn any_number() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        4 => (0.0..200.0f64).prop_map(Some),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, f64::MAX, f64::MIN_POSITIVE]).prop_map(Some),
        1 => Just(None),
    ]
}

fn any_count() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..50u32, 1 => Just(u32::MAX)]
}

prop_compose! {
    fn any_seen()(
        ready in any_count(), starting in any_count(), percent in any_number(), reporting in any_count(),
        waiting in any_number(), in_flight in any_number(), arrivals_per_s in any_number(),
        service_s in any_number(), boot_s in any_number(),
    ) -> Observed {
        let cpu = percent.map(|percent| Cpu { percent, reporting });
        Observed { ready, starting, cpu, waiting, in_flight, arrivals_per_s, service_s, boot_s }
    }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let target = any_number().prop_map(|target| target.unwrap_or(1.0));
    (0..4u8, target).prop_map(|(kind, target)| match kind {
        0 => Policy::Cpu(target),
        1 => Policy::InFlight(target),
        2 => Policy::Rps(target),
        _ => Policy::Backlog(target),
    })
}

prop_compose! {
    fn any_settings()(
        min in 0..20u32, max in 0..60u32, policies in vec(any_policy(), 0..4), odd in vec(any_number(), 5),
        hold in prop_oneof![0..200_000u64, Just(u64::MAX)], percent in 0..200u32, at_once in any::<bool>(),
        window in prop_oneof![0..100_000u64, Just(u64::MAX)],
    ) -> Settings {
        let odd = |i: usize| odd[i].unwrap_or(1.0);
        Settings {
            min, max, policies, tolerance: odd(0), slots: odd(1), use_of_slots: odd(2), surge_sigmas: odd(3), panic_ratio: odd(4),
            in_hold_ms: hold, in_percent_max: percent, slow_ms: window, idle_ms: window, drain_ms: hold,
            drained: if at_once { Drained::AtOnce } else { Drained::Hold },
            ..Settings::default()
        }
    }
}

/// Decides on each observation in turn, at the given times.
fn history(settings: &Settings, seen: &[(Observed, u64)]) -> State {
    let mut state = State::default();
    for (seen, now_ms) in seen {
        decide(seen, settings, &mut state, *now_ms);
    }
    state
}

/// Settings and observations as they usually are, with every sensor there.
fn usual() -> impl Strategy<Value = (Settings, Vec<(Observed, u64)>, Observed)> {
    let seen = (0..20u32, 0.0..100.0f64, 0.0..100.0f64, 0.0..50.0f64, 0.0..100.0f64).prop_map(
        |(ready, waiting, in_flight, arrivals, percent)| Observed {
            ready,
            starting: 0,
            cpu: (ready > 0).then_some(Cpu { percent, reporting: ready }),
            waiting: Some(waiting),
            in_flight: Some(in_flight),
            arrivals_per_s: Some(arrivals),
            service_s: Some(0.5),
            boot_s: Some(10.0),
        },
    );
    let policies = prop::sample::subsequence(
        vec![Policy::Cpu(50.0), Policy::InFlight(4.0), Policy::Rps(3.0), Policy::Backlog(5.0)],
        1..=4,
    );
    (policies, vec(seen.clone(), 1..40), seen).prop_map(|(policies, before, last)| {
        let settings = Settings { max: 60, policies, ..Settings::default() };
        (settings, before.into_iter().zip((1..).map(|second| second * 1000)).collect(), last)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_the_bounds_are_never_left(
        settings in any_settings(), ticks in vec((any_seen(), any::<u64>(), any::<Option<u32>>()), 1..40),
    ) {
        let mut state = State::default();
        for (seen, now_ms, by_hand) in ticks {
            if let Some(desired) = by_hand { state.set_desired(desired) }
            let decision = decide(&seen, &settings, &mut state, now_ms);
            prop_assert!(decision.desired <= settings.max);
            prop_assert!(decision.desired >= settings.min.min(settings.max));
            prop_assert!(!decision.reason.is_empty());
        }
    }

    #[test]
    fn a_lost_sensor_never_scales_in((settings, before, last) in usual(), lost in 0..5u8) {
        let mut state = history(&settings, &before);
        let from = state.desired().unwrap();
        let mut seen = last;
        match lost {
            0 => seen.cpu = None,
            1 => seen.waiting = Some(f64::NAN),
            2 => seen.in_flight = None,
            3 => seen.arrivals_per_s = Some(f64::INFINITY),
            _ => seen = Observed { ready: seen.ready, ..Observed::default() },
        }
        let policies = settings.policies.iter().any(|policy| match policy {
            Policy::Cpu(_) => seen.cpu.is_none() && seen.ready > 0,
            Policy::InFlight(_) | Policy::Backlog(_) => matches!(lost, 1 | 2 | 4),
            Policy::Rps(_) => lost >= 3,
        });
        prop_assume!(policies);
        for second in 0..400 {
            let decision = decide(&seen, &settings, &mut state, 100_000 + second * 1000);
            prop_assert!(decision.desired >= from, "{}", decision.reason);
        }
    }

    #[test]
    fn more_load_never_means_fewer(
        (settings, before, last) in usual(), more in (0.0..100.0f64, 0.0..100.0f64, 0.0..100.0f64, 0.0..100.0f64),
    ) {
        let state = history(&settings, &before);
        let now_ms = before.len() as u64 * 1000 + 1000;
        let less = decide(&last, &settings, &mut state.clone(), now_ms).desired;
        let seen = Observed {
            waiting: last.waiting.map(|v| v + more.0),
            in_flight: last.in_flight.map(|v| v + more.1),
            arrivals_per_s: last.arrivals_per_s.map(|v| v + more.2),
            cpu: last.cpu.map(|cpu| Cpu { percent: cpu.percent + more.3, ..cpu }),
            ..last
        };
        let answer = decide(&seen, &settings, &mut state.clone(), now_ms);
        prop_assert!(answer.desired >= less, "{} < {less}: {}", answer.desired, answer.reason);
    }

    #[test]
    fn a_clock_that_goes_back_shortens_no_hold((settings, before, last) in usual(), back in 0..10_000_000u64) {
        let mut state = history(&settings, &before);
        let now_ms = 20_000_000;
        let from = decide(&last, &settings, &mut state, now_ms).desired;
        let idle = Observed { waiting: Some(0.0), in_flight: Some(0.0), arrivals_per_s: Some(0.0), cpu: last.cpu.map(|cpu| Cpu { percent: 0.0, ..cpu }), ..last };
        let mut twin = state.clone();
        // The same ticks, once on a clock that goes back in the middle: it may only be later in scaling in.
        for second in 1..=300u64 {
            let straight = decide(&idle, &settings, &mut state, now_ms + second * 1000).desired;
            let moved = now_ms + second * 1000 - if second > 40 { back } else { 0 };
            let bent = decide(&idle, &settings, &mut twin, moved).desired;
            prop_assert!(bent >= straight, "second {second}: {bent} < {straight} of {from}");
        }
    }

    #[test]
    fn a_square_wave_shorter_than_the_hold_changes_nothing_once_it_is_known(
        half in 1..44u64, low in 0.0..5.0f64, high in 20.0..40.0f64, policy in 0..3u8,
    ) {
        let policy = [Policy::InFlight(4.0), Policy::Backlog(5.0), Policy::Cpu(50.0)][usize::from(policy)];
        let settings = Settings { max: 1000, policies: vec![policy], ..Settings::default() };
        let mut state = State::default();
        let (mut ready, mut late) = (1, 0);
        for second in 0..1200u64 {
            let busy = if second / half % 2 == 0 { high } else { low };
            let seen = Observed {
                ready, cpu: Some(Cpu { percent: (busy * 10.0 / f64::from(ready)).min(100.0), reporting: ready }),
                waiting: Some(0.0), in_flight: Some(busy), arrivals_per_s: Some(busy), service_s: Some(1.0), boot_s: Some(0.0),
                ..Observed::default()
            };
            let decision = decide(&seen, &settings, &mut state, second * 1000);
            late += u32::from(second > 400 && decision.step != Step::Stay);
            ready = decision.desired.max(1);
        }
        prop_assert!(late <= 1, "{late} changes of a wave that is known");
    }
}
