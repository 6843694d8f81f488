//! What a zygote forks into a sandbox is as confined as what is executed there, and as ordinary a program.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec};
use skylift_sandbox::Defence::{JoinedGroups, Lifeline, OwnDescriptors, Seccomp, Unprivileged};
use skylift_sandbox::cgroup::{self, Cgroups, Controller};
use skylift_sandbox::{Exit, Order, SpawnError, Spec, Stdin, prepare};

use crate::attack::{UID, becomes_true, is_root};
use crate::cells::{Forks, cell, is_gone, kill, order, pid, put, to_the_end, zygote};
use crate::leaks::groups;
use crate::privileges::CALLS;

const RIGHTS: &str = "
wanted = ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp']
status = dict(line.rstrip('\\n').split(':', 1) for line in open('/proc/self/status'))
print(*('/'.join(status[name].split()) for name in wanted))";

#[test]
fn a_payload_has_no_rights_and_cannot_gain_any() {
    let none = "0000000000000000";
    let said = Forks::new(cell()).run(RIGHTS).said;
    let us = format!("{UID}/{UID}/{UID}/{UID}");
    let fields: Vec<&str> = said.split(' ').collect();
    assert_eq!((fields[0], fields[1]), (us.as_str(), us.as_str()), "{said}");
    assert_eq!(fields[3..], [none, none, none, none, none, "1", "2"], "{said}");
    if is_root() {
        assert_eq!(fields[2], "", "{said}");
        let said = Forks::without(&[Unprivileged]).run(RIGHTS).said;
        let fields: Vec<&str> = said.split(' ').collect();
        assert_eq!(fields[0], "0/0/0/0", "{said}");
        assert_ne!(fields[5], none, "{said}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn dangerous_calls_are_refused_but_for_the_one_that_is_of_no_use() {
    // Each on its own, and tried as by hand: what is looked at is the filter.
    let script = format!("{CALLS}\nprint(*[name for name in calls if name not in refused()])");
    assert_eq!(Forks::new(cell()).run(&script).said, "setns");
    let without = Forks::without(&[Seccomp]).run(&script).said;
    assert!(without.contains("ptrace") && without.contains("keyctl"), "{without}");
}

#[test]
fn nobody_gets_back_out_or_to_whoever_forked_it() {
    let script = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def told(result): return 'done' if result >= 0 else os.strerror(ctypes.get_errno())
kinds = ['mnt', 'net', 'pid', 'ipc', 'uts', 'cgroup', 'user']
print({told(libc.setns(os.open('/proc/self/ns/' + kind, os.O_RDONLY), 0)) for kind in kinds if kind != 'user'})
print(told(libc.setns(os.open('/proc/self/ns/user', os.O_RDONLY), 0)), told(libc.setns(os.pidfd_open(os.getpid()), 0x20000)))
print(os.getppid(), os.getpid() < 10, sorted(name for name in os.listdir('/proc') if name.isdigit()) == [str(os.getpid())])
for target in (1, os.getppid() or 999999): print(told(libc.ptrace(16, target, 0, 0)))
for number in (-1, 1):
    try: os.kill(number, 9); print('killed')
    except OSError as error: print(error.strerror)
print(os.path.exists('/proc/1/environ') and open('/proc/1/environ').read())";
    let forks = Forks::new(cell());
    let ended = forks.run(script);
    assert_eq!(ended.outcome.exit, Exit::Code(0), "{}", ended.said);
    let lines: Vec<&str> = ended.said.lines().collect();
    assert_eq!(lines[0], "{'Operation not permitted'}", "{}", ended.said);
    assert!(
        matches!(
            lines[1],
            "Operation not permitted Operation not permitted" | "Invalid argument Operation not permitted"
        ),
        "{}",
        lines[1]
    );
    assert_eq!(lines[3..5], ["Operation not permitted"; 2], "{}", ended.said);
    if is_root() {
        assert_eq!(lines[2], "0 True True");
        assert_eq!(lines[5..], ["No such process", "Operation not permitted", "False"], "{}", ended.said);
    }
    assert_eq!(forks.run("print('and the zygote lives')").said, "and the zygote lives");
}

#[test]
fn it_has_three_streams_and_no_other_descriptor() {
    let script = "import os\nprint(sorted(os.listdir('/proc/self/fd'), key=int))";
    assert_eq!(Forks::new(cell()).run(script).said, "['0', '1', '2', '3']", "the fourth is the folder being listed");
    let without = Forks::without(&[OwnDescriptors]).run(script).said;
    assert_eq!(without, "['0', '1', '2', '3', '200', '201']", "the zygote's socket, and the zygote");
}

const BOMB: &str = "
import os, time
count = 0
try:
    while count < 100:
        if os.fork() == 0: time.sleep(100)
        count += 1
except BlockingIOError: pass
print(count)";

#[test]
fn its_limits_are_the_sandboxs() {
    let has = |controller| Cgroups::own().has(controller);
    let mut small = cell();
    (small.limits.pids, small.limits.memory_bytes) = (20, 64 << 20);
    let hoard = "print(len(bytearray(200 << 20)))";
    let forks = Forks::new(cell());
    if has(Controller::Pids) {
        let ended = forks.run_as(&small, BOMB);
        assert_eq!((ended.said.as_str(), ended.outcome.pids_limit_hit), ("19", true));
    }
    if has(Controller::Memory) {
        let ended = forks.run_as(&small, hoard);
        assert_eq!((ended.outcome.exit, ended.outcome.out_of_memory), (Exit::Signal(9), true));
        assert_eq!(forks.run("print('the zygote lives')").said, "the zygote lives");
    }
    if has(Controller::Pids) && has(Controller::Memory) {
        let forks = Forks::without(&[JoinedGroups]);
        small.weaken.insert(JoinedGroups);
        assert_eq!(forks.run_as(&small, BOMB).said, "100", "without it joined, nothing limits it");
        assert_eq!(forks.run_as(&small, hoard).said, "209715200");
    }
}

/// What the kernel weighs a process's group with, by either version.
fn weight(pid: u32) -> u64 {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let file = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        if controllers.split(',').any(|one| one == "cpu") {
            return Some(format!("/sys/fs/cgroup/{controllers}{path}/cpu.shares"));
        }
        controllers.is_empty().then(|| format!("/sys/fs/cgroup{path}/cpu.weight"))
    });
    let file = file.unwrap();
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}")).trim().parse().unwrap()
}

#[test]
fn it_weighs_what_its_order_says_from_then_on() {
    if !Cgroups::own().has(Controller::Cpu) {
        return;
    }
    let mut light = cell();
    light.limits.cpu_weight /= 10;
    let parked = Forks::new(cell()).parked_as(&light, "input()");
    let before = weight(pid(parked.pidfd()));
    let (sandbox, _folder) = parked.start(&order(&cell(), &["main.py"])).unwrap();
    assert!(weight(pid(sandbox.payload_pidfd().unwrap())) > 5 * before, "{before}");
}

#[test]
fn what_it_may_open_and_write_is_as_ordered() {
    let script = "
import resource
print([resource.getrlimit(what)[1] for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_MSGQUEUE)])
file = open('large', 'wb', 0)
file.write(bytes(4096)); file.write(b'x')";
    let mut spec = cell();
    (spec.limits.file_bytes, spec.limits.open_files) = (4096, 30);
    let ended = Forks::new(cell()).run_as(&spec, script);
    assert!(ended.said.contains("[0, 4096, 30, 0]") && ended.said.contains("File too large"), "{}", ended.said);
}

/// Programs, and what they read; each is run by a zygote and by the interpreter alone.
const PROGRAMS: &[(&str, &str)] = &[
    ("print(40 + 2)", ""),
    ("import sys; sys.exit(3)", ""),
    ("import sys; sys.exit(2 ** 70)", ""),
    ("import sys; sys.exit(-(2 ** 40) + 5)", ""),
    ("import sys; print('before'); sys.exit('why')", ""),
    ("raise SystemExit", ""),
    ("exit(5)", ""),
    ("import os; print('lost', end=''); os._exit(9)", ""),
    ("def f():\n    raise ValueError('no')\nf()", ""),
    ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error", ""),
    ("print('never'\n", ""),
    ("print('no end of line', end='')\nraise KeyboardInterrupt", ""),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", ""),
    ("import os, signal; os.abort()", ""),
    ("import sys\nsys.excepthook = lambda *a: print('hooked', a[0].__name__)\n1 / 0", ""),
    ("import sys\ndef hook(*a):\n    print('hooked')\n    raise ValueError\nsys.excepthook = hook\n1 / 0", ""),
    ("import sys\ndef hook(*a): sys.exit(7)\nsys.excepthook = hook\n1 / 0", ""),
    ("import sys\ndel sys.excepthook\n1 / 0", ""),
    ("import sys\nprint('said')\ndel sys.stdout", ""),
    ("import sys\nprint('said')\nsys.modules = None", ""),
    (
        "import gc, os, atexit, builtins\nprint('said')\ngc.collect = os._exit = atexit._run_exitfuncs = builtins.hasattr = builtins.list = None",
        "",
    ),
    ("import atexit\natexit.register(print, 'at exit')\nprint('first')", ""),
    (
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()\nprint('main')",
        "",
    ),
    (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(100,), daemon=True).start()\nprint('main')",
        "",
    ),
    (
        "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True).stdout)",
        "",
    ),
    ("import subprocess\nprint(subprocess.check_output('echo $GIVEN; cat', shell=True, text=True), end='')", "piped\n"),
    (
        "import multiprocessing\ndef f(x): return x * x\nif __name__ == '__main__':\n    with multiprocessing.Pool(2) as pool: print(pool.map(f, range(5)))",
        "",
    ),
    (
        "import multiprocessing as m\ndef f(q): q.put(__name__)\nif __name__ == '__main__':\n    m.set_start_method('spawn'); q = m.Queue(); p = m.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join()",
        "",
    ),
    ("from concurrent.futures import ThreadPoolExecutor\nprint(list(ThreadPoolExecutor(2).map(abs, [-1, 2])))", ""),
    ("import asyncio\nasync def f(): await asyncio.sleep(0); print('async')\nasyncio.run(f())", ""),
    ("print(input('name? '), input())", "one\ntwo\n"),
    ("print(input())", ""),
    ("import sys\nfor line in sys.stdin: print(line.upper(), end='')", "a\nb\nc"),
    ("import sys\nprint(sys.stdin.buffer.read(), file=sys.stderr)", "bytes"),
    (
        "f = open('left', 'w'); f.write('left open')\nimport atexit, os\nimport subprocess; atexit.register(lambda: None)",
        "",
    ),
    ("class C:\n    def __del__(self): print('deleted')\nc = C()\nprint('end')", ""),
    (
        "import sys, os\nprint(sys.argv, __name__, os.path.basename(__file__), __spec__, __doc__, type(__loader__).__name__, sorted(k for k in globals()))",
        "",
    ),
    ("'a text'\nprint(__doc__, __annotations__)", ""),
    ("import os, sys\nprint(sorted(os.environ.items()), os.getcwd() == sys.path[0], sys.path[1:], sys.executable)", ""),
    ("import sys\nprint(sys.modules['__main__'].__dict__ is globals(), [n for n in sys.modules if 'zygote' in n])", ""),
    (
        "import sys\nprint(sys.flags, sys.stdout.encoding, sys.stdin.encoding, sys.stderr.errors, sys.stdout.line_buffering, sys.getrecursionlimit())",
        "",
    ),
    ("import helper\nprint(helper.VALUE, helper.__file__ == __import__('os').path.abspath('helper.py'))", ""),
    (
        "import sys, traceback\ndef f(): print(len(traceback.extract_stack()) > 1)\nf()\nimport gc; print(gc.isenabled())",
        "",
    ),
    (
        "import os\nif os.fork() == 0:\n    print('child'); os._exit(4)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))",
        "",
    ),
    ("import os\nif os.fork() == 0:\n    raise SystemExit(4)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))", ""),
    ("import sys; sys.stdout.close()", ""),
    ("import os; os.close(1); print('into nothing')", ""),
    ("import ctypes; ctypes.CDLL(None).printf(b'by C')", ""),
    (
        "import signal\nprint([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM)])",
        "",
    ),
    ("import time; print(time.process_time() < 5, 'é', '\\udcff'.encode('utf-8', 'surrogateescape'))", ""),
    ("print('\\udcff')", ""),
    ("print(*globals())\nimport sys\nprint(sys.stdin.newlines)", ""),
    ("'a text'\nprint(*globals())", ""),
    (
        "import sys\nprint(repr(input()), repr(sys.stdin.readline()), repr(sys.stdin.read()), sys.stdin.newlines)",
        "a\rb\r\nc\r\nd\re\n",
    ),
    // Who has called it, and how deep it is.
    (
        "import inspect, sys, traceback, warnings\ntraceback.print_stack()\nprint(len(inspect.stack()), sys._getframe().f_back, len(sys._current_frames()))\nwarnings.warn('there', stacklevel=2)",
        "",
    ),
    (
        "def f(n):\n    global deepest\n    deepest = n\n    f(n + 1)\ntry: f(1)\nexcept RecursionError: print(deepest)",
        "",
    ),
    ("def f(): f()\nf()", ""),
    (
        "from ctypes import *\norder = CFUNCTYPE(c_int, POINTER(c_int), POINTER(c_int))(lambda a, b: a[0] - b[0])\nnumbers = (c_int * 4)(3, 1, 4, 2)\nCDLL(None).qsort(numbers, 4, 4, order)\nprint(list(numbers))",
        "",
    ),
    (
        "import threading, contextvars, decimal\nhere = threading.current_thread()\nprint(here is threading.main_thread(), here.name, here.is_alive(), list(contextvars.copy_context()), decimal.getcontext().prec)\nlocal = threading.local(); local.x = 1\nthread = threading.Thread(target=lambda: print(hasattr(local, 'x'))); thread.start(); thread.join()\nprint(local.x)",
        "",
    ),
    (
        "import atexit, sys\nclass D:\n    def __del__(self): print('deleted')\natexit.register(lambda: print('at exit', repr(sys.last_value)))\ndef f():\n    held = D()\n    raise ValueError('no')\nf()",
        "",
    ),
    ("import atexit, sys\natexit.register(lambda: print(hasattr(sys, 'last_value')))\nsys.exit(3)", ""),
    (
        "import signal, threading\nthreading.Thread(target=print, args=('thread',)).start()\nsignal.raise_signal(signal.SIGINT)",
        "",
    ),
    ("import atexit, sys\natexit.register(sys.exit, 3)\nprint('said')", ""),
];

/// How a program ends, what it says on both streams, and what it leaves.
type Ends = (Exit, String, String, Option<String>);

#[test]
fn programs_behave_as_with_the_interpreter_alone() {
    let mut spec = cell();
    spec.stderr = skylift_sandbox::Output::Pipe;
    spec.stdin = Stdin::Pipe;
    spec.env.insert("GIVEN".into(), "given".into());
    spec.env.insert("LC_ALL".into(), "C.UTF-8".into());
    spec.shm.bytes = 16 << 20;
    let forks = Forks::new(spec);
    for (program, input) in PROGRAMS {
        let (ours, alone) = (by_zygote(&forks, program, input), alone(&forks.like, program, input));
        assert_eq!(ours, alone, "{program}");
    }
}

fn by_zygote(forks: &Forks, program: &str, input: &str) -> Ends {
    let parked = forks.parked(program);
    put(parked.folder(), "helper.py", "VALUE = 'helps'\n");
    let (mut sandbox, folder) = parked.start(&order(&forks.like, &["main.py", "one", "--two"])).unwrap();
    File::from(sandbox.stdin.take().unwrap()).write_all(input.as_bytes()).unwrap();
    let all = |stream: Option<std::os::fd::OwnedFd>| {
        let mut said = Vec::new();
        File::from(stream.unwrap()).read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    };
    let (stdout, stderr) = (sandbox.stdout.take(), sandbox.stderr.take());
    let (stdout, stderr) = (all(stdout), all(stderr));
    let exit = sandbox.wait().unwrap().exit;
    let mut left = String::new();
    let opened = rustix::fs::openat(&folder, "left", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
    let left = opened.ok().map(|file| File::from(file).read_to_string(&mut left).map(|_| left).unwrap());
    (exit, stdout, stderr.replace("/box/", ""), left)
}

fn alone(spec: &Spec, program: &str, input: &str) -> Ends {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.py"), program).unwrap();
    std::fs::write(folder.path().join("helper.py"), "VALUE = 'helps'\n").unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["main.py", "one", "--two"]).current_dir(folder.path()).env_clear().envs(&spec.env);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let exit = output.status.code().map(Exit::Code).or(output.status.signal().map(Exit::Signal)).unwrap();
    let here = format!("{}/", folder.path().canonicalize().unwrap().display());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace(&here, "");
    (exit, text(output.stdout), text(output.stderr), std::fs::read_to_string(folder.path().join("left")).ok())
}

#[test]
fn nothing_of_one_run_is_seen_by_the_next_and_chance_differs() {
    let forks = Forks::new(cell());
    let look = "
import random, tempfile, uuid, os, sys, json
print(random.random(), uuid.uuid4(), next(tempfile._get_candidate_names()), os.urandom(4))
print(hasattr(json, 'left'), os.listdir('/tmp'), os.listdir('/dev/shm'), 'left' in sys.modules, 'LEFT' in os.environ)
json.left = 1; sys.modules['left'] = json; os.environ['LEFT'] = '1'
open('/tmp/left', 'w'); open('/dev/shm/left', 'w')";
    let (first, second) = (forks.run(look).said, forks.run(look).said);
    let chances: Vec<&str> =
        [&first, &second].iter().flat_map(|said| said.lines().next().unwrap().split(' ')).collect();
    for (number, chance) in chances.iter().enumerate() {
        assert!(!chances[number + 1..].contains(chance), "{chances:?}");
    }
    assert_eq!(second.lines().nth(1).unwrap(), "False [] [] False False");
}

#[test]
fn who_waits_is_started_by_one_write_even_of_a_zygote_that_is_gone() {
    let forks = Forks::new(cell());
    let parked = [0; 3].map(|_| forks.parked("print('ran')"));
    let Forks { like, nursery, zygote: old, file } = forks;
    let number = pid(old.pidfd());
    drop(old);
    let new = Forks { zygote: zygote(&nursery), nursery, like, file };
    assert_eq!(new.run("print('new')").said, "new");
    assert!(!is_gone(number), "the old one waits for those that it has forked");
    for parked in parked {
        let (sandbox, _folder) = parked.start(&order(&new.like, &["main.py"])).unwrap();
        let ended = to_the_end(sandbox);
        assert_eq!((ended.said.as_str(), ended.outcome.exit), ("ran", Exit::Code(0)));
    }
    assert!(becomes_true(10, || is_gone(number)), "and then it ends");
}

#[test]
fn a_zygote_that_is_killed_takes_its_payloads_along() {
    let sleeps = "import time\nprint('runs', flush=True)\ntime.sleep(100)";
    let forks = Forks::new(cell());
    let waits = forks.parked(sleeps);
    let mut sandbox = started(&forks, sleeps);
    kill(forks.zygote.pidfd());
    assert!(has_ended_within(sandbox.pidfd(), 10) && has_ended_within(waits.pidfd(), 10));
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(9));
    let prepared = forks.nursery.prepare(&forks.like).unwrap();
    assert!(matches!(forks.zygote.enter(prepared), Err(SpawnError::AskZygote(_))));
    assert!(waits.start(&order(&forks.like, &["main.py"])).is_err());

    let forks = Forks::without(&[Lifeline]);
    let mut sandbox = started(&forks, sleeps);
    kill(forks.zygote.pidfd());
    assert!(!has_ended_within(sandbox.pidfd(), 1), "without the lifeline it lives on");
    sandbox.kill();
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(9));
}

#[test]
fn a_nursery_that_is_killed_takes_zygote_and_payloads_along() {
    let forks = Forks::new(cell());
    let sandbox = started(&forks, "import time\nprint('runs', flush=True)\ntime.sleep(100)");
    let zygote = pid(forks.zygote.pidfd());
    kill(forks.nursery.pidfd());
    assert!(has_ended_within(sandbox.pidfd(), 10));
    assert!(becomes_true(10, || is_gone(zygote)));
}

#[test]
fn a_host_that_is_killed_takes_everything_along() {
    let killed = |lifeline: &str| {
        let mut host = Command::new(std::env::current_exe().unwrap())
            .args(["have-a-zygote", lifeline])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(host.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let numbers = said.trim().trim_matches(['[', ']']).split(", ").map(|number| number.parse().unwrap());
        let numbers: Vec<u32> = numbers.collect();
        assert_eq!(numbers.iter().filter(|number| is_gone(**number)).count(), 0);
        host.kill().unwrap();
        host.wait().unwrap();
        numbers
    };
    let numbers = killed("with-lifeline");
    assert!(becomes_true(10, || numbers.iter().all(|number| is_gone(*number))), "{numbers:?}");

    let numbers = killed("without-lifeline");
    assert!(!becomes_true(1, || is_gone(numbers[2])), "without the lifeline the program lives on");
    let first = rustix::process::Pid::from_raw(numbers[2].cast_signed()).unwrap();
    rustix::process::kill_process(first, rustix::process::Signal::KILL).unwrap();
    assert!(becomes_true(10, || numbers.iter().all(|number| is_gone(*number))), "{numbers:?}");
    cgroup::sweep_leftovers("skylift-test");
}

/// One that has said that it runs.
fn started(forks: &Forks, program: &str) -> skylift_sandbox::Sandbox {
    let mut sandbox = forks.start(program);
    let mut stdout = File::from(sandbox.stdout.take().unwrap());
    let mut said = [0; 5];
    stdout.read_exact(&mut said).unwrap();
    sandbox.stdout = Some(stdout.into());
    sandbox
}

#[test]
fn a_daemon_ends_with_its_sandbox_and_one_that_is_told_to_end_does() {
    let forks = Forks::new(cell());
    let daemon = "
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(100)
    os._exit(0)
os.wait()
print('done')";
    let ended = forks.run(daemon);
    assert_eq!(
        (ended.said.as_str(), ended.outcome.exit),
        ("done", Exit::Code(0)),
        "its stream is closed, so it is gone"
    );
    let asks = "
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print('ready', flush=True)
time.sleep(100)";
    let sandbox = started(&forks, asks);
    sandbox.terminate().unwrap();
    assert_eq!(to_the_end(sandbox).outcome.exit, Exit::Code(7));
}

#[test]
fn usage_is_told_while_it_runs_and_at_the_end() {
    let forks = Forks::new(cell());
    let busy = "import time\nwhile time.process_time() < 0.3: pass\nprint('spent', flush=True)\ntime.sleep(100)";
    let mut sandbox = started(&forks, busy);
    if Cgroups::own().usable().next().is_some() {
        let usage = sandbox.usage();
        assert!(usage.cpu_us >= Some(250_000), "{usage:?}");
        assert_eq!(usage.pids, Some(1));
    }
    sandbox.kill();
    let outcome = sandbox.wait().unwrap();
    assert!(outcome.cpu_ms >= 250 && outcome.peak_memory_bytes > 1 << 20, "{outcome:?}");
}

#[test]
fn what_cannot_be_entered_or_run_is_told() {
    let forks = Forks::new(cell());
    let plain = prepare(&forks.like).unwrap();
    assert!(matches!(forks.zygote.enter(plain), Err(SpawnError::NotOfANursery)));
    let executes = forks.nursery.prepare(&Spec { executes: true, ..cell() }).unwrap();
    assert!(matches!(forks.zygote.enter(executes), Err(SpawnError::NotOfANursery)));
    let missing = Order { argv: vec!["missing.py".into()], ..order(&forks.like, &[]) };
    let ended = to_the_end(forks.parked("").start(&missing).unwrap().0);
    assert_eq!(ended.outcome.exit, Exit::Code(2));
    assert!(ended.said.contains("can't open file '/box/missing.py': [Errno 2]"), "{}", ended.said);
    let huge: String = "x".repeat(300_000);
    let many = order(&forks.like, &["main.py", &huge]);
    let ended = to_the_end(forks.parked("import sys\nprint(len(sys.argv[1]))").start(&many).unwrap().0);
    assert_eq!(ended.said, "300000", "longer than a pipe is wide");
}

#[test]
fn thirty_runs_leave_nothing() {
    let prefix = format!("skylift-forked-{}", std::process::id());
    let held = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let before_all = held(std::process::id());
    let forks = Forks::new(Spec { group_prefix: prefix.clone(), ..cell() });
    forks.run("print(1)");
    let zygote = pid(forks.zygote.pidfd());
    let census = || (held(zygote), held(pid(forks.nursery.pidfd())));
    let before = census();
    for _ in 0..10 {
        drop(forks.nursery.prepare(&forks.like).unwrap());
        drop(forks.parked("print(1)"));
        assert_eq!(forks.run("print(1)").said, "1");
    }
    assert!(becomes_true(10, || census() == before), "{:?} {before:?}", census());
    let own = format!("skylift-test-{}-", std::process::id());
    let limited = usize::from(Cgroups::own().usable().next().is_some());
    assert!(groups(Path::new("/sys/fs/cgroup"), &own) >= limited, "the zygote's");
    drop(forks);
    assert!(becomes_true(20, || groups(Path::new("/sys/fs/cgroup"), &prefix) == 0));
    assert_eq!(held(std::process::id()), before_all);
    assert!(becomes_true(20, || groups(Path::new("/sys/fs/cgroup"), &own) == 0));
}

fn has_ended_within(pidfd: std::os::fd::BorrowedFd<'_>, seconds: i64) -> bool {
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() > 0
}

#[test]
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn what_programs_write_to_is_copied_before_they_start() {
    if !is_linux_since(5, 14) {
        eprintln!("SKIPPED: only Linux 5.14 and later copies what was asked for");
        return;
    }
    Forks::new(Spec { stdin: Stdin::Pipe, ..cell() })
        .copies_early("import os\nprint(sum([1, 2]), 'fine', flush=True)\nos.read(0, 1)");
}

fn is_linux_since(major: u32, minor: u32) -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|other: char| !other.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

#[test]
fn what_lies_beside_a_program_comes_before_what_was_loaded_by_that_name() {
    let forks = Forks::new(cell());
    let said = |beside: &[(&str, &str)], program: &str| {
        let prepared = forks.nursery.prepare(&forks.like).unwrap();
        for (name, text) in beside.iter().chain([&("main.py", program)]) {
            put(prepared.folder(), name, text);
        }
        let parked = forks.zygote.enter(prepared).unwrap();
        to_the_end(parked.start(&order(&forks.like, &["main.py"])).unwrap().0).said
    };
    assert_eq!(said(&[("json.py", "OWN = 'own'")], "import json\nprint(json.OWN)"), "own");
    assert_eq!(said(&[("other.py", "")], "import json, other\nprint(json.dumps([1]))"), "[1]");
    // These a plain interpreter has loaded as well.
    assert_eq!(said(&[("os.py", "OWN = 'own'")], "import os\nprint(hasattr(os, 'OWN'))"), "False");
}

#[test]
fn it_goes_before_the_platform_where_the_machine_has_no_memory() {
    // An ordinary user may not say so of a process that hides.
    let wanted = if is_root() { "500" } else { "0" };
    assert_eq!(Forks::new(cell()).run("print(open('/proc/self/oom_score_adj').read())").said, wanted);
}

#[test]
fn modules_are_found_where_a_linked_program_really_lies() {
    let forks = Forks::new(cell());
    let prepared = forks.nursery.prepare(&forks.like).unwrap();
    let folder = prepared.folder();
    rustix::fs::mkdirat(folder, "inner", rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    put(folder, "inner/real.py", "import sys\nprint(sys.path[0], __file__)");
    rustix::fs::symlinkat("inner/real.py", folder, "main.py").unwrap();
    let parked = forks.zygote.enter(prepared).unwrap();
    let said = to_the_end(parked.start(&order(&forks.like, &["main.py"])).unwrap().0).said;
    assert_eq!(said, "/box/inner /box/main.py");
}
