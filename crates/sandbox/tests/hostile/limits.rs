//! What a payload can use up.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::time::SystemTime;

use skylift_sandbox::Defence::{MemoryLimit, PidsLimit};
use skylift_sandbox::cgroup::{Cgroups, Controller, Version};
use skylift_sandbox::{Exit, Mount, Scratch, Source, Stdin};

use crate::attack::{python, run, start, without};

/// Limits of control groups are tried where there are any. Who knows that there are says so, and nothing is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test is skipped aloud")]
fn has(controller: Controller) -> bool {
    let has = Cgroups::own().has(controller);
    assert!(has || std::env::var_os("SKYLIFT_TEST_CONTROLLERS").is_none(), "no {controller:?} controller here");
    if !has {
        eprintln!("skipped: no {controller:?} controller here");
    }
    has
}

#[test]
fn a_fork_bomb_stops_at_the_limit() {
    if !has(Controller::Pids) {
        return;
    }
    let script = "
import os, time
count = 0
try:
    while count < 150:
        if os.fork() == 0: time.sleep(100)
        count += 1
except BlockingIOError: pass
print(count)";
    let mut spec = python(script);
    spec.limits.pids = 20;
    let ended = run(&spec);
    assert_eq!(ended.said, "19");
    assert!(ended.outcome.pids_limit_hit);

    let ended = run(&without(spec, &[PidsLimit]));
    assert_eq!(ended.said, "150");
    assert!(!ended.outcome.pids_limit_hit);
}

#[test]
fn using_too_much_memory_is_stopped_and_named() {
    if !has(Controller::Memory) {
        return;
    }
    let mut spec = python("print(len(bytearray(200 << 20)))");
    spec.limits.memory_bytes = 64 << 20;
    let ended = run(&spec);
    assert_eq!((ended.outcome.exit, ended.outcome.out_of_memory), (Exit::Signal(9), true));
    assert!((32 << 20..=64 << 20).contains(&ended.outcome.peak_memory_bytes), "{:?}", ended.outcome);

    let ended = run(&without(spec, &[MemoryLimit]));
    assert_eq!((ended.outcome.exit, ended.outcome.out_of_memory), (Exit::Code(0), false));
    assert!(ended.outcome.peak_memory_bytes > 200 << 20);
}

#[test]
fn files_in_memory_count_as_memory() {
    if !has(Controller::Memory) {
        return;
    }
    let mut spec = python("open('/tmp/large', 'wb').write(bytes(100 << 20)); print('written')");
    spec.tmp = Scratch { bytes: 1 << 30, inodes: 100 };
    spec.limits.memory_bytes = 64 << 20;
    let ended = run(&spec);
    assert_ne!(ended.said, "written");
    assert!(ended.outcome.out_of_memory);
    spec.limits.memory_bytes = 400 << 20;
    assert_eq!(run(&spec).said, "written");
}

#[test]
fn scratch_space_ends_at_its_size_and_its_number_of_files() {
    let script = "
def fill():
    try: open('/tmp/large', 'wb').write(bytes(8 << 20)); return 'written'
    except OSError as error: return error.strerror
def litter():
    try:
        for number in range(100): open(f'/tmp/{number}', 'w')
        return 'made'
    except OSError as error: return error.strerror
print(fill(), litter(), sep='; ')";
    let said = |bytes, inodes| {
        let mut spec = python(script);
        spec.tmp = Scratch { bytes, inodes };
        run(&spec).said
    };
    assert_eq!(said(4 << 20, 1000), "No space left on device; made");
    assert_eq!(said(16 << 20, 50), "written; No space left on device");
    assert_eq!(said(16 << 20, 1000), "written; made");
}

#[test]
fn a_file_ends_at_its_limit_and_so_do_descriptors() {
    let script = "
try: open('/tmp/large', 'wb').write(bytes(8 << 20)); print('written')
except OSError as error: print(error.strerror)
try: held = [open('/dev/null') for _ in range(100)]; print('opened')
except OSError as error: print(error.strerror)
import resource
print(resource.getrlimit(resource.RLIMIT_CORE))";
    let mut spec = python(script);
    (spec.limits.file_bytes, spec.limits.open_files) = (1 << 20, 50);
    assert_eq!(run(&spec).said, "File too large\nToo many open files\n(0, 0)");
    (spec.limits.file_bytes, spec.limits.open_files) = (1 << 30, u64::MAX);
    assert_eq!(run(&spec).said, "written\nopened\n(0, 0)");
}

#[test]
fn who_may_write_no_file_may_still_delete() {
    let script = "
import os
def tried(what):
    try: what(); return 'done'
    except OSError as error: return error.strerror
def write(path):
    with open(path, 'r+b', 0) as file: file.write(bytes(100))
print(tried(lambda: write('/data/large')), tried(lambda: os.truncate('/data/large', 1 << 20)), tried(lambda: os.remove('/data/large')))";
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    let said = |file_bytes| {
        std::fs::write(&large, [1; 1000]).unwrap();
        for place in [folder.path(), &large] {
            std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        }
        let mut spec = python(script);
        spec.mounts.push(Mount::Writable { from: Source::Path(folder.path().to_owned()), to: "/data".into() });
        spec.limits.file_bytes = file_bytes;
        let said = run(&spec).said;
        assert!(!large.exists());
        said
    };
    assert_eq!(said(0), "File too large File too large done");
    assert_eq!(said(1 << 30), "done done done");
}

#[test]
fn a_busy_loop_gets_its_share_of_the_processor() {
    if !has(Controller::Cpu) || (Cgroups::own().version == Version::V1 && !has(Controller::CpuAccount)) {
        return;
    }
    // How long it takes to use 200 ms of a processor. Other work on the machine makes it longer, never shorter.
    let script = "
import time
used, began = time.process_time(), time.monotonic()
while time.process_time() - used < 0.2: pass
print(int((time.monotonic() - began) * 1000))";
    let took_ms = |millicores| {
        let mut spec = python(script);
        spec.limits.cpu_millicores = millicores;
        let ended = run(&spec);
        assert!(ended.outcome.cpu_ms >= 190, "what was used is counted: {:?}", ended.outcome);
        ended.said.parse::<u64>().unwrap()
    };
    let limited = took_ms(50);
    assert!(limited > 3000, "{limited} ms, where 4000 are its share");
    let free = (0..20).map(|_| took_ms(1000)).find(|took| *took < 3000);
    assert!(free.is_some(), "without the limit it takes less");
}

#[test]
fn of_two_that_want_one_processor_the_heavier_gets_more() {
    if !has(Controller::Cpu) || (Cgroups::own().version == Version::V1 && !has(Controller::CpuAccount)) {
        return;
    }
    // On one processor: over several, where the kernel puts whom decides, and other work on the machine with it. Counted
    // from when both run until both stop: a start takes long in an emulated machine, and whoever is alone gets everything.
    let script = "
import os, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print('ready', flush=True)
until, used = float(sys.stdin.readline()), time.process_time()
while time.time() < until: pass
print(time.process_time() - used, flush=True)";
    let spin = |cpu_weight| {
        let mut spec = python(script);
        spec.stdin = Stdin::Pipe;
        spec.limits.cpu_millicores = 64_000;
        spec.limits.cpu_weight = cpu_weight;
        let mut sandbox = start(&spec);
        let mut said = BufReader::new(File::from(sandbox.stdout.take().unwrap())).lines();
        assert_eq!(said.next().unwrap().unwrap(), "ready");
        (sandbox, said)
    };
    let against = |light| {
        let mut both = [spin(100), spin(light)];
        let until = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() + 3.0;
        for (sandbox, _) in &mut both {
            writeln!(File::from(sandbox.stdin.take().unwrap()), "{until}").unwrap();
        }
        let [heavier, lighter] = both.each_mut().map(|(_, said)| said.next().unwrap().unwrap().parse::<f64>().unwrap());
        heavier / lighter.max(0.001)
    };
    let (weighed, even) = (against(5), against(100));
    assert!(weighed >= 3.0 && weighed > 2.0 * even, "{weighed:.1} times as much, {even:.1} times with equal weights");
}

#[test]
fn what_is_in_use_is_told_while_it_runs() {
    let script = "
import os, time
print('small', flush=True)
held = bytearray(os.urandom(1 << 20)) * 64
for _ in range(3):
    if os.fork() == 0: time.sleep(100)
while time.process_time() < 0.2: pass
print('large', flush=True)
time.sleep(100)";
    let mut sandbox = start(&python(script));
    let mut said = BufReader::new(File::from(sandbox.stdout.take().unwrap())).lines();
    assert_eq!(said.next().unwrap().unwrap(), "small");
    let small = sandbox.usage();
    assert_eq!(said.next().unwrap().unwrap(), "large");
    let large = sandbox.usage();
    if has(Controller::Memory) {
        assert!(large.memory_bytes > Some(64 << 20) && large.memory_bytes < Some(200 << 20), "{large:?}");
        assert!(large.memory_bytes > small.memory_bytes);
    }
    if has(Controller::Pids) {
        assert_eq!(large.pids, Some(4));
    }
    if Cgroups::own().usable().next().is_some() {
        assert!(large.cpu_us >= Some(190_000) && large.cpu_us > small.cpu_us, "{small:?} {large:?}");
    } else {
        assert_eq!(large, skylift_sandbox::InUse::default());
    }
    sandbox.kill();
    sandbox.wait().unwrap();
    assert_eq!(sandbox.usage(), skylift_sandbox::InUse::default(), "nothing is left to count");
}
