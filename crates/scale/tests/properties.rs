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
        waiting in any_number(), in_flight in any_number(), holding in prop::option::of(any_count()), arrivals_per_s in any_number(),
        service_s in any_number(), boot_s in any_number(),
    ) -> Observed {
        let cpu = percent.map(|percent| Cpu { percent, reporting });
        Observed { ready, starting, cpu, waiting, in_flight, holding, arrivals_per_s, service_s, boot_s }
    }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let target = any_number().prop_map(|target| target.unwrap_or(1.0));
    (0..5u8, target).prop_map(|(kind, target)| match kind {
        0 => Policy::Cpu(target),
        1 => Policy::InFlight(target),
        2 => Policy::Rps(target),
        3 => Policy::BacklogPerInstance(target),
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
            holding: None,
            arrivals_per_s: Some(arrivals),
            service_s: Some(0.5),
            boot_s: Some(10.0),
        },
    );
    let policies = prop::sample::subsequence(
        vec![
            Policy::Cpu(50.0),
            Policy::InFlight(4.0),
            Policy::Rps(3.0),
            Policy::Backlog(5.0),
            Policy::BacklogPerInstance(5.0),
        ],
        1..=5,
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
            Policy::InFlight(_) | Policy::Backlog(_) | Policy::BacklogPerInstance(_) => matches!(lost, 1 | 2 | 4),
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

    /// Workers of runs: whoever holds a job stays, whatever was seen before.
    #[test]
    fn no_worker_that_holds_a_job_goes(
        ticks in vec((0..20u32, 0.0..40.0f64, 0.0..40.0f64, 0.0..50.0f64, 0.001..2.0f64, any::<bool>()), 1..60), slots in 1..5u32,
    ) {
        let settings = Settings { max: 60, slots: f64::from(slots), ..Settings::for_runs() };
        let mut state = State::default();
        for (second, (ready, waiting, in_flight, arrivals, service_s, is_calm)) in (1..).zip(ticks) {
            let (waiting, arrivals) = if is_calm { (0.0, 0.0) } else { (waiting.floor(), arrivals) };
            let in_flight = in_flight.floor();
            let seen = Observed {
                ready, waiting: Some(waiting), in_flight: Some(in_flight), arrivals_per_s: Some(arrivals),
                service_s: Some(service_s), boot_s: Some(1.0), ..Observed::default()
            };
            let decision = decide(&seen, &settings, &mut state, second * 1000);
            let holders = (in_flight as u32).min(ready);
            prop_assert!(decision.desired >= holders, "{} < {holders}: {}", decision.desired, decision.reason);
        }
    }

    /// What is known of arrivals and times adds workers to what the backlog asks for; it never takes one away.
    #[test]
    fn anticipation_only_adds((settings, before, last) in usual(), service_s in 0.001..5.0f64, boot_s in 0.0..60.0f64) {
        let settings = Settings { policies: vec![Policy::BacklogPerInstance(5.0)], drained: Drained::AtOnce, ..settings };
        let mut state = history(&settings, &before);
        let seen = Observed { service_s: Some(service_s), boot_s: Some(boot_s), ..last };
        let decision = decide(&seen, &settings, &mut state, before.len() as u64 * 1000 + 1000);
        let backlog = decision.answers.iter().find(|answer| answer.law == "backlog_per_instance").unwrap();
        prop_assert!(decision.desired >= backlog.wants.unwrap().clamp(settings.min, settings.max), "{decision:?}");
    }

    /// A clock that is set an hour ahead counts for ten seconds at most: nothing is scaled in sooner than that.
    #[test]
    fn a_clock_that_goes_ahead_shortens_holds_by_seconds_and_not_by_an_hour((settings, before, last) in usual()) {
        let state = history(&settings, &before);
        let idle = Observed { waiting: Some(0.0), in_flight: Some(0.0), arrivals_per_s: Some(0.0), cpu: last.cpu.map(|cpu| Cpu { percent: 0.0, ..cpu }), ..last };
        let run = |ahead_ms: u64| {
            let mut state = state.clone();
            let decide = |second: u64| {
                let ahead_ms = if second > 40 { ahead_ms } else { 0 };
                decide(&idle, &settings, &mut state, 20_000_000 + second * 1000 + ahead_ms).desired
            };
            (1..=310).map(decide).collect::<Vec<_>>()
        };
        let (straight, ahead) = (run(0), run(HOUR_MS));
        for (second, desired) in ahead.iter().take(300).enumerate() {
            prop_assert!(*desired >= straight[second + 10], "second {second}: {desired} < {}", straight[second + 10]);
        }
    }

    /// Sensors that say nothing, nonsense or what they said before, clocks that are set an hour ahead or back, and instances that
    /// are all unhealthy, while as much is asked all the time.
    #[test]
    fn under_steady_load_nothing_that_sensors_and_clocks_do_makes_it_flap_or_ends_the_last_one(
        load in 1.0..60.0f64, policies in some_policies(), faults in vec((any_fault(), 1..30u64), 1..40), min in 0..3u32,
    ) {
        let settings = Settings { min, max: 60, policies, ..Settings::default() };
        let mut state = State::default();
        let (mut now_ms, mut ready, mut ticks, mut changes) = (100 * HOUR_MS, 1, 0, 0_u64);
        let calm = std::iter::once((Fault::None, 200));
        for (fault, seconds) in calm.chain(faults) {
            match fault {
                Fault::Ahead => now_ms += HOUR_MS,
                Fault::Back => now_ms -= HOUR_MS.min(now_ms),
                _ => {}
            }
            for _ in 0..seconds {
                now_ms += 1000;
                let seen = with_fault(steady(load, ready), fault);
                let decision = decide(&seen, &settings, &mut state, now_ms);
                prop_assert!((min.max(1)..=60).contains(&decision.desired), "{}: {}", decision.desired, decision.reason);
                ticks += 1;
                changes += u64::from(ticks > 200 && decision.step != Step::Stay);
                ready = decision.desired;
            }
        }
        prop_assert!(changes <= ticks / 60, "{changes} changes in {ticks} s");
    }
}

const HOUR_MS: u64 = 3_600_000;

/// What is wrong for a while.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Ahead,
    Back,
    /// Nobody says anything.
    Silent,
    /// One says nothing, by its number.
    Missing(u8),
    /// All say what is no number.
    Nonsense,
    /// No instance is well.
    AllUnhealthy,
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::None),
        Just(Fault::Ahead),
        Just(Fault::Back),
        Just(Fault::Silent),
        (0..4u8).prop_map(Fault::Missing),
        Just(Fault::Nonsense),
        Just(Fault::AllUnhealthy),
    ]
}

fn some_policies() -> impl Strategy<Value = Vec<Policy>> {
    prop::sample::subsequence(vec![Policy::Cpu(50.0), Policy::InFlight(4.0), Policy::Rps(3.0)], 1..=3)
}

/// What is seen of so much to do, while so many do it.
fn steady(load: f64, ready: u32) -> Observed {
    Observed {
        ready,
        cpu: Some(Cpu { percent: (load * 10.0 / f64::from(ready)).min(100.0), reporting: ready }),
        waiting: Some(0.0),
        in_flight: Some(load),
        arrivals_per_s: Some(load),
        service_s: Some(1.0),
        boot_s: Some(1.0),
        ..Observed::default()
    }
}

fn with_fault(seen: Observed, fault: Fault) -> Observed {
    match fault {
        Fault::None | Fault::Ahead | Fault::Back => seen,
        Fault::Silent => Observed { ready: seen.ready, ..Observed::default() },
        Fault::Missing(0) => Observed { cpu: None, ..seen },
        Fault::Missing(1) => Observed { waiting: None, ..seen },
        Fault::Missing(2) => Observed { in_flight: None, ..seen },
        Fault::Missing(_) => Observed { arrivals_per_s: None, ..seen },
        Fault::Nonsense => Observed {
            cpu: seen.cpu.map(|cpu| Cpu { percent: f64::NAN, ..cpu }),
            waiting: Some(f64::INFINITY),
            in_flight: Some(-1.0),
            arrivals_per_s: Some(f64::NAN),
            service_s: Some(f64::NAN),
            ..seen
        },
        Fault::AllUnhealthy => Observed { ready: 0, cpu: None, waiting: Some(1.0), ..seen },
    }
}
