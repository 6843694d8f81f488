//! Sandboxes that a nursery has made are as those that are prepared one by one.

use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};
use skylift_sandbox::Defence::{Lifeline, PidsLimit};
use skylift_sandbox::cgroup::{Cgroups, Controller};
use skylift_sandbox::{
    Exit, Limits, Mount, Nursery, Order, Prepared, Sandbox, Scratch, Source, SpawnError, Spec, prepare,
};

use crate::attack::{Ended, becomes_true, is_root};
use crate::cells::{BOX, Forks, cell, is_gone, kill, order, pid, put, to_the_end};
use crate::leaks::groups;

fn nursery(like: &Spec) -> Nursery {
    Nursery::start(like).unwrap_or_else(|error| panic!("{error:?}"))
}

fn run(prepared: Prepared, order: &Order) -> Ended {
    to_the_end(prepared.start(order).unwrap_or_else(|error| panic!("{error:?}")).0)
}

/// What a payload can tell of where it is, but for numbers that differ each time.
const LOOKS: &str = "
import os, socket
status = dict(line.rstrip('\\n').split(':', 1) for line in open('/proc/self/status'))
for name in ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Seccomp_filters']:
    print(name, status[name].split())
print(sorted(name for name in os.listdir('/proc') if name.isdigit()), os.getpid(), os.getppid(), os.getsid(0), os.getpgid(0))
print(sorted(os.listdir('/')), sorted(os.listdir('/etc')), sorted(os.listdir('/dev')), os.listdir('/tmp'), os.listdir('/dev/shm'))
print(open('/etc/passwd').read(), open('/etc/group').read(), open('/etc/hosts').read(), socket.gethostname(), os.getcwd())
print([(name, os.stat('/proc/' + name).st_rdev) for name in ['kcore', 'keys', 'cmdline', 'modules', 'cpuinfo'] if os.path.exists('/proc/' + name)])
def tried(what):
    try: what(); return 'done'
    except OSError as error: return error.strerror
for place in ['/', '/usr', '/etc', '/dev', '/run', '/run/skylift', '/proc/sys/kernel/hostname', '/tmp', '/dev/shm', '/box', '/etc/passwd']:
    at = place if os.path.isfile(place) else place + '/new'
    print(place, tried(lambda: open(at, 'w').close()))
print([tried(lambda: socket.create_connection((host, 80))) for host in ['127.0.0.1', '10.0.0.1', '::1']])
print(open('/proc/self/cgroup').read().count('skylift'), open('/proc/self/oom_score_adj').read(), sorted(os.environ))
import resource
print([resource.getrlimit(what) for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_MSGQUEUE)])
";

#[test]
fn a_payload_finds_itself_where_it_would_without_a_nursery() {
    let spec = cell();
    let order = order(&spec, &["/usr/bin/python3", "-I", "look.py"]);
    let look = |prepared: Prepared| {
        put(prepared.folder(), "look.py", LOOKS);
        run(prepared, &order)
    };
    let plain = look(prepare(&spec).unwrap());
    let nursery = nursery(&spec);
    for executes in [false, true] {
        let born = look(nursery.prepare(&Spec { executes, ..cell() }).unwrap());
        assert_eq!(born.outcome.exit, Exit::Code(0), "{}", born.said);
        // The one thing that differs: the users' names are a link's target.
        let born = born.said.replace("/run/skylift Read-only file system", "/run/skylift No such file or directory");
        assert_eq!(born, plain.said);
    }
}

#[test]
fn how_a_payload_ended_is_known_before_the_rest_has_ended() {
    let spec = Spec { executes: true, ..cell() };
    let nursery = nursery(&spec);
    let start =
        |script: &str| nursery.prepare(&spec).unwrap().start(&order(&spec, &["/bin/sh", "-c", script])).unwrap().0;
    let mut ended = start("setsid sleep 100 > /dev/null 2>&1 & exit 3");
    let told = |sandbox: &mut Sandbox| {
        let end = sandbox.payload_end().try_clone_to_owned().unwrap();
        rustix::event::poll(&mut [PollFd::new(&end, PollFlags::IN)], None).unwrap();
        sandbox.outcome_so_far().map(|outcome| outcome.exit)
    };
    assert_eq!(told(&mut ended), Some(Exit::Code(3)));
    assert_eq!(told(&mut ended), Some(Exit::Code(3)), "also when it is asked once more");
    assert_eq!(ended.wait().unwrap().exit, Exit::Code(3));
    let mut killed = start("sleep 100");
    killed.kill();
    assert_eq!(told(&mut killed), None, "nobody was left to tell");
    assert_eq!(killed.wait().unwrap().exit, Exit::Signal(9));
}

#[test]
fn each_has_what_its_own_spec_says() {
    let like = cell();
    let nursery = nursery(&like);
    let mut small = cell();
    small.mounts = vec![Mount::Tmpfs { to: BOX.into(), scratch: Scratch { bytes: 1 << 20, inodes: 4 } }];
    small.limits.open_files = 20;
    if is_root() {
        (small.uid, small.gid) = (61_300, 61_301);
    }
    let look = "ulimit -n; id -u; id -un; for n in 1 2 3 4 5; do true > $n; done 2>/dev/null; ls | wc -l";
    let said = |spec: &Spec| {
        let order = Order { limits: spec.limits, ..order(spec, &["/bin/sh", "-c", look]) };
        run(nursery.prepare(spec).unwrap(), &order).said
    };
    assert_eq!(said(&small).lines().collect::<Vec<_>>()[..3], ["20", &small.uid.to_string(), "skylift"]);
    assert!(said(&small).ends_with('3'), "{}", said(&small));
    assert_eq!(said(&like).lines().collect::<Vec<_>>()[..2], ["4096", &like.uid.to_string()]);
    assert!(said(&like).ends_with('5'), "{}", said(&like));
}

#[test]
fn a_read_only_folder_of_the_host_is_seen_by_all() {
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("file"), "shown").unwrap();
    std::fs::set_permissions(host.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut spec = cell();
    spec.mounts.push(Mount::ReadOnly { from: Source::Path(host.path().into()), to: "/opt/shown".into() });
    let nursery = nursery(&spec);
    let order = order(&spec, &["/bin/sh", "-c", "cat /opt/shown/file; : > /opt/shown/new && echo written"]);
    for _ in 0..2 {
        let said = run(nursery.prepare(&spec).unwrap(), &order).said;
        assert!(said.starts_with("shown") && said.contains("Read-only file system"), "{said}");
    }
}

#[test]
fn what_only_prepare_makes_and_what_is_not_alike_is_refused() {
    let like = cell();
    let nursery = nursery(&like);
    let refused = |spec: &Spec| match nursery.prepare(spec) {
        Err(SpawnError::Unlike(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut serving = cell();
    serving.serves = Some(8080);
    assert_eq!(refused(&serving), "serves a port");
    let mut writable = cell();
    writable.mounts.push(Mount::Writable { from: Source::Path("/tmp".into()), to: "/given".into() });
    assert_eq!(refused(&writable), "mounts more than memory and read-only paths");
    assert!(matches!(Nursery::start(&writable), Err(SpawnError::Unlike(_))));
    let mut more = cell();
    more.mounts.push(Mount::Tmpfs { to: "/more".into(), scratch: Scratch { bytes: 1, inodes: 1 } });
    assert_eq!(refused(&more), "has other mounts than those it was started for");
    let mut holds_nothing = cell();
    holds_nothing.holds = None;
    assert!(matches!(nursery.prepare(&holds_nothing), Err(SpawnError::HoldsNothing)));
    let mut elsewhere = cell();
    elsewhere.holds = Some("/no/such/folder".into());
    assert!(matches!(nursery.prepare(&elsewhere), Err(SpawnError::SetUp { .. })));
    assert!(nursery.prepare(&like).is_ok(), "and it goes on");
}

#[test]
fn its_limits_hold_from_the_first_step() {
    if !Cgroups::own().has(Controller::Pids) {
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
    let said = |defences: &[skylift_sandbox::Defence]| {
        let mut spec = cell();
        spec.limits.pids = 20;
        spec.weaken.extend(defences);
        run(nursery(&spec).prepare(&spec).unwrap(), &order(&spec, &["/usr/bin/python3", "-c", script]))
    };
    let ended = said(&[]);
    assert_eq!((ended.said.as_str(), ended.outcome.pids_limit_hit), ("19", true));
    assert_eq!(said(&[PidsLimit]).said, "150");
    // Others than it was made with.
    let spec = cell();
    let order =
        Order { limits: Limits { pids: 10, ..spec.limits }, ..order(&spec, &["/usr/bin/python3", "-c", script]) };
    assert_eq!(run(nursery(&spec).prepare(&spec).unwrap(), &order).said, "9");
}

#[test]
fn it_is_killed_and_all_that_it_has_made_is_gone() {
    let spec = cell();
    let nursery = self::nursery(&spec);
    let waits = nursery.prepare(&spec).unwrap();
    let (mut runs, _folder) = nursery.prepare(&spec).unwrap().start(&order(&spec, &["/bin/sleep", "100"])).unwrap();
    kill(nursery.pidfd());
    assert!(has_ended_within(runs.pidfd(), 10));
    assert_eq!(runs.wait().unwrap().exit, Exit::Signal(9));
    drop(waits);
    assert!(matches!(nursery.prepare(&spec), Err(SpawnError::AskNursery(_))));

    let mut spec = cell();
    spec.weaken.insert(Lifeline);
    let nursery = self::nursery(&spec);
    let (runs, _folder) = nursery.prepare(&spec).unwrap().start(&order(&spec, &["/bin/sleep", "100"])).unwrap();
    kill(nursery.pidfd());
    assert!(!has_ended_within(runs.pidfd(), 1), "without the lifeline it lives on");
}

#[test]
fn it_lives_as_long_as_what_it_has_made() {
    let spec = cell();
    let nursery = self::nursery(&spec);
    let number = pid(nursery.pidfd());
    let order = order(&spec, &["/bin/sh", "-c", "read word; echo $word"]);
    let mut spec = spec;
    spec.stdin = skylift_sandbox::Stdin::Pipe;
    let (mut runs, _folder) = nursery.prepare(&spec).unwrap().start(&order).unwrap();
    drop(nursery);
    std::io::Write::write_all(&mut std::fs::File::from(runs.stdin.take().unwrap()), b"goes on\n").unwrap();
    assert_eq!(to_the_end(runs).said, "goes on");
    assert!(is_gone(number));
}

#[test]
fn thirty_made_at_once_leave_nothing() {
    let prefix = format!("skylift-born-{}", std::process::id());
    let spec = Spec { group_prefix: prefix.clone(), ..cell() };
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let nursery = nursery(&spec);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5 {
                    drop(nursery.prepare(&spec).unwrap());
                    let said = run(nursery.prepare(&spec).unwrap(), &order(&spec, &["/bin/echo", "said"])).said;
                    assert_eq!(said, "said");
                }
            });
        }
    });
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pid(nursery.pidfd()))).unwrap();
    assert_eq!(children, "");
    let kept = groups(Path::new("/sys/fs/cgroup"), &prefix);
    assert!(kept <= 3 * Cgroups::own().usable().count(), "groups of more than were ever there at once: {kept}");
    drop(nursery);
    assert_eq!(descriptors(), before);
    assert!(becomes_true(20, || groups(Path::new("/sys/fs/cgroup"), &prefix) == 0));
}

fn has_ended_within(pidfd: std::os::fd::BorrowedFd<'_>, seconds: i64) -> bool {
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() > 0
}

/// Takes time, memory and processes, up to all that its limits let it.
const GREEDY: &str = "
import os, time
held = bytearray(40 << 20)
while time.process_time() < 0.3: pass
born = 0
try:
    for _ in range(100):
        if os.fork() == 0: time.sleep(100)
        born += 1
except OSError: pass
print(born)";

#[test]
fn who_comes_next_in_the_same_groups_pays_for_nobody_else() {
    let spec = || Spec { group_prefix: "skylift-next".into(), ..cell() };
    let forks = Forks::new(spec());
    let plain = |forks: &Forks| forks.run("print('plain')").outcome;
    let greedy_time = forks.run(&GREEDY.replace("range(100)", "range(3)"));
    assert_eq!(greedy_time.said, "3");
    assert!(greedy_time.outcome.peak_memory_bytes > 40 << 20 || !Cgroups::own().has(Controller::Memory));
    let after = plain(&forks);
    assert!(after.cpu_ms < 200 && after.peak_memory_bytes < 30 << 20, "{after:?}");
    if Cgroups::own().has(Controller::Pids) {
        let few = Spec { limits: Limits { pids: 8, ..spec().limits }, ..spec() };
        let refused = forks.run_as(&few, GREEDY);
        assert!(refused.outcome.pids_limit_hit, "{:?}", refused.outcome);
        let after = plain(&forks);
        assert!(!after.pids_limit_hit && after.cpu_ms < 200, "{after:?}");
        let wide = Spec { limits: Limits { pids: 300, ..spec().limits }, ..spec() };
        assert_eq!(forks.run_as(&wide, GREEDY).said, "100", "limits are those of who comes");
        assert!(forks.run_as(&few, GREEDY).outcome.pids_limit_hit, "and not of who was there");
    }
    drop(forks);
    assert!(becomes_true(20, || groups(Path::new("/sys/fs/cgroup"), "skylift-next") == 0), "some are left");
}
