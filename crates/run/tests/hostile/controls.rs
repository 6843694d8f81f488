//! Attacks that a single defence holds, with it and without it.

use skylift_model::run::Job;
use skylift_sandbox::Defence::{
    self, HiddenProcesses, JoinedGroups, MaskedHost, NoNewPrivileges, OwnDescriptors, OwnIpc, OwnNetwork, OwnProcesses,
    OwnRoot, ReadOnlySystem, Seccomp, Unprivileged,
};
use skylift_sandbox::cgroup::{Cgroups, Controller};

use crate::host::{Host, cold, is_root, limited, python, said};

/// An attack says `held`, or what it reached.
struct Attack<'a> {
    /// With this off it succeeds,
    off: Defence,
    /// where these are off anyway: of two defences each alone would hold.
    given: &'a [Defence],
    /// and says this among other things.
    reaches: &'a [&'a str],
    job: Job,
}

/// With all but what is given it holds; with one more off it does not.
async fn tell_apart(attack: &Attack<'_>) {
    let with = said(&Host::without(attack.given).step(&attack.job).await);
    assert_eq!(with, "held", "with {:?}", attack.off);
    let off = [attack.given, &[attack.off]].concat();
    let without = said(&Host::without(&off).step(&attack.job).await);
    let all = attack.reaches.iter().all(|reached| without.contains(reached));
    assert!(all, "without {off:?}: {without}");
}

/// The same where the program is forked from a loaded interpreter.
async fn tell_apart_warm(attack: &Attack<'_>) {
    let host = Host::without(attack.given);
    host.warm_up().await;
    assert_eq!(said(&host.step(&attack.job).await), "held", "with {:?}, forked", attack.off);
    let off = [attack.given, &[attack.off]].concat();
    let host = Host::without(&off);
    host.warm_up().await;
    let without = said(&host.step(&attack.job).await);
    let all = attack.reaches.iter().all(|reached| without.contains(reached));
    assert!(all, "without {off:?}, forked: {without}");
}

/// Groups 15 and 20 to 25.
#[tokio::test]
async fn calls_that_lead_out_are_refused_by_the_filter_alone() {
    let job = python(include_str!("../../../../tests/tests/runs/hostile/kernel.py"), &[]);
    let reaches = &["'unshare user'", "'keyctl'", "'io_uring_setup'", "'process_vm_writev'", "'clone3'"];
    let attack = Attack { off: Seccomp, given: &[], reaches, job };
    tell_apart(&attack).await;
    tell_apart_warm(&attack).await;
}

/// Groups 7, 8 and 24.
#[tokio::test]
async fn a_run_has_no_rights_and_gains_none() {
    let rights = "
status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
names = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']
print([name for name in names if int(status[name], 16)] or 'held')";
    let attack = Attack { off: Unprivileged, given: &[], reaches: &["Cap"], job: python(rights, &[]) };
    tell_apart(&attack).await;
    let gains = "
status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
print('held' if status['NoNewPrivs'] == '1' else 'gains')";
    // The filter cannot be loaded without it.
    tell_apart(&Attack { off: NoNewPrivileges, given: &[Seccomp], reaches: &["gains"], job: python(gains, &[]) }).await;
    if is_root() {
        tell_apart_warm(&attack).await;
        let device = "
import os, stat
try:
    os.mknod('/box/disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    print('a device')
except OSError: print('held')";
        let job = cold(python(device, &[]));
        tell_apart(&Attack { off: Unprivileged, given: &[], reaches: &["a device"], job }).await;
    }
}

/// Groups 1, 2 and 10.
#[tokio::test]
async fn files_of_the_host_are_out_of_sight_and_the_system_is_read_only() {
    // Not in the folder for temporary files: that is where a root is built.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    let found = "
import os, sys
temporary, name = sys.argv[1:]
found = [root for root in ('', '/mnt', '/host') if name in (os.path.exists(root + temporary) and os.listdir(root + temporary) or [])]
print(found or 'held')";
    let temporary = folder.path().parent().unwrap().to_str().unwrap().to_owned();
    let attack = Attack { off: OwnRoot, given: &[], reaches: &["mnt"], job: python(found, &[temporary, name]) };
    tell_apart(&attack).await;
    tell_apart_warm(&attack).await;
    // Asked rather than tried: without the defence it would be the host's.
    let writable = "
import os
print([path for path in ('/', '/usr', '/etc', '/bin', '/lib') if os.access(path, os.W_OK)] or 'held')";
    let job = python(writable, &[]);
    let attack = Attack { off: ReadOnlySystem, given: &[Unprivileged], reaches: &["'/etc'"], job };
    tell_apart(&attack).await;
}

/// Groups 10, 15 and 33; 109 of the threats.
#[tokio::test]
async fn other_processes_and_the_machine_are_out_of_sight() {
    let told = "
def text(name):
    try: return open('/proc/' + name).read()
    except OSError: return ''
print([name for name in ('cmdline', 'modules', 'interrupts', 'swaps', 'partitions', 'diskstats') if text(name)] or 'held')";
    let attack = Attack { off: MaskedHost, given: &[], reaches: &["'cmdline'"], job: python(told, &[]) };
    tell_apart(&attack).await;
    tell_apart_warm(&attack).await;
    let first = "import os; print('the first process' if os.path.exists('/proc/1') else 'held')";
    let job = python(first, &[]);
    tell_apart(&Attack { off: HiddenProcesses, given: &[], reaches: &["the first process"], job }).await;
    // Without root a file system of processes can only be had of ones own.
    if is_root() {
        let signals = "
import os, sys
try: os.kill(int(sys.argv[1]), 0); print('reached')
except PermissionError: print('seen')
except ProcessLookupError: print('held')";
        let job = cold(python(signals, &[std::process::id().to_string()]));
        tell_apart(&Attack { off: OwnProcesses, given: &[], reaches: &["seen"], job }).await;
    }
}

/// Groups 26 to 28; 110 of the threats.
#[tokio::test]
async fn services_of_the_host_are_not_reached() {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let connects = "
import socket, sys
reached = []
for host in ('127.0.0.1', '0.0.0.0', '::ffff:127.0.0.1', 'localhost'):
    try: socket.create_connection((host, int(sys.argv[1])), 1).close(); reached.append(host)
    except OSError: pass
print(reached or 'held')";
    let port = listener.local_addr().unwrap().port().to_string();
    let families = include_str!("../../../../tests/tests/runs/hostile/network.py");
    let job = python(families, std::slice::from_ref(&port));
    tell_apart(&Attack { off: Seccomp, given: &[], reaches: &["'vsock'", "'netlink 9'"], job }).await;
    let attack = Attack { off: OwnNetwork, given: &[], reaches: &["127.0.0.1"], job: python(connects, &[port]) };
    tell_apart(&attack).await;
}

/// Groups 18, 29 and 30; 113 of the threats: what one run leaves, by what any two processes of a machine could share.
#[tokio::test]
async fn what_a_run_leaves_is_not_found_by_the_next() {
    let queue = "
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
key = int(sys.argv[1])
left = libc.msgget(key, 0)
if left == -1: libc.msgget(key, 0o1666)
print('held' if left == -1 else 'a queue')";
    // No other test's, nor one's of another time.
    let key = 0x7000_0000 + std::process::id();
    let job = cold(python(queue, &[key.to_string()]));
    for (defences, then) in [(&[][..], "held"), (&[OwnIpc], "a queue")] {
        let host = Host::without(defences);
        let found = [host.step(&job).await, host.step(&job).await].map(|step| said(&step));
        if !defences.is_empty() {
            // It is the machine's.
            let _ = std::process::Command::new("ipcrm").args(["-Q", &key.to_string()]).status();
        }
        assert_eq!(found, ["held", then], "without {defences:?}");
    }
    // What no switch holds but that each run has a sandbox of its own: what is looked for is found where it was left.
    let leave = include_str!("../../../../tests/tests/runs/hostile/leave.py");
    let find = include_str!("../../../../tests/tests/runs/hostile/find.py");
    let host = Host::new();
    host.warm_up().await;
    assert_eq!(said(&host.step(&python(leave, &[])).await), "left");
    assert!(said(&host.step(&python(find, &[])).await).starts_with("held"));
    let both = said(&host.step(&python(&format!("{leave}\n{find}"), &[])).await);
    for found in ["/box/left", "/tmp/left", "/dev/shm/left", "shm", "the interpreter was changed", "process "] {
        assert!(both.contains(found), "{found}: {both}");
    }
}

/// Group 29: locks on and watches of what all see, and 109 of the threats.
#[tokio::test]
async fn files_that_all_see_are_neither_locked_nor_watched() {
    let job = python(include_str!("../../../../tests/tests/runs/hostile/shared.py"), &[]);
    let reaches = &["flock /usr/bin/python3", "notify /usr", "inotify /usr/bin/python3"];
    let attack = Attack { off: Seccomp, given: &[], reaches, job };
    tell_apart(&attack).await;
    tell_apart_warm(&attack).await;
}

/// Groups 10, 19 and 31: of a forked program.
#[tokio::test]
async fn a_forked_program_holds_nothing_of_ours_and_is_counted() {
    let holds = "
import os
def is_open(fd):
    try: os.fstat(fd); return True
    except OSError: return False
print([fd for fd in map(int, os.listdir('/proc/self/fd')) if fd > 2 and is_open(fd)] or 'held')";
    let attack = Attack { off: OwnDescriptors, given: &[], reaches: &["["], job: python(holds, &[]) };
    tell_apart_warm(&attack).await;
    if Cgroups::own().has(Controller::Memory) {
        let hoards = "
try: x = bytearray(200 << 20); print('beyond')
except MemoryError: print('held')";
        let job = limited(hoards, |limits| limits.memory_bytes = 64 << 20);
        let host = Host::new();
        host.warm_up().await;
        assert_eq!(said(&host.step(&job).await), "(MemoryLimit)");
        assert_eq!(said(&host.step(&python("print('lives')", &[])).await), "lives");
        let host = Host::without(&[JoinedGroups]);
        host.warm_up().await;
        assert_eq!(said(&host.step(&job).await), "beyond");
    }
}
