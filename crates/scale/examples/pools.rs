//! Prints the figures of docs/scaling.md: `cargo run --release -p skylift-scale --example pools [SEEDS [SECONDS]]`.
#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use skylift_scale::sim::pools::{Arrivals, LANGUAGES, Loads, Mix, PoolScore, Runs, better, of_fixed, of_tuned};
use skylift_scale::tune::Bounds;

const MIB: f64 = 1_048_576.0;
const RATE: f64 = 20.0;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = |otherwise: u32| words.next().and_then(|word| word.parse().ok()).unwrap_or(otherwise);
    let (seeds, seconds) = (word(10), word(14_400));
    println!("{RATE} a second, {seconds} s, seeds 1 to {seeds}: ready, forked, cold; memory in the mean, at most");
    for (arrivals, timers) in
        [(Arrivals::Poisson, true), (Arrivals::Bursty, true), (Arrivals::Diurnal, true), (Arrivals::Poisson, false)]
    {
        let mix = Mix { timers, ..Mix::traces(arrivals, RATE, seconds) };
        let loads: Loads = ((1..=u64::from(seeds)).map(|seed| Runs::of(&mix, &LANGUAGES, seed)).collect(), seconds);
        println!("{arrivals:?}{}", if timers { "" } else { ", no timers" });
        let within = |mib: f64| of_tuned(&loads, &Bounds { memory_bytes: mib * MIB, ..Bounds::default() });
        print("tuned, with memory for all", &within(1e6));
        print("tuned, in 90 MiB", &within(90.0));
        for depth in [1, 2, 3, 4, 8, 16] {
            let fixed = of_fixed(&loads, depth);
            let tuned = within(fixed.mib);
            print(&format!("fixed {depth}"), &fixed);
            let verdict = if better(&tuned, &fixed) { "better" } else { "not better" };
            print(&format!("tuned, in {:.1} MiB: {verdict}", fixed.mib), &tuned);
        }
    }
}

fn print(name: &str, score: &PoolScore) {
    println!(
        "  {name:28} {:7.3} % {:6.3} % {:6.3} % {:7.1} {:7.1} MiB",
        score.ready_percent, score.forked_percent, score.cold_percent, score.mib, score.most_mib
    );
}
