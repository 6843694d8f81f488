//! What a C++ program costs that was compiled before, and one that is new, beside `g++ -O2` and its program alone; by turns. Prints
//! medians; asserts nothing but what is printed.
//!
//! `cargo run --release -p skylift-run --example compile_cost -- [rounds [source file]]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that is run by hand")]

use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use skylift_model::run::{File, Job, LIMITS};
use skylift_model::{RunId, Timestamp, TokenId};
use skylift_run::{Catalogue, Headers, Kept, Programs, Runner};
use skylift_sandbox::InitFile;

const HELLO: &str = "#include <iostream>\nint main() { std::cout << 42 << std::endl; }\n";

fn main() {
    if std::env::args().nth(1).as_deref() == Some("sandbox-init") {
        skylift_sandbox::init_main();
    }
    tokio::runtime::Runtime::new().unwrap().block_on(measure());
}

async fn measure() {
    let rounds: usize = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(10);
    let source =
        std::env::args().nth(2).map_or_else(|| HELLO.to_owned(), |path| std::fs::read_to_string(path).unwrap());
    let home = tempfile::tempdir().unwrap();
    let init = InitFile::new(&std::fs::read("/proc/self/exe").unwrap()).unwrap();
    let folder = |name: &str| {
        let path = home.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let programs = Programs::open(&folder("programs"), 64 << 20).ok();
    let kept = Kept { programs, headers: Headers::open(&folder("headers")).ok(), pool_bytes_max: None };
    let runner = Runner::new(Catalogue::look(Some(&init)), LIMITS, Some(init), (4, kept));
    let (mut bare, mut first, mut compiling) = (Vec::new(), Vec::new(), Vec::new());
    let (mut again, mut dispatch, mut program) = (Vec::new(), Vec::new(), Vec::new());
    run(&runner, &source, 0).await;
    for round in 1..=rounds {
        let began = Instant::now();
        plain(home.path(), &source);
        bare.push(milliseconds(began));
        let began = Instant::now();
        compiling.push(run(&runner, &source, round).await[0]);
        first.push(milliseconds(began));
        for _ in 0..5 {
            let began = Instant::now();
            let [_, dispatched, ran] = run(&runner, &source, round).await;
            again.push(milliseconds(began));
            dispatch.push(dispatched);
            program.push(ran);
        }
    }
    let [bare, first, compiling] = [bare, first, compiling].map(median);
    println!("bare {bare:.1} ms; first time {first:.1} ms ({:.2}), of which the compiler {compiling:.1}", first / bare);
    let [again, dispatch, program] = [again, dispatch, program].map(median);
    println!("again {again:.2} ms, of which until it ran {dispatch:.2} and the program {program:.2}");
}

/// How long the compiler took, or had taken, until the program ran, and until it had ended, in milliseconds.
async fn run(runner: &Arc<Runner>, source: &str, number: usize) -> [f64; 3] {
    let entry = "main.cpp".parse::<skylift_model::FilePath>().unwrap();
    let file = File { path: entry, bytes: format!("{source}\n// {number}\n").into_bytes() };
    let job = Job {
        sender: Some(TokenId::new(Timestamp::from_millis(0), 0)),
        ..Job::new(RunId::new(Timestamp::from_millis(0), 0), "c++", file)
    };
    let ending = runner.run(&job, skylift_run::Attached::default()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&ending.decisive().unwrap().stdout), "42\n", "{ending:?}");
    let wall_us = ending.decisive().unwrap().usage.wall_us;
    [ending.compile.unwrap().step.usage.wall_us, ending.dispatch_us, wall_us].map(|us| us as f64 / 1000.0)
}

fn plain(folder: &std::path::Path, source: &str) {
    let (from, to) = (folder.join("main.cpp"), folder.join("main"));
    std::fs::write(&from, source).unwrap();
    assert!(Command::new("/usr/bin/g++").arg("-O2").arg("-o").arg(&to).arg(&from).status().unwrap().success());
    assert_eq!(Command::new(&to).output().unwrap().stdout, b"42\n");
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
