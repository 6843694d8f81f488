use super::*;
use crate::tune::Bounds;

const MIB: f64 = 1_048_576.0;

/// Seeds and seconds: few here, more in the soak.
fn counts() -> (std::ops::RangeInclusive<u64>, u32) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("SKYLIFT_SEED").unwrap_or(1);
    match number("SKYLIFT_SOAK") {
        Some(1) => (first..=first + 9, 14_400),
        _ => (1..=1, 5400),
    }
}

/// Fixed sizes: a few here, all in the soak.
fn sizes() -> Vec<u32> {
    if counts().0.count() > 1 { (1..=16).collect() } else { vec![1, 2, 4, 16] }
}

fn loads(mix: &Mix) -> Loads {
    (counts().0.map(|seed| Runs::of(mix, &LANGUAGES, seed)).collect(), mix.seconds)
}

fn ample() -> Bounds {
    Bounds { memory_bytes: 1e12, ..Bounds::default() }
}

/// The tuner, never allowed to hold more than a fixed size holds in the mean, is better than that size.
fn beats_every_fixed_size(arrivals: Arrivals, rate: f64) {
    let loads = loads(&Mix::traces(arrivals, rate, counts().1));
    for depth in sizes() {
        let fixed = of_fixed(&loads, depth);
        let tuned = of_tuned(&loads, &Bounds { memory_bytes: fixed.mib * MIB, ..Bounds::default() });
        assert!(tuned.most_mib <= fixed.mib + 0.001, "{tuned:?}");
        assert!(better(&tuned, &fixed) && !better(&fixed, &tuned), "{tuned:?} {fixed:?}");
    }
}

#[test]
fn within_the_memory_of_any_fixed_size_it_is_better_on_poisson_arrivals() {
    beats_every_fixed_size(Arrivals::Poisson, 20.0);
}

#[test]
fn within_the_memory_of_any_fixed_size_it_is_better_on_bursts() {
    beats_every_fixed_size(Arrivals::Bursty, 20.0);
}

#[test]
fn within_the_memory_of_any_fixed_size_it_is_better_on_a_wave() {
    beats_every_fixed_size(Arrivals::Diurnal, 20.0);
}

/// One setting for all sizes: those that are as ready hold more, and those that hold less are less ready.
#[test]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
fn with_memory_for_all_no_fixed_size_is_better_and_all_from_four_on_are_worse() {
    for arrivals in [Arrivals::Poisson, Arrivals::Bursty, Arrivals::Diurnal] {
        let loads = loads(&Mix::traces(arrivals, 20.0, counts().1));
        let tuned = of_tuned(&loads, &ample());
        for depth in sizes() {
            let fixed = of_fixed(&loads, depth);
            assert!(!better(&fixed, &tuned), "{tuned:?} {fixed:?}");
            assert!(depth < 4 || better(&tuned, &fixed), "{tuned:?} {fixed:?}");
        }
        eprintln!("figure: {arrivals:?}: {:.3} % ready in {:.1} MiB", tuned.ready_percent, tuned.mib);
    }
}

#[test]
fn without_timers_it_is_as_ready_to_a_hundredth_and_holds_a_tenth_less() {
    let mix = Mix { timers: false, ..Mix::traces(Arrivals::Poisson, 20.0, counts().1) };
    let loads = loads(&mix);
    let (tuned, fixed) = (of_tuned(&loads, &ample()), of_fixed(&loads, 4));
    assert!(tuned.ready_percent > fixed.ready_percent - 0.02, "{tuned:?} {fixed:?}");
    assert!(tuned.mib < fixed.mib * 0.9, "{tuned:?} {fixed:?}");
    // Nothing is let go here: what changes is depth alone.
    assert!(tuned.changes < 4.0, "{tuned:?}");
}

#[test]
fn the_bound_of_memory_holds_at_every_moment() {
    let loads = loads(&Mix::traces(Arrivals::Bursty, 20.0, 1800));
    for mib in [15.0, 40.0, 90.0] {
        let tuned = of_tuned(&loads, &Bounds { memory_bytes: mib * MIB, ..Bounds::default() });
        assert!(tuned.most_mib <= mib && tuned.mib > mib * 0.7, "{tuned:?}");
    }
}

/// The same pools under somebody who keeps none, and one that never lets go: the figures can tell.
#[test]
fn figures_tell_no_pools_from_pools_that_stay() {
    let (load, seconds) = loads(&Mix::traces(Arrivals::Poisson, 20.0, 1800));
    let of = |keeper: &mut dyn Keeper| {
        let held = run(&load[0], seconds, keeper);
        let (ready, cold, mib) =
            held.pools.values().fold((0.0, 0.0, 0.0), |(r, c, m), p| (r + p.ready, c + p.cold, m + p.held_mib_s));
        (ready, cold, mib / held.seconds)
    };
    let runs = load[0].iter().map(|runs| runs.runs.len()).sum::<usize>() as f64;
    assert_eq!(of(&mut Fixed::new(0, 300)), (0.0, runs, 0.0));
    let (ready, cold, mib) = of(&mut Fixed::new(16, u64::MAX));
    assert!(ready > runs * 0.998 && cold < 40.0, "{ready} {cold} of {runs}");
    let all: f64 = LANGUAGES.iter().map(|language| language.base_mib + 16.0 * language.place_mib).sum();
    assert!((all * 0.8..=all).contains(&mib), "{mib} of {all}");
}

#[test]
fn places_are_made_one_after_another_and_memory_is_that_of_what_is_there() {
    let language =
        Language { name: "python", base_mib: 10.0, place_mib: 2.0, start_s: 1.0, refill_s: 0.5, cold_s: 0.1 };
    let at = |at_s| Run { at_s, takes_s: 1.0, peak_bytes: 1e6 };
    // The first starts the pool; at 1.0 it is loaded, at 1.5 and 2.0 places are ready.
    let runs = Runs { language, runs: [0.0, 0.9, 1.2, 1.6, 3.0, 3.1, 3.2].map(at).to_vec() };
    let held = run(&[runs], 10, &mut Fixed::new(2, 300));
    let pool = held.pools["python"];
    assert_eq!((pool.ready, pool.forked, pool.cold), (3.0, 2.0, 2.0), "1.2 and 3.2 find it empty");
    // All of 10 s: 10 MiB and one place; and another from 1.5 to the end, but while both are missing (1.6 to 2.0, 3.1 to 3.5).
    let expected = 10.0 * 12.0 + (8.5 - 0.4 - 0.4) * 2.0;
    assert!((pool.held_mib_s - expected).abs() < 1e-6, "{} {expected}", pool.held_mib_s);
}

#[test]
fn arrivals_vary_as_they_should() {
    let cv = |arrivals| {
        let mix = Mix { timers: false, ..Mix::traces(arrivals, 10.0, 36_000) };
        Runs::of(&mix, &LANGUAGES[..3], 7)
            .iter()
            .map(|pool| {
                let gaps: Vec<f64> = pool.runs.windows(2).map(|pair| pair[1].at_s - pair[0].at_s).collect();
                let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
                (gaps.iter().map(|gap| gap * gap).sum::<f64>() / gaps.len() as f64 - mean * mean).sqrt() / mean
            })
            .collect::<Vec<f64>>()
    };
    assert!(cv(Arrivals::Poisson).iter().all(|cv| (0.95..1.05).contains(cv)), "{:?}", cv(Arrivals::Poisson));
    assert!(cv(Arrivals::Bursty).iter().all(|cv| (2.0..5.0).contains(cv)), "{:?}", cv(Arrivals::Bursty));
    for arrivals in [Arrivals::Poisson, Arrivals::Bursty, Arrivals::Diurnal] {
        let mix = Mix::traces(arrivals, 10.0, 36_000);
        let count: usize = Runs::of(&mix, &LANGUAGES, 1).iter().map(|pool| pool.runs.len()).sum();
        assert!((250_000..380_000).contains(&count), "{arrivals:?}: {count}, less what timers replace");
    }
}

#[test]
fn the_same_seed_gives_the_same_runs_and_times_and_memory_are_within_their_bounds() {
    let mix = Mix::traces(Arrivals::Bursty, 20.0, 600);
    let once = |seed| Runs::of(&mix, &LANGUAGES, seed).into_iter().map(|pool| pool.runs).collect::<Vec<_>>();
    assert_eq!(once(1), once(1));
    assert_ne!(once(1), once(2));
    for run in once(1).iter().flatten() {
        assert!(run.takes_s <= 10.0 && run.takes_s >= 0.001 && run.peak_bytes > 0.0 && run.peak_bytes.is_finite());
    }
}

/// Of a hundred runs one may use more than its hint without the quarter: by the memory of the traces.
#[test]
fn hints_cover_what_runs_use() {
    let mix = Mix::traces(Arrivals::Poisson, 20.0, 1800);
    let load = Runs::of(&mix, &LANGUAGES[..1], 3);
    let mut tuned = Tuned::new(Bounds { memory_hint_bytes_max: u64::MAX, ..Bounds::default() });
    run(&load, mix.seconds, &mut tuned);
    let hint = tuned.tuning.pools["python"].memory_hint_bytes.value as f64;
    let over = load[0].runs.iter().filter(|run| run.peak_bytes > hint).count() as f64 / load[0].runs.len() as f64;
    assert!((0.0005..0.01).contains(&over), "{over} use more than {hint}");
}

#[test]
fn better_is_more_ready_with_no_more_memory_or_less_memory_with_no_fewer_ready() {
    let score = |ready_percent, mib| PoolScore { ready_percent, mib, ..PoolScore::default() };
    let one = score(99.0, 100.0);
    for (other, expected) in [
        (score(98.9, 100.0), true),
        (score(99.0, 101.0), true),
        (score(98.0, 101.0), true),
        (score(99.0, 100.0), false),
        (score(99.001, 100.01), false),
        (score(98.0, 99.0), false),
        (score(99.1, 101.0), false),
    ] {
        assert_eq!(better(&one, &other), expected, "{other:?}");
    }
}
