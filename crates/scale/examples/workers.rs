//! Prints the figures of docs/scaling.md for workers of runs: `cargo run --release -p skylift-scale --example workers [SEEDS]`.
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use skylift_scale::sim::{Load, Service, Shape, compare_runs};

fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|seeds| seeds.parse().ok()).unwrap_or(20);
    // A worker is a process: it takes jobs a second after its start, two at a time.
    let micro = Service {
        service_s: 0.012,
        service_sigma: 0.7,
        boot_s: 1.0,
        slots: 2,
        goal_s: 1.0,
        min: 1,
        max: 40,
        ..Service::default()
    };
    let tasks = Service { service_s: 1.0, ..micro };
    for (name, shape, low, high, service) in [
        ("micro-tasks of 12 ms, a minute of 600 a second each quarter", Shape::Spike, 1.0, 600.0, micro),
        ("micro-tasks of 12 ms, square wave of 1 and 600 a second", Shape::Square, 1.0, 600.0, micro),
        ("micro-tasks of 12 ms, 250 a second", Shape::Poisson, 250.0, 250.0, micro),
        ("tasks of 1 s, a minute of 20 a second each quarter", Shape::Spike, 0.2, 20.0, tasks),
        ("tasks of 1 s, square wave of 0.2 and 20 a second", Shape::Square, 0.2, 20.0, tasks),
        ("tasks of 1 s, step of 1, 10 and 1 a second", Shape::Step, 1.0, 10.0, tasks),
    ] {
        let loads: Vec<_> = (1..=seeds).map(|seed| (seed, Load::of_shape(shape, low, high, 3600, seed))).collect();
        println!("{name}, 3600 s, seeds 1 to {seeds}: over 1 s, p99, worker-s, a worker-second, changes, gone busy");
        for (score, _) in compare_runs(&loads, &service) {
            println!(
                "  {:30} {:8.1} ({:5.2} %) {:6.2} s {:8.0} {:7.2} {:6.1} {:6.1}",
                score.scaler,
                score.over_goal,
                score.over_goal_percent,
                score.wait_p99_s,
                score.instance_s,
                score.served_per_instance_s,
                score.changes,
                score.gone_busy
            );
        }
    }
}
