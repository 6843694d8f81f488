//! kill -9 of whoever runs jobs: group 39, and 112 of the threats.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use skylift_run::{Attached, Listener, Stream};
use skylift_sandbox::Defence;

use crate::host::{Host, python};

struct Tells;

impl Listener for Tells {
    fn compiled(&self, _: &skylift_model::run::Step) {}

    fn began(&self) {}

    fn printed(&self, _: Stream, bytes: &[u8]) {
        std::io::stdout().write_all(bytes).unwrap();
        std::io::stdout().flush().unwrap();
    }
}

/// A host with runs in it, of every way they come to be, which have the given marker. Says what they print, and waits.
pub(crate) fn be_a_host() -> ! {
    let argument = |number| std::env::args().nth(number).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let without: &[Defence] = if argument(3) == "tied" { &[] } else { &[Defence::Lifeline] };
        let host = Host::without(without);
        host.warm_up().await;
        let source = "
import os, sys, time
if os.fork() == 0:
    os.setsid()
    os.execv('/usr/bin/python3', ['python3', '-c', 'print(\"runs\", flush=True); import time; time.sleep(60)', sys.argv[1]])
time.sleep(60)";
        let job = python(source, &[argument(2)]);
        let cold = crate::host::cold(job.clone());
        let attached = || Attached { listener: Some(Arc::new(Tells)), ..Attached::default() };
        let _ = tokio::join!(host.talk(&job, attached()), host.talk(&cold, attached()));
    });
    std::process::exit(0)
}

#[test]
fn a_host_that_is_killed_takes_its_runs_along() {
    for (tied, left) in [("tied", 0), ("without-lifeline", 1)] {
        let marker = format!("skylift-run-{}-{tied}", std::process::id());
        let mut host = Command::new(std::env::current_exe().unwrap())
            .args(["be-a-host", &marker, tied])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Of two that speak at once one may fall into the other's word.
        let (mut stdout, mut said) = (host.stdout.take().unwrap(), String::new());
        while said.matches("runs").count() < 2 {
            let mut piece = [0; 64];
            let count = stdout.read(&mut piece).unwrap();
            assert!(count > 0, "it ended: {said}");
            said += std::str::from_utf8(&piece[..count]).unwrap();
        }
        let below = descendants(host.id());
        assert!(below.len() > 4, "a nursery, a zygote, and two runs of two processes: {below:?}");
        host.kill().unwrap();
        host.wait().unwrap();
        let lives = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty());
        let all_gone = (0..if left == 0 { 500 } else { 25 }).any(|_| {
            pause_ms(20);
            !below.iter().any(lives)
        });
        for pid in below.iter().filter(|pid| lives(pid)) {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        assert_eq!(all_gone, left == 0, "{tied}");
    }
}

/// All processes that a process has started, and those have.
fn descendants(of: u32) -> Vec<u32> {
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in brackets: the state, then the parent.
    let parent = |pid: u32| -> Option<u32> { stat(pid).rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok() };
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = all.filter_map(|pid: u32| Some((pid, parent(pid)?))).collect();
    let (mut known, mut at) = (vec![of], 0);
    while let Some(one) = known.get(at).copied() {
        known.extend(parents.iter().filter(|(_, parent)| *parent == one).map(|(pid, _)| *pid));
        at += 1;
    }
    known.split_off(1)
}

/// For ends that the kernel tells nobody of.
fn pause_ms(milliseconds: i64) {
    let time = rustix::event::Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
    let _ = rustix::event::poll(&mut [], Some(&time));
}
