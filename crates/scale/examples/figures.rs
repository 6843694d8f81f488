//! Prints how `decide` and the models of others do: `cargo run --release -p skylift-scale --example figures [SEEDS]`.
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use skylift_scale::Settings;
use skylift_scale::sim::{Load, Service, Shape, compare};

fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|seeds| seeds.parse().ok()).unwrap_or(20);
    let service = Service::default();
    for (shape, low, high) in [
        (Shape::Step, 2.0, 20.0),
        (Shape::Diurnal, 1.0, 11.0),
        (Shape::Sine, 2.0, 20.0),
        (Shape::Sawtooth, 2.0, 20.0),
        (Shape::Spike, 1.0, 40.0),
        (Shape::Poisson, 8.0, 12.0),
    ] {
        let loads: Vec<_> = (1..=seeds).map(|seed| (seed, Load::of_shape(shape, low, high, 3600, seed))).collect();
        println!(
            "{shape:?} {low} to {high} a second, 3600 s, seeds 1 to {seeds}: over the goal, instance-s, over-provisioned, changes, p99"
        );
        let compared = compare(&loads, &service, &Settings::default());
        for (score, _) in &compared {
            println!(
                "  {:20} {:8.1} ({:5.2} %) {:9.0} {:9.0} {:6.1} {:7.1} s",
                score.scaler,
                score.over_goal,
                score.over_goal_percent,
                score.instance_s,
                score.over_provisioned_s,
                score.changes,
                score.wait_p99_s
            );
        }
        let of = |name: &str| compared.iter().map(|(score, _)| score).find(|score| score.scaler.starts_with(name));
        let (Some(ours), Some(keda), Some(kpa)) = (of("skylift, backlog"), of("keda"), of("knative")) else { continue };
        println!(
            "  ratios: {:.3} of KEDA's misses at {:.2} of its instance-seconds; {:.2} of KPA's changes",
            ours.over_goal / keda.over_goal,
            ours.instance_s / keda.instance_s,
            ours.changes / kpa.changes
        );
    }
}
