use super::*;
use crate::{Policy, Settings};

/// Always the same number.
struct Fixed(u32);

impl Scaler for Fixed {
    fn want(&mut self, _: &Watched) -> u32 {
        self.0
    }
}

fn steady(rate: f64, seed: u64) -> Load {
    Load::of_shape(Shape::Poisson, rate, rate, 600, seed)
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_does_not() {
    let service = Service::default();
    let once = |seed| {
        let load = steady(5.0, seed);
        Score::of("", &run(&load, &service, &mut Fixed(20), seed), &load, &service)
    };
    assert_eq!(once(1), once(1));
    assert_ne!(once(1), once(2));
}

#[test]
fn every_request_is_served_once_or_still_waits() {
    for instances in [1, 5, 40] {
        let load = steady(5.0, 3);
        let done = run(&load, &Service::default(), &mut Fixed(instances), 3);
        assert_eq!(done.waits_ms.len() + done.unserved_ms.len(), load.arrivals_ms.len());
    }
}

#[test]
fn enough_instances_meet_the_goal_and_too_few_do_not() {
    let service = Service::default();
    let load = steady(5.0, 4);
    let score = |instances| Score::of("", &run(&load, &service, &mut Fixed(instances), 4), &load, &service);
    assert!(score(5).over_goal_percent > 50.0, "half of what is needed: {:?}", score(5));
    assert!(score(20).over_goal_percent < 10.0, "only the boot: {:?}", score(20));
    // 600 s of 20, but for the first second of 19.
    assert_eq!(score(20).instance_s, 20.0 * 600.0 - 19.0);
    assert_eq!(score(1).changes, 0.0);
    assert_eq!(score(20).changes, 1.0);
}

#[test]
fn a_boot_is_paid_for_and_serves_nothing() {
    let service = Service { boot_s: 1000.0, ..Service::default() };
    let load = steady(5.0, 5);
    let done = run(&load, &service, &mut Fixed(40), 5);
    assert!(done.waits_ms.len() < 400, "one instance serves 300: {}", done.waits_ms.len());
    assert!(done.instance_ms > 39 * 590_000);
}

#[test]
fn an_instance_that_goes_finishes_what_it_works_on() {
    /// Out and in by turns.
    struct Wave;
    impl Scaler for Wave {
        fn want(&mut self, watched: &Watched) -> u32 {
            if (watched.now_ms / 30_000).is_multiple_of(2) { 10 } else { 1 }
        }
    }
    let load = steady(1.0, 6);
    let done = run(&load, &Service { boot_s: 1.0, ..Service::default() }, &mut Wave, 6);
    assert_eq!(done.waits_ms.len() + done.unserved_ms.len(), load.arrivals_ms.len());
    assert!(done.points.iter().any(|point| point.instances > 1));
}

fn seen(now_s: u64, waiting: u32, in_flight: u32, ready: u32, desired: u32) -> Watched {
    let service = Service::default();
    let now_ms = now_s * 1000;
    let cpu_percent = (ready > 0).then(|| 100.0 * f64::from(in_flight) / f64::from(ready));
    Watched {
        now_ms,
        arrived: 0,
        waiting,
        in_flight,
        holding: in_flight.min(ready),
        ready,
        starting: desired - ready,
        desired,
        cpu_percent,
        service,
    }
}

#[test]
fn aws_goes_out_after_three_points_and_in_after_fifteen() {
    let mut aws = AwsTracking::backlog(5.0);
    let out: Vec<u32> = (1..=3).map(|minute| aws.want(&seen(minute * 60, 100, 4, 4, 4))).collect();
    assert_eq!(out, [4, 4, 20], "100 messages, 5 for each");
    let mut aws = AwsTracking::cpu(50.0);
    let points: Vec<u32> = (1..=15).map(|minute| aws.want(&seen(minute * 60, 0, 1, 4, 4))).collect();
    assert_eq!(points[13..], [4, 2], "25 % of 50 % on 4");
}

#[test]
fn the_hpa_doubles_at_most_and_holds_for_five_minutes() {
    let mut keda = KedaHpa::new(5.0);
    assert_eq!(keda.want(&seen(7, 500, 10, 10, 10)), 10, "not yet 15 s");
    assert_eq!(keda.want(&seen(15, 490, 10, 10, 10)), 20);
    assert_eq!(keda.want(&seen(30, 44, 10, 10, 10)), 10, "within a tenth nothing is wanted, but 100 lately were");
    let mut keda = KedaHpa::new(5.0);
    keda.want(&seen(15, 40, 10, 10, 10));
    let later: Vec<u32> = (2..=21).map(|n| keda.want(&seen(n * 15, 0, 5, 10, 10))).collect();
    assert_eq!(later.iter().position(|desired| *desired == 1), Some(19), "20 periods of 15 s");
}

#[test]
fn the_kpa_panics_up_and_not_down() {
    let mut kpa = Kpa::new(1);
    for second in 0..60 {
        kpa.want(&seen(second, 0, 2, 3, 3));
    }
    let up = (60..66).map(|second| kpa.want(&seen(second, 40, 3, 3, 3))).max();
    assert!(up >= Some(50), "{up:?}");
    let after = kpa.want(&seen(66, 0, 0, 3, 50));
    assert!(after >= 50, "{after}");
}

#[test]
fn the_targets_of_misses_cost_and_calm_are_met() {
    let service = Service::default();
    for (shape, low, high) in [(Shape::Step, 2.0, 20.0), (Shape::Diurnal, 1.0, 11.0)] {
        let loads: Vec<_> = (1..=1).map(|seed| (seed, Load::of_shape(shape, low, high, 3600, seed))).collect();
        let compared = compare(&loads, &service, &Settings::default());
        let of =
            |name: &str| compared.iter().map(|(score, _)| score).find(|score| score.scaler.starts_with(name)).unwrap();
        let (ours, keda, kpa) = (of("skylift, backlog"), of("keda"), of("knative"));
        assert!(ours.over_goal <= keda.over_goal / 5.0, "{shape:?}: {ours:?} {keda:?}");
        assert!(ours.instance_s <= keda.instance_s * 1.05, "{shape:?}: {ours:?} {keda:?}");
        assert!(ours.changes <= kpa.changes * 0.4, "{shape:?}: {ours:?} {kpa:?}");
    }
}

#[test]
fn workers_of_runs_are_faster_and_do_more_in_a_second_than_under_keda_and_aws() {
    let micro = Service {
        service_s: 0.012,
        service_sigma: 0.7,
        boot_s: 1.0,
        slots: 2,
        goal_s: 1.0,
        max: 40,
        ..Service::default()
    };
    let tasks = Service { service_s: 1.0, ..micro };
    for (shape, high, service) in
        [(Shape::Spike, 600.0, micro), (Shape::Square, 400.0, micro), (Shape::Square, 20.0, tasks)]
    {
        let loads = [(1, Load::of_shape(shape, 1.0, high, 900, 1))];
        let compared = compare_runs(&loads, &service);
        let of =
            |name: &str| compared.iter().map(|(score, _)| score).find(|score| score.scaler.starts_with(name)).unwrap();
        let ours = of("skylift, BacklogPerInstance");
        assert_eq!(ours.gone_busy, 0.0, "{ours:?}");
        for other in [of("keda"), of("aws")] {
            assert!(ours.over_goal <= other.over_goal / 5.0, "{shape:?}: {ours:?} {other:?}");
            assert!(ours.served_per_instance_s > other.served_per_instance_s, "{shape:?}: {ours:?} {other:?}");
        }
        assert!(ours.changes < 60.0, "two changes a minute: {ours:?}");
    }
}

#[test]
fn times_of_tasks_have_the_mean_that_was_asked_for() {
    let service = Service { service_s: 0.012, service_sigma: 0.7, ..Service::default() };
    let mut random = super::random::Random::new(1);
    let times: Vec<f64> = (0..20_000).map(|_| service.takes_s(&mut random)).collect();
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    assert!((mean / 0.012 - 1.0).abs() < 0.03, "{mean}");
    let short = times.iter().filter(|time| **time < 0.0094).count();
    assert!((9700..10_300).contains(&short), "half are below 9.4 ms: {short}");
}

#[test]
fn constant_load_settles() {
    let service = Service { service_spread: 0.0, ..Service::default() };
    let load = steady(10.0, 7);
    let mut ours =
        Skylift::new(&Settings { in_hold_ms: 3_600_000, ..Settings::default() }, Policy::Backlog(5.0), &service);
    let done = run(&load, &service, &mut ours, 7);
    assert!(done.changes < 25, "{}", done.changes);
}

#[test]
fn a_chart_has_a_line_for_each_and_is_whole() {
    let load = steady(5.0, 8);
    let compared = compare(&[(8, load.clone())], &Service::default(), &Settings::default());
    let svg = svg(&load, &compared);
    assert_eq!(svg.matches("<polyline").count(), 2 * compared.len() + 1);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("NaN"));
}
