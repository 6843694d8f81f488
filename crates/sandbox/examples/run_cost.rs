//! What a sandbox for one run costs: made plainly, made by a nursery, and with a program of Python or Node in it that a zygote has forked,
//! beside the bare interpreters; all take turns. Processor time is that of this process's control group, where all of them are in, and
//! leaves out what the kernel's own threads clean up later. Prints; asserts nothing.
//!
//! `cargo run --release -p skylift-sandbox --example run_cost -- [rounds [threads [part of a name]]]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that is run by hand")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use skylift_sandbox::{
    Exit, InitFile, Mount, Nursery, Order, Output, Prepared, Scratch, Spec, Zygote, ZygoteSpec, prepare,
};

const PYTHON: Program =
    Program { file: "main.py", text: "print(42)\n", bare: &["/usr/bin/python3", "-I", "-S", "-c", "print(42)"] };
const NODE: Program =
    Program { file: "main.js", text: "console.log(42)\n", bare: &["/usr/bin/node", "-e", "console.log(42)"] };
const BATCH: u32 = 20;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("sandbox-init") {
        skylift_sandbox::init_main();
    }
    let number = |nth| std::env::args().nth(nth).and_then(|word| word.parse::<u32>().ok());
    let (rounds, threads) = (number(1).unwrap_or(20), number(2).unwrap_or(2));
    let group = Counted::join();
    let spec = spec();
    let nursery = Nursery::start(&spec).unwrap();
    let python = Forks::new(&nursery, &ZygoteSpec::python().unwrap(), &PYTHON, &spec);
    let node = Forks::new(&nursery, &ZygoteSpec::node().unwrap(), &NODE, &spec);
    let mut all = [
        Kind::new("bare python3 -I -S -c", || bare(&PYTHON)),
        Kind::new("bare node -e", || bare(&NODE)),
        Kind::new("prepare, and drop", || drop(prepare(&spec).unwrap())),
        Kind::new("nursery.prepare, and drop", || drop(nursery.prepare(&spec).unwrap())),
        Kind::new("python: whole run", || {
            python.run();
        }),
        Kind::new("node: whole run", || {
            node.run();
        }),
    ];
    let only = std::env::args().nth(3);
    let chosen = |kind: &Kind<'_>| only.as_ref().is_none_or(|only| kind.name.contains(only.as_str()));
    for _ in 0..rounds {
        for kind in all.iter_mut().filter(|kind| chosen(kind)) {
            kind.measure(&group);
        }
    }
    for kind in all.iter_mut().filter(|kind| chosen(kind)) {
        kind.print();
    }
    if only.is_some() {
        return;
    }
    for forks in [&python, &node] {
        println!("{}", forks.program.file);
        forks.dispatches(rounds * BATCH / 4);
        forks.saturate((rounds * BATCH, threads), &group);
    }
}

struct Program {
    file: &'static str,
    text: &'static str,
    bare: &'static [&'static str],
}

fn spec() -> Spec {
    let mut spec = Spec::new(Vec::<String>::new());
    spec.init = Some(InitFile::new(&fs::read("/proc/self/exe").unwrap()).unwrap());
    (spec.uid, spec.gid) = (61_235, 61_235);
    spec.stdout = Output::Pipe;
    spec.stderr = Output::WithStdout;
    spec.group_prefix = "skylift-cost".into();
    spec.mounts.push(Mount::Tmpfs { to: "/box".into(), scratch: Scratch { bytes: 16 << 20, inodes: 1000 } });
    spec.holds = Some("/box".into());
    spec
}

fn bare(program: &Program) {
    let said = Command::new(program.bare[0]).args(&program.bare[1..]).output().unwrap().stdout;
    assert_eq!(said, b"42\n");
}

struct Forks<'a> {
    nursery: &'a Nursery,
    zygote: Zygote,
    program: &'a Program,
    spec: &'a Spec,
}

impl<'a> Forks<'a> {
    fn new(nursery: &'a Nursery, zygote: &ZygoteSpec, program: &'a Program, spec: &'a Spec) -> Self {
        Self { nursery, zygote: Zygote::start(nursery, zygote).unwrap(), program, spec }
    }

    fn order(&self) -> Order {
        let argv = vec![self.program.file.into()];
        Order { argv, env: self.spec.env.clone(), cwd: "/box".into(), limits: self.spec.limits }
    }

    fn put(&self, prepared: &Prepared) {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o644);
        let file = rustix::fs::openat(prepared.folder(), self.program.file, flags, mode).unwrap();
        File::from(file).write_all(self.program.text.as_bytes()).unwrap();
    }

    /// From nothing to nothing; returns the time from the order to the first output, and from there to the end.
    fn run(&self) -> (Duration, Duration) {
        let prepared = self.nursery.prepare(self.spec).unwrap();
        self.put(&prepared);
        let parked = self.zygote.enter(prepared).unwrap();
        let began = Instant::now();
        let (mut sandbox, _folder) = parked.start(&self.order()).unwrap();
        let mut stdout = File::from(sandbox.stdout.take().unwrap());
        let mut said = [0; 100];
        let length = stdout.read(&mut said).unwrap();
        let took = began.elapsed();
        assert_eq!(String::from_utf8_lossy(&said[..length]), "42\n");
        assert_eq!(stdout.read(&mut said).unwrap(), 0);
        let ended = began.elapsed();
        assert_eq!(sandbox.wait().unwrap().exit, Exit::Code(0));
        (took, ended - took)
    }

    fn dispatches(&self, count: u32) {
        let (first, end): (Vec<_>, Vec<_>) = (0..count).map(|_| self.run()).unzip();
        for (name, took) in [("order to first output", first), ("from there to the end of it", end)] {
            let mut took: Vec<f64> = took.into_iter().map(milliseconds).collect();
            took.sort_by(f64::total_cmp);
            let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
            println!("{name}, {count} times: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.9), at(0.99));
        }
    }

    fn saturate(&self, (count, threads): (u32, u32), group: &Counted) {
        let (began, before) = (Instant::now(), group.used_us());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    (0..count / threads).for_each(|_| {
                        self.run();
                    })
                });
            }
        });
        let runs = f64::from(count / threads * threads);
        let (seconds, used) = (began.elapsed().as_secs_f64(), (group.used_us() - before) as f64);
        println!("{threads} threads: {:.0} runs/s, {:.2} ms of processor each", runs / seconds, used / 1000.0 / runs);
    }
}

struct Kind<'a> {
    name: &'static str,
    once: Box<dyn Fn() + 'a>,
    took_ms: Vec<f64>,
    used_ms: Vec<f64>,
}

impl<'a> Kind<'a> {
    fn new(name: &'static str, once: impl Fn() + 'a) -> Self {
        once();
        Self { name, once: Box::new(once), took_ms: Vec::new(), used_ms: Vec::new() }
    }

    fn measure(&mut self, group: &Counted) {
        let before = group.used_us();
        for _ in 0..BATCH {
            let began = Instant::now();
            (self.once)();
            self.took_ms.push(milliseconds(began.elapsed()));
        }
        self.used_ms.push((group.used_us() - before) as f64 / 1000.0 / f64::from(BATCH));
    }

    fn print(&mut self) {
        let (took, used) = (median(&mut self.took_ms), median(&mut self.used_ms));
        println!("{:<28} {took:>7.2} ms, processor {used:>6.2} ms (medians)", self.name);
    }
}

/// A control group of our own, below which all others are made. Left and removed at the end.
struct Counted(String);

impl Drop for Counted {
    fn drop(&mut self) {
        fs::write(format!("{}/../cgroup.procs", self.0), "0").unwrap();
        // Empty once the kernel has let go of what was killed last.
        while fs::remove_dir(&self.0).is_err() {
            rustix::event::poll(&mut [], Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 })).unwrap();
        }
    }
}

impl Counted {
    fn join() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let folder = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers.split(',').any(|one| one == "cpuacct").then(|| format!("/sys/fs/cgroup/cpuacct{path}"))
        });
        let folder = format!("{}/run-cost-{}", folder.unwrap().trim_end_matches('/'), std::process::id());
        fs::create_dir(&folder).unwrap();
        fs::write(format!("{folder}/cgroup.procs"), "0").unwrap();
        Self(folder)
    }

    fn used_us(&self) -> u64 {
        fs::read_to_string(format!("{}/cpuacct.usage", self.0)).unwrap().trim().parse::<u64>().unwrap() / 1000
    }
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
