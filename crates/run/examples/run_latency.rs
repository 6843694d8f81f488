//! What runs cost inside a worker, from the job to its ending: hello of each interpreter that can wait, one after another, and the memory of
//! all that waits meanwhile. Prints; asserts only that it is done.
//!
//! `cargo run --release -p skylift-run --example run_latency -- [runs]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that is run by hand")]

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use skylift_model::run::{File, Job, LIMITS, RunStatus};
use skylift_model::{RunId, Timestamp};
use skylift_run::{Catalogue, Runner};
use skylift_sandbox::InitFile;

const HELLO: [(&str, &str, &str); 2] = [("python", "main.py", "print(42)"), ("node", "main.js", "console.log(42)")];

fn main() {
    if std::env::args().nth(1).as_deref() == Some("sandbox-init") {
        skylift_sandbox::init_main();
    }
    let runs = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(200);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(measure(runs));
}

async fn measure(runs: u32) {
    let init = InitFile::new(&fs::read("/proc/self/exe").unwrap()).ok();
    let runner = Runner::new(Catalogue::look(init.as_ref()), LIMITS, init, (4, skylift_run::Kept::default()));
    for (language, file, source) in HELLO {
        let mut took = BTreeMap::<String, Vec<[f64; 3]>>::new();
        for number in 0..runs {
            let began = Instant::now();
            let ending = runner.run(&job(language, file, source), skylift_run::Attached::default()).await.unwrap();
            let all = began.elapsed().as_secs_f64() * 1000.0;
            let step = &ending.steps[0];
            assert_eq!((step.status, step.stdout.as_slice()), (RunStatus::Ok, b"42\n".as_slice()));
            let milliseconds = |micros: u64| micros as f64 / 1000.0;
            let times = [all, milliseconds(ending.dispatch_us), milliseconds(step.usage.wall_us)];
            took.entry(format!("{:?}", ending.start)).or_default().push(times);
            // The first few find nothing that waits yet; what is refilled beside is not what is measured.
            let pause = if number < 5 { 300 } else { 25 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        for (start, mut times) in took {
            let mut column = |which: usize| {
                times.sort_by(|one, other| one[which].total_cmp(&other[which]));
                let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize][which];
                format!("p50 {:.2} p99 {:.2}", at(0.5), at(0.99))
            };
            let (all, dispatch, wall) = (column(0), column(1), column(2));
            println!("{language} {start} {}: all {all}, dispatch {dispatch}, program {wall} ms", times.len());
        }
    }
    println!("{:.1} MiB PSS of all that waits", mebibytes_of_descendants());
}

fn job(language: &str, file: &str, source: &str) -> Job {
    let file = File { path: file.parse().unwrap(), bytes: source.as_bytes().to_vec() };
    Job::new(RunId::new(Timestamp::from_millis(0), 0), language, file)
}

fn mebibytes_of_descendants() -> f64 {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for pid in fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
    {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    let (mut left, mut kibibytes) = (vec![std::process::id()], 0);
    while let Some(pid) = left.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            left.push(*child);
            let rollup = fs::read_to_string(format!("/proc/{child}/smaps_rollup")).unwrap_or_default();
            let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
            kibibytes += pss.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
        }
    }
    kibibytes as f64 / 1024.0
}
