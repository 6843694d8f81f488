//! What a zygote of Node forks into a sandbox is as confined as what is executed there, and as ordinary a program.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use skylift_sandbox::Defence::{JoinedGroups, Lifeline, OwnDescriptors, Unprivileged};
use skylift_sandbox::cgroup::{Cgroups, Controller};
use skylift_sandbox::{Exit, Sandbox, Spec, Stdin};

use crate::attack::{UID, becomes_true, is_root};
use crate::cells::{Forks, cell, is_gone, kill, order, pid, put, to_the_end};
use crate::node_programs::{BESIDE, MODULES, PROGRAMS};

fn forks(without: &[skylift_sandbox::Defence]) -> Forks {
    let mut like = cell();
    like.weaken.extend(without);
    Forks::node(like)
}

#[test]
fn a_payload_has_no_rights() {
    let rights = "
const status = Object.fromEntries(require('fs').readFileSync('/proc/self/status', 'utf8').split('\\n').map(line => line.split(/:\\s*/)))
const wanted = ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp']
console.log(wanted.map(name => status[name].trim().split(/\\s+/).join('/')).join(' '))";
    let none = "0000000000000000";
    let said = forks(&[]).run(rights).said;
    let us = format!("{UID}/{UID}/{UID}/{UID}");
    let fields: Vec<&str> = said.split(' ').collect();
    assert_eq!((fields[0], fields[1]), (us.as_str(), us.as_str()), "{said}");
    assert_eq!(fields[3..], [none, none, none, none, none, "1", "2"], "{said}");
    if is_root() {
        assert_eq!(fields[2], "", "{said}");
        let said = forks(&[Unprivileged]).run(rights).said;
        let fields: Vec<&str> = said.split(' ').collect();
        assert_eq!(fields[0], "0/0/0/0", "{said}");
        assert_ne!(fields[5], none, "{said}");
    }
}

#[test]
fn nobody_reaches_whoever_forked_it() {
    let script = "
const fs = require('fs')
const told = act => { try { return act() } catch (error) { return error.code } }
console.log(process.pid, process.ppid, fs.readdirSync('/proc').filter(name => /^[0-9]+$/.test(name)).join())
for (const number of [-1, 1]) console.log(told(() => process.kill(number, 9)))
console.log(told(() => fs.readFileSync('/proc/1/environ', 'utf8')), fs.existsSync('/run/zygote.js'))";
    let forks = forks(&[]);
    let ended = forks.run(script);
    let lines: Vec<&str> = ended.said.lines().collect();
    assert_eq!((ended.outcome.exit, lines.len()), (Exit::Code(0), 4), "{}", ended.said);
    if is_root() {
        assert_eq!(lines, ["2 0 2", "ESRCH", "EPERM", "ENOENT false"]);
    }
    assert_eq!(forks.run("console.log('and the zygote lives')").said, "and the zygote lives");
}

/// Which pipes and counters it has, by what the kernel calls each.
const SHARED: &str = "
const fs = require('fs')
for (const number of fs.readdirSync('/proc/self/fd')) try {
    const counter = /eventfd-id:\\s*(\\d+)/.exec(fs.readFileSync('/proc/self/fdinfo/' + number, 'utf8'))
    const to = counter ? 'counter ' + counter[1] : fs.readlinkSync('/proc/self/fd/' + number)
    if (number > 2 && /pipe|counter/.test(to)) console.log(to)
} catch {}
console.log('end')
setTimeout(() => {}, 100000)";

#[test]
fn what_it_could_tell_others_by_is_neither_its_zygotes_nor_another_programs() {
    let named = |sandbox: &mut Sandbox| {
        let lines = BufReader::new(File::from(sandbox.stdout.take().unwrap())).lines().map(Result::unwrap);
        let named: BTreeSet<String> = lines.take_while(|line| line != "end").collect();
        assert!(named.iter().any(|name| name.starts_with("counter")) && named.len() > 4, "{named:?}");
        named
    };
    let of_zygote = |forks: &Forks| -> BTreeSet<String> {
        let all = std::fs::read_dir(format!("/proc/{}/fd", pid(forks.zygote.pidfd()))).into_iter().flatten().flatten();
        all.filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned())).collect()
    };
    let common = |forks: &Forks| {
        // Names are given again once nobody has them.
        let (mut first, mut second) = (forks.start(SHARED), forks.start(SHARED));
        let (first, second, zygote) = (named(&mut first), named(&mut second), of_zygote(forks));
        let both: Vec<String> = first.intersection(&second).chain(first.intersection(&zygote)).cloned().collect();
        both
    };
    assert_eq!(common(&forks(&[])), Vec::<String>::new());
    let without = common(&forks(&[OwnDescriptors]));
    assert!(without.iter().any(|name| name.starts_with("pipe")), "{without:?}");
    assert!(without.iter().any(|name| name.starts_with("counter")), "{without:?}");
}

#[test]
fn it_has_the_descriptors_of_a_node_that_was_executed_and_no_other() {
    // The standard output is used before they are listed: with its first stream, libuv opens one more in reserve.
    let script = "
const fs = require('fs')
console.log('listed:')
const shown = name => { try { return fs.readlinkSync('/proc/self/fd/' + name).replace(/:.*/, '') } catch { return 'listed' } }
const pidfds = fs.readdirSync('/proc/self/fd').filter(name => { try { return fs.readFileSync('/proc/self/fdinfo/' + name, 'utf8').includes('Pid:') } catch { return false } })
console.log([...new Set(fs.readdirSync('/proc/self/fd').map(shown))].sort().join(), fs.readdirSync('/proc/self/fd').length < 30, pidfds.length)";
    let forks = Forks { like: like(), ..forks(&[]) };
    let waiting = forks.parked(script);
    let (ours, alone) = (by_zygote(&forks, script, ""), alone(&forks, script, ""));
    drop(waiting);
    assert_eq!(ours, alone);
    assert!(alone.1.ends_with(" true 0\n"), "{alone:?}");
    let without = self::forks(&[OwnDescriptors]).run(script).said;
    assert!(without.contains("socket") && !without.ends_with(" 0"), "{without}");
}

const BOMB: &str = "
const { spawn } = require('child_process')
let count = 0
for (; count < 100; count++) if (!spawn('/bin/sleep', ['100'], { stdio: 'ignore' }).on('error', () => {}).pid) break
console.log(count)
process.exit()";

#[test]
fn its_limits_are_the_sandboxs() {
    let has = |controller| Cgroups::own().has(controller);
    let forks = forks(&[]);
    let mut small = cell();
    (small.limits.pids, small.limits.memory_bytes) = (20, 64 << 20);
    let hoard = "console.log(Buffer.alloc(200 << 20, 1).length)";
    if has(Controller::Pids) {
        let ended = forks.run_as(&small, BOMB);
        let count: u32 = ended.said.parse().unwrap();
        assert!(count < 20 && ended.outcome.pids_limit_hit, "{count}");
    }
    if has(Controller::Memory) {
        let ended = forks.run_as(&small, hoard);
        assert_eq!((ended.outcome.exit, ended.outcome.out_of_memory), (Exit::Signal(9), true));
        assert_eq!(forks.run("console.log('the zygote lives')").said, "the zygote lives");
    }
    if has(Controller::Pids) && has(Controller::Memory) {
        let forks = self::forks(&[JoinedGroups]);
        small.weaken.insert(JoinedGroups);
        assert_eq!(forks.run_as(&small, BOMB).said, "100", "without it joined, nothing limits it");
        assert_eq!(forks.run_as(&small, hoard).said, "209715200");
    }
}

#[test]
fn what_it_may_open_and_write_is_as_ordered() {
    let script = "
const fs = require('fs')
const limits = fs.readFileSync('/proc/self/limits', 'utf8')
console.log(['core file', 'file size', 'open files', 'msgqueue'].map(name => limits.match(new RegExp(`Max ${name}.*?([0-9]+)`))[1]).join())
const file = fs.openSync('large', 'w')
fs.writeSync(file, Buffer.alloc(4096)); fs.writeSync(file, 'x')";
    let forks = forks(&[]);
    let mut spec = cell();
    (spec.limits.file_bytes, spec.limits.open_files) = (4096, 40);
    let ended = forks.run_as(&spec, script);
    assert!(ended.said.starts_with("0,4096,40,0\n") && ended.said.contains("EFBIG"), "{}", ended.said);
}

#[test]
fn nothing_of_one_run_is_seen_by_the_next_and_chance_differs() {
    let forks = forks(&[]);
    let look = "
const crypto = require('crypto'), fs = require('fs'), vm = require('vm'), { Worker } = require('worker_threads')
const draw = 'Math.random()'
new Worker(`require('worker_threads').parentPort.postMessage(${draw})`, { eval: true }).on('message', third => {
  console.log(Math.random(), Math.random(), third, vm.runInNewContext(draw), vm.runInNewContext(draw), crypto.randomBytes(6).toString('hex'),
    crypto.randomUUID(), crypto.randomInt(2 ** 40), crypto.webcrypto.getRandomValues(new Uint32Array(1))[0], fs.mkdtempSync('/tmp/'))
  fs.rmdirSync(fs.readdirSync('/tmp').map(name => '/tmp/' + name)[0])
  console.log('left' in globalThis, fs.readdirSync('/tmp').length, 'left' in fs, 'LEFT' in process.env)
  globalThis.left = fs.left = 1; process.env.LEFT = '1'; fs.writeFileSync('/tmp/left', '')
})";
    let said: Vec<String> = (0..3).map(|_| forks.run(look).said).collect();
    let chances: Vec<&str> = said.iter().flat_map(|said| said.lines().next().unwrap().split(' ')).collect();
    assert_eq!(chances.len(), 30, "{said:?}");
    for (number, chance) in chances.iter().enumerate() {
        assert!(!chances[number + 1..].contains(chance), "{chance} of {chances:?}");
    }
    assert_eq!(said[2].lines().nth(1).unwrap(), "false 0 false false");
}

#[test]
fn a_zygote_that_is_killed_takes_its_payloads_along() {
    let sleeps = "console.log('ready'); setTimeout(() => {}, 100000)";
    let killed = |forks: &Forks| {
        let mut sandbox = forks.start(sleeps);
        let mut said = [0; 5];
        let mut stdout = File::from(sandbox.stdout.take().unwrap());
        stdout.read_exact(&mut said).unwrap();
        kill(forks.zygote.pidfd());
        (sandbox, stdout)
    };
    let forks = forks(&[]);
    let (mut sandbox, _stdout) = killed(&forks);
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(9));

    let forks = self::forks(&[Lifeline]);
    let (mut sandbox, mut stdout) = killed(&forks);
    let zygote = pid(forks.zygote.pidfd());
    assert!(becomes_true(10, || is_gone(zygote)));
    assert!(sandbox.outcome_so_far().is_none());
    let payload = pid(sandbox.payload_pidfd().unwrap());
    assert!(!becomes_true(1, || is_gone(payload)), "without the lifeline it lives on");
    sandbox.kill();
    assert_eq!(sandbox.wait().unwrap().exit, Exit::Signal(9));
    assert_eq!(stdout.read_to_end(&mut Vec::new()).unwrap(), 1, "the end of the line");
}

#[test]
fn one_that_is_told_to_end_does_and_a_daemon_ends_with_its_sandbox() {
    let forks = forks(&[]);
    let asks = "process.on('SIGTERM', () => process.exit(7)); console.log('ready'); setInterval(() => {}, 1000)";
    let mut sandbox = forks.start(asks);
    let mut said = [0; 6];
    let mut stdout = File::from(sandbox.stdout.take().unwrap());
    stdout.read_exact(&mut said).unwrap();
    sandbox.terminate().unwrap();
    sandbox.stdout = Some(stdout.into());
    assert_eq!(to_the_end(sandbox).outcome.exit, Exit::Code(7));

    let daemon = "require('child_process').spawn('/bin/sleep', ['100'], { detached: true, stdio: ['ignore', 1, 1] }).unref(); console.log('done')";
    let ended = forks.run(daemon);
    assert_eq!(
        (ended.said.as_str(), ended.outcome.exit),
        ("done", Exit::Code(0)),
        "its stream is closed, so it is gone"
    );
}

/// How a program ends, what it says on both streams, and what it leaves.
type Ends = (Exit, String, String, Option<String>);

fn like() -> Spec {
    let mut spec = cell();
    spec.stderr = skylift_sandbox::Output::Pipe;
    spec.stdin = Stdin::Pipe;
    spec.env.insert("GIVEN".into(), "given".into());
    spec.shm.bytes = 16 << 20;
    spec
}

#[test]
fn programs_behave_as_with_node_alone() {
    compare("main.js", PROGRAMS);
}

#[test]
fn modules_behave_as_with_node_alone() {
    compare("main.mjs", MODULES);
}

fn compare(file: &'static str, programs: &[(&str, &str)]) {
    let forks = Forks { file, ..Forks::node(like()) };
    let differ = programs.iter().filter_map(|(program, input)| {
        let (ours, alone) = (by_zygote(&forks, program, input), alone(&forks, program, input));
        (ours != alone).then(|| format!("{program}\n  by a zygote {ours:?}\n  alone {alone:?}"))
    });
    let differ: Vec<String> = differ.collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

fn by_zygote(forks: &Forks, program: &str, input: &str) -> Ends {
    let parked = forks.parked(program);
    for (name, text) in BESIDE {
        put(parked.folder(), name, text);
    }
    let (mut sandbox, folder) = parked.start(&order(&forks.like, &[forks.file, "one", "--two"])).unwrap();
    let mut stdin = File::from(sandbox.stdin.take().unwrap());
    let (stdout, stderr) = (sandbox.stdout.take().unwrap(), sandbox.stderr.take().unwrap());
    let all = |stream| {
        let mut said = Vec::new();
        File::from(stream).read_to_end(&mut said).unwrap();
        plain(&said, "/box")
    };
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let (stdout, stderr) = std::thread::scope(|scope| {
        let stderr = scope.spawn(|| all(stderr));
        (all(stdout), stderr.join().unwrap())
    });
    let exit = sandbox.wait().unwrap().exit;
    let mut left = String::new();
    let opened = rustix::fs::openat(&folder, "left", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
    let left = opened.ok().map(|file| File::from(file).read_to_string(&mut left).map(|_| left).unwrap());
    (exit, stdout, stderr, left)
}

/// Executes Node without the descriptors that whoever runs the tests has given to this process, and without Python's own ways.
const NODE_ALONE: &str = "
import os, signal, sys
os.closerange(3, 1 << 16)
os.environ.pop('LC_CTYPE', None)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.execv('/usr/bin/node', ['/usr/bin/node', *sys.argv[1:]])";

fn alone(forks: &Forks, program: &str, input: &str) -> Ends {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in BESIDE.into_iter().chain([(forks.file, program)]) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let folder = folder.path().canonicalize().unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", NODE_ALONE, forks.file, "one", "--two"]).current_dir(&folder).env_clear().envs(&forks.like.env);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let exit = output.status.code().map(Exit::Code).or(output.status.signal().map(Exit::Signal)).unwrap();
    let here = folder.display().to_string();
    let left = std::fs::read_to_string(folder.join("left")).ok();
    (exit, plain(&output.stdout, &here), plain(&output.stderr, &here), left)
}

/// Without what differs between any two runs of the same program: where it lies, which process it is, and how Node came to the program,
/// which is the last line of a trace of calls.
fn plain(said: &[u8], here: &str) -> String {
    let text = String::from_utf8_lossy(said).replace(here, "HERE");
    let is_plain = |line: &&str| {
        // Where a listener of `process` throws, it points to the error instead.
        let is_caret = line.trim() == "^";
        !is_caret && !line.contains("node:internal/main/run_main_module:") && !line.contains("processImmediate (node:")
    };
    let lines: Vec<String> = text.split('\n').filter(is_plain).map(without_number).collect();
    lines.join("\n")
}

/// `(node:123)`, as warnings begin.
fn without_number(line: &str) -> String {
    match line.strip_prefix("(node:").and_then(|rest| rest.split_once(')')) {
        Some((_, rest)) => format!("(node){rest}"),
        None => line.to_owned(),
    }
}

#[test]
fn what_programs_write_to_is_copied_before_they_start() {
    Forks::node(Spec { stdin: Stdin::Pipe, ..cell() })
        .copies_early("console.log([1, 2].length, 'fine')\nrequire('fs').readSync(0, Buffer.alloc(1))");
}
